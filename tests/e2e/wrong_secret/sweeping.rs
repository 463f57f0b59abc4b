//! A wrong client secret in a sweep.

use super::*;

/// Exit code of a sweep that ended because nothing was revoked.
const NOTHING_REVOKED: i32 = 4;

fn command_of(log: &str) -> Vec<String> {
    let (_, behind) = log.split_once("continues: ").expect(log);
    arguments(behind.split_once(" . ").expect(log).0)
}

/// Few tokens are rejected, the sweep ends in order, and the printed command finishes all lines once the secret is
/// corrected.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_ends_a_sweep_and_the_printed_command_brings_all_to_an_end() {
    let (secret, endpoint, swept) = (Secret::wrong(), endpoint().await, Swept::tokens(JOBS));
    let report = swept.beside("report.json");
    let launch = secret.given_to(swept.launch(&endpoint)).arg("--report").arg(report.display());
    let (run, status) = launch.run().await;
    assert_eq!(status.code(), Some(NOTHING_REVOKED), "{}", run.stderr());
    let rejected = swept.failed().len();
    assert!((FIRST_REJECTIONS..=MOST).contains(&rejected), "{rejected} rejected");
    assert_eq!(endpoint.count(), rejected);
    assert_eq!(swept.lines_with("failed").len(), rejected, "the journal is whole");
    let report: serde_json::Value = serde_json::from_slice(&fs::read(&report).unwrap()).unwrap();
    assert_eq!(report["finished"], false);
    assert_eq!(report["lines"]["rejected"], rejected);
    let said = run.said("nothing has been revoked for client");
    let [line] = said.as_slice() else { panic!("{}", run.stderr()) };
    let sentence = field(line, "message").unwrap().to_owned();
    for expected in [CLIENT, endpoint.url(), "--expect-dead"] {
        assert!(sentence.contains(expected), "no {expected} in {sentence}");
    }

    secret.mend();
    let words = command_of(&sentence);
    assert_eq!(words[0], "sweep");
    let again = secret.given_to(sweep(&endpoint));
    let again = words[1..].iter().fold(again, Launch::arg);
    let (run, status) = again.run().await;
    assert_eq!(status.code(), Some(0), "{}", run.stderr());
    assert_eq!(endpoint.told(AnswerKind::Revoked), (1..=JOBS).map(token).collect());
    assert!(swept.failed().is_empty());
}

/// From a pipe: the journal resumes with the same input.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_ends_a_sweep_of_a_pipe_and_the_printed_command_resumes() {
    let (secret, endpoint, swept) = (Secret::wrong(), endpoint().await, Swept::new("unused", ""));
    let input = crate::harness::swept::text(1..=200);
    let launch = secret.given_to(sweep(&endpoint)).input(input.clone());
    let launch = launch.arg("--format").arg("text").arg("--journal").arg(swept.journal().display());
    let (run, status) = launch.arg("-").run().await;
    assert_eq!(status.code(), Some(NOTHING_REVOKED), "{}", run.stderr());
    let said = run.said("nothing has been revoked for client");
    let sentence = field(&said[0], "message").unwrap().to_owned();
    assert!(sentence.contains("with the same input"), "{sentence}");
    secret.mend();
    let again = secret.given_to(sweep(&endpoint)).input(input);
    let words = command_of(&sentence);
    let again = words[1..].iter().fold(again, Launch::arg);
    let (run, status) = again.run().await;
    assert_eq!(status.code(), Some(0), "{}", run.stderr());
    assert_eq!(endpoint.told(AnswerKind::Revoked), (1..=200).map(token).collect());
}

/// A list of tokens that are dead already looks like a wrong secret, unless the option says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_dead_tokens_is_swept_with_expect_dead() {
    const LINES: usize = 300;
    let endpoint = Endpoint::start(|_| Answer::rejected()).await;
    let swept = Swept::tokens(LINES);
    let launch = swept.launch(&endpoint).unset("flow.guard.first_rejections");
    let (run, status) = launch.run().await;
    assert_eq!(status.code(), Some(NOTHING_REVOKED), "the guard fires: {}", run.stderr());
    let before = endpoint.count();
    assert!(before <= MOST, "{before}");

    let (run, status) = launch.arg("--expect-dead").run().await;
    assert_eq!(status.code(), Some(3), "{}", run.stderr());
    assert_eq!(endpoint.count(), LINES, "the rest, each once");
    assert_eq!(swept.failed().len(), LINES);
}

/// At a terminal the sweep asks: "yes" continues to the end, any other answer ends the sweep.
#[tokio::test(flavor = "multi_thread")]
async fn a_person_at_the_terminal_decides_whether_a_sweep_continues() {
    const LINES: usize = 300;
    for (answer, code) in [("y\n", 3), ("\n", NOTHING_REVOKED)] {
        let calls = Arc::<AtomicUsize>::default();
        let counted = calls.clone();
        let endpoint = Endpoint::start(move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
            Answer::rejected()
        })
        .await;
        let swept = Swept::tokens(LINES);
        let launch = swept.launch(&endpoint).unset("flow.guard.first_rejections");
        let (run, status) = launch.on_terminal().input(answer).run().await;
        assert_eq!(status.code(), Some(code), "{answer:?}: {}", run.stdout());
        assert!(run.stdout().contains("continue? [y/N]"), "{}", run.stdout());
        assert!(run.stdout().contains(endpoint.url()), "{}", run.stdout());
        let calls = calls.load(Ordering::SeqCst);
        let expected = if code == 3 { LINES..=LINES } else { FIRST_REJECTIONS..=MOST };
        assert!(expected.contains(&calls), "{answer:?}: {calls} calls");
    }
}
