//! Tests of a sweep that is killed, runs twice, or has a damaged journal or a changed input. Proved tokens are not
//! called again, possible calls are marked as ambiguous, and no line is lost.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::harness::{Answer, AnswerKind, Endpoint, Gate, Swept, swept::text, token};

/// Revokes a token once, and answers `01` from then on. It rejects `condemned` tokens at the first call.
async fn unforgiving(condemned: impl Fn(&str) -> bool + Send + Sync + 'static) -> Endpoint {
    Endpoint::start(move |call| match call.nth {
        1 if !condemned(&call.token) => Answer::revoked(),
        _ => Answer::rejected(),
    })
    .await
}

/// Three thousand lines through five SIGKILLs, each at a count of calls, from which on none is answered before it. In
/// the end every line has one ending; no token that the journal had proved revoked was called again; and if a killed
/// call had revoked a token, the `01` of its repetition is marked as ambiguous.
#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_survives_five_kills() {
    const LINES: usize = 3_000;
    const KILLS: usize = 5;
    const IN_FLIGHT: usize = 64;
    let condemned = |token: &str| token.ends_with('7');
    let (calls, answered) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let most = Arc::clone(&answered);
    let endpoint = Endpoint::start(move |call| {
        // A call revokes its token even without an answer.
        if calls.fetch_add(1, Ordering::SeqCst) >= most.load(Ordering::SeqCst) {
            return Answer::Never;
        }
        match call.nth {
            1 if !condemned(&call.token) => Answer::revoked(),
            _ => Answer::rejected(),
        }
    })
    .await;
    let swept = Swept::tokens(LINES);
    let launch = swept
        .launch(&endpoint)
        .set("broker.prefetch", IN_FLIGHT)
        .set("flow.concurrency.max", IN_FLIGHT / 2);
    // How often each token had been called when its line was first seen to be proved.
    let mut proved: BTreeMap<usize, usize> = BTreeMap::new();
    for kill in 1..=KILLS {
        let most = LINES * kill / (KILLS + 1);
        answered.store(most, Ordering::SeqCst);
        let run = launch.start();
        endpoint.until_count(most + 1).await;
        run.kill().await;
        for line in swept.lines_with("revoked") {
            proved.entry(line).or_insert_with(|| endpoint.of(&token(line)).len());
        }
        assert!(proved.len() > most / 2, "hardly anything was noted");
    }
    answered.store(usize::MAX, Ordering::SeqCst);
    let (run, status) = launch.run().await;
    assert_eq!(status.code(), Some(3), "{}", run.stderr());

    for (line, calls) in &proved {
        assert_eq!(endpoint.of(&token(*line)).len(), *calls, "line {line} was called again");
    }
    let entries = swept.entries();
    assert_eq!(entries.keys().copied().collect::<Vec<_>>(), (1..=LINES).collect::<Vec<_>>());
    let told = endpoint.told(AnswerKind::Revoked);
    let (mut ambiguous, mut rejected) = (0, 0);
    for (line, entry) in &entries {
        let token = token(*line);
        let reason = entry["reason"].as_str();
        match entry["outcome"].as_str().unwrap() {
            "revoked" => assert!(told.contains(&token), "line {line}: revoked without proof"),
            "failed" if reason == Some("rejected") => {
                assert!(
                    condemned(&token),
                    "line {line}: its token was revoked, and the journal \
                                            does not show it"
                );
                rejected += 1;
            }
            "failed" => {
                assert_eq!(reason, Some("rejected_after_ambiguity"), "line {line}");
                assert_eq!(entry["ambiguity"], "redelivered", "line {line}");
                ambiguous += 1;
            }
            other => panic!("line {line}: {other}"),
        }
    }
    assert!(rejected > 0);
    let called_twice = endpoint.count() - LINES;
    assert!(called_twice <= KILLS * IN_FLIGHT, "{called_twice} calls more than lines");
    assert!(ambiguous >= 1, "no kill hit a call");
    assert_eq!(swept.failed().len(), rejected + ambiguous);
}

/// After a kill during a write, the torn last line is dropped, and its job is called again as ambiguous. Damage
/// elsewhere is not caused by a crash, and is reported.
#[tokio::test(flavor = "multi_thread")]
async fn a_torn_last_line_is_dropped_and_damage_elsewhere_is_named() {
    let endpoint = unforgiving(|_| false).await;
    let swept = Swept::tokens(20);
    let launch = swept.launch(&endpoint);
    let (_, status) = launch.run().await;
    assert_eq!(status.code(), Some(0));
    let whole = fs::read_to_string(swept.journal()).unwrap();
    let lines: Vec<&str> = whole.lines().collect();

    // The journal is cut off in the middle of the last entry, as a kill leaves it.
    let last = lines.iter().rposition(|line| line.contains("\"line\"")).unwrap();
    let torn = lines[..last].join("\n") + "\n" + &lines[last][..40];
    fs::write(swept.journal(), torn).unwrap();
    let (run, status) = launch.run().await;
    assert_eq!(status.code(), Some(3), "{}", run.stderr());
    assert_eq!(endpoint.count(), 21, "one was called again");
    let failed = swept.failed();
    assert_eq!(failed.values().collect::<Vec<_>>(), ["rejected_after_ambiguity"]);
    assert_eq!(swept.entries().len(), 20);

    let damaged = lines.iter().position(|line| line.contains("\"line\"")).unwrap();
    let mut garbled = lines.clone();
    garbled[damaged] = "{\"line\":1,\"outc\u{0}me\":";
    let garbled = garbled.join("\n") + "\n";
    fs::write(swept.journal(), &garbled).unwrap();
    let (run, status) = launch.run().await;
    assert_eq!(status.code(), Some(1), "{}", run.stderr());
    assert!(run.stderr().contains(&format!("line {} is damaged", damaged + 1)), "{}", run.stderr());
    assert_eq!(endpoint.count(), 21, "something was called");
    assert_eq!(fs::read_to_string(swept.journal()).unwrap(), garbled, "it was touched");
}

