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
    let said = run.said("this run revoked nothing for client");
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
    let said = run.said("this run revoked nothing for client");
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

/// A killed sweep leaves lines in doubt whose tokens are dead. The guard expects their rejections, and does not take them
/// for a wrong secret.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_sweep_resumes_although_its_own_calls_are_rejected_first() {
    const PROVED: usize = 20;
    const IN_CALL: usize = FIRST_REJECTIONS + 30;
    const LINES: usize = 400;
    let (never, resumed) = (Gate::default(), Arc::<AtomicBool>::default());
    let (hangs, again) = (never.clone(), Arc::clone(&resumed));
    let dead: BTreeSet<String> = (PROVED + 1..=PROVED + IN_CALL).map(token).collect();
    let endpoint = Endpoint::start(move |call| match again.load(Ordering::SeqCst) {
        false if (1..=PROVED).any(|n| call.token == token(n)) => Answer::revoked(),
        false => Answer::revoked().after(&hangs),
        true if dead.contains(&call.token) => Answer::rejected(),
        true => Answer::revoked(),
    })
    .await;
    let swept = Swept::tokens(LINES);
    let launch = swept
        .launch(&endpoint)
        .unset("flow.guard.first_rejections")
        .set("flow.concurrency.max", IN_CALL);
    let run = launch.start();
    endpoint.until_count(PROVED + IN_CALL).await;
    run.kill().await;

    resumed.store(true, Ordering::SeqCst);
    let (run, status) = launch.run().await;
    assert_eq!(status.code(), Some(3), "{}", run.stderr());
    let failed = swept.failed();
    assert_eq!(failed.len(), IN_CALL, "each token of a cut call was rejected");
    assert!(failed.values().all(|reason| reason == "rejected_after_ambiguity"), "{failed:?}");
    assert_eq!(swept.lines_with("revoked").len(), LINES - IN_CALL);
}

/// The rejected lines of a sweep may have had a wrong secret, so the guard counts them when they are retried. The printed
/// option retries all of them.
#[tokio::test(flavor = "multi_thread")]
async fn a_retry_of_rejected_lines_is_guarded_and_ends_with_expect_dead() {
    const LINES: usize = 300;
    const REJECTED: usize = 2 * FIRST_REJECTIONS;
    let dead: BTreeSet<String> = (LINES - REJECTED + 1..=LINES).map(token).collect();
    let endpoint = Endpoint::start(move |call| {
        if dead.contains(&call.token) { Answer::rejected() } else { Answer::revoked() }
    })
    .await;
    let swept = Swept::tokens(LINES);
    let launch = swept.launch(&endpoint).unset("flow.guard.first_rejections");
    let (run, status) = launch.clone().run().await;
    assert_eq!(status.code(), Some(3), "{}", run.stderr());

    let (run, status) = launch.clone().arg("--retry-failed").run().await;
    assert_eq!(status.code(), Some(NOTHING_REVOKED), "{}", run.stderr());
    let said = run.said("this run revoked nothing for client");
    assert!(field(&said[0], "message").unwrap().contains("--expect-dead"));
    let guarded = endpoint.count() - LINES;
    assert!((FIRST_REJECTIONS..REJECTED).contains(&guarded), "{guarded} calls");

    let retry = launch.arg("--retry-failed").arg("--expect-dead");
    let (run, status) = retry.run().await;
    assert_eq!(status.code(), Some(3), "{}", run.stderr());
    assert_eq!(swept.failed().len(), REJECTED);
    assert_eq!(endpoint.count(), LINES + guarded + REJECTED);
}

/// Every line is in doubt, because the journal had another input before. Their rejections are expected only up to the
/// number of calls that can have been in flight.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_ends_a_sweep_whose_lines_are_all_in_doubt() {
    const LINES: usize = 600;
    const IN_FLIGHT: usize = 16;
    let (secret, endpoint, swept) = (Secret::wrong(), endpoint().await, Swept::tokens(LINES));
    let launch = secret.given_to(swept.launch(&endpoint)).set("flow.concurrency.max", IN_FLIGHT);
    let (run, status) = launch.clone().run().await;
    assert_eq!(status.code(), Some(NOTHING_REVOKED), "{}", run.stderr());
    let before = endpoint.count();
    swept.write(swept_text_of_others(LINES));
    let (run, status) = launch.arg("--force").run().await;
    assert_eq!(status.code(), Some(NOTHING_REVOKED), "{}", run.stderr());
    let calls = endpoint.count() - before;
    let most = FIRST_REJECTIONS + 2 * IN_FLIGHT;
    assert!((FIRST_REJECTIONS..=most).contains(&calls), "{calls} calls");
}

/// Lines with other tokens than those of [`Swept::tokens`].
fn swept_text_of_others(lines: usize) -> String {
    crate::harness::swept::text(10_000..10_000 + lines)
}