/// The lines of a changed file do not match the journal. With force the sweep continues: each revoked token is
/// recognized by its key on any line.
#[tokio::test(flavor = "multi_thread")]
async fn a_changed_input_is_noticed_and_swept_by_force_alone() {
    let endpoint = unforgiving(|_| false).await;
    let swept = Swept::tokens(30);
    let launch = swept.launch(&endpoint);
    let (_, status) = launch.run().await;
    assert_eq!(status.code(), Some(0));

    swept.write(text([40, 7, 41, 3]));
    let (run, status) = launch.run().await;
    assert_eq!(status.code(), Some(2), "{}", run.stderr());
    assert!(run.stderr().contains("--force"), "{}", run.stderr());
    assert_eq!(endpoint.count(), 30);

    let (run, status) = launch.clone().arg("--force").run().await;
    assert_eq!(status.code(), Some(0), "{}", run.stderr());
    assert_eq!(endpoint.count(), 32);
    let entries = swept.entries();
    let outcome = |line: usize| entries[&line]["outcome"].as_str().unwrap();
    assert_eq!([1, 2, 3, 4].map(outcome), ["revoked", "duplicate", "revoked", "duplicate"]);
    let (run, status) = launch.run().await;
    assert_eq!(status.code(), Some(0), "it is the sweep's input now: {}", run.stderr());
}

/// A token revoked at one endpoint is not revoked at another one, even with force.
#[tokio::test(flavor = "multi_thread")]
async fn a_journal_of_another_endpoint_is_refused() {
    let (first, second) = (Endpoint::willing().await, Endpoint::willing().await);
    let swept = Swept::tokens(3);
    let (_, status) = swept.launch(&first).run().await;
    assert_eq!(status.code(), Some(0));
    let other = swept.launch(&second);
    for launch in [other.clone(), other.clone().arg("--force")] {
        let (run, status) = launch.run().await;
        assert_eq!(status.code(), Some(2), "{}", run.stderr());
        assert!(run.stderr().contains(first.url()), "{}", run.stderr());
    }
    assert_eq!(second.count(), 0);
    let client = swept.launch(&first).arg("--client-id").arg("another");
    let (run, status) = client.run().await;
    assert_eq!(status.code(), Some(2), "{}", run.stderr());
    assert!(run.stderr().contains("client_id"), "{}", run.stderr());
}

/// Two sweeps at once would each call lines that the other has in flight.
#[tokio::test(flavor = "multi_thread")]
async fn two_sweeps_at_once_are_refused() {
    let gate = Gate::default();
    let held = gate.clone();
    let endpoint = Endpoint::start(move |_| Answer::revoked().after(&held)).await;
    let swept = Swept::tokens(5);
    let launch = swept.launch(&endpoint);
    let first = launch.start();
    endpoint.until_count(5).await;
    let (second, status) = launch.run().await;
    assert_eq!(status.code(), Some(1), "{}", second.stderr());
    assert!(second.stderr().contains("another sweep"), "{}", second.stderr());
    gate.open();
    assert_eq!(first.exit().await.code(), Some(0), "{}", first.stderr());
    assert_eq!(endpoint.count(), 5);
}

/// The disk is full during the sweep. It ends with a clear error, claims only what is on disk, and continues when there
/// is room.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_ends_the_sweep_and_loses_nothing() {
    const LINES: usize = 2_000;
    const BLOCKS: usize = 128;
    let endpoint = unforgiving(|_| false).await;
    let swept = Swept::tokens(LINES);
    let launch = swept.launch(&endpoint);
    let (run, status) = launch.clone().largest_file(BLOCKS).run().await;
    assert_eq!(status.code(), Some(1), "{}", run.stderr());
    assert!(run.stderr().contains("the journal cannot be written"), "{}", run.stderr());
    assert!(fs::metadata(swept.journal()).unwrap().len() <= BLOCKS as u64 * 512);
    let noted: BTreeSet<usize> = swept.lines_with("revoked").into_iter().collect();
    assert!(!noted.is_empty() && noted.len() < LINES, "{} noted", noted.len());
    let told = endpoint.told(AnswerKind::Revoked);
    assert!(noted.iter().all(|line| told.contains(&token(*line))), "noted without proof");
    assert!(run.stdout().contains("not finished"), "{}", run.stdout());

    let (run, _) = launch.run().await;
    assert!(run.stdout().contains("every line has ended"), "{}", run.stdout());
    // The answers to the first sweep's last calls were lost, but these calls revoked their tokens.
    let called: BTreeSet<String> = endpoint.calls().into_iter().map(|call| call.token).collect();
    assert_eq!(called.len(), LINES);
    for line in noted {
        assert_eq!(endpoint.of(&token(line)).len(), 1, "line {line} was called again");
    }
    assert_eq!(swept.entries().len(), LINES);
    assert!(swept.failed().values().all(|reason| reason == "rejected_after_ambiguity"));
}
