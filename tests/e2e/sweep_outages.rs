//! Tests of sweeps during outages, and of stopped sweeps: no waiting job fails.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::harness::{Answer, AnswerKind, Endpoint, Gate, Launch, Swept, token};

/// Short waits in place of minutes.
fn impatient(launch: Launch) -> Launch {
    launch
        .set("flow.pause.after_failures", 20)
        .set("flow.pause.probe_initial", "100ms")
        .set("flow.pause.probe_max", "200ms")
        .set("retry.hold", "300ms")
}

/// The endpoint has an outage during the sweep. The sweep pauses, requeues waiting jobs, probes, and continues by
/// itself. Every token is revoked in the end, and no line failed.
#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_waited_out() {
    const LINES: usize = 2_000;
    let clear = Gate::default();
    let sky = clear.clone();
    let calls = AtomicUsize::new(0);
    let endpoint = Endpoint::start(move |_| {
        let fair = calls.fetch_add(1, Ordering::SeqCst) < LINES / 4 || sky.is_open();
        if fair { Answer::revoked() } else { Answer::status(503) }
    })
    .await;
    let swept = Swept::tokens(LINES);
    let launch = impatient(swept.launch(&endpoint)).set("flow.concurrency.max", 16);
    let run = launch.arg("--admin").arg("127.0.0.1:0").start();
    run.until_metrics("the pause", |metrics| metrics.value("paused") == 1).await;
    let deferred = |how| format!("deferrals_total{{how=\"{how}\",lane=\"bulk\"}}");
    run.until_metrics("jobs put off", |metrics| {
        metrics.value(&deferred("handed_back")) + metrics.value(&deferred("parked")) > 20
            && metrics.calls("http_5xx") > 20
    })
    .await;
    clear.open();
    assert_eq!(run.exit().await.code(), Some(0), "{}", run.stderr());
    assert_eq!(swept.lines_with("revoked").len(), LINES);
    assert_eq!(endpoint.told(AnswerKind::Revoked), (1..=LINES).map(token).collect());
    assert!(endpoint.count() > LINES + 20, "the outage did not happen");
}

/// A token whose calls fail is parked and returns with its history, while the others continue. A later rejection is
/// distinguished from one without an ambiguous call.
#[tokio::test(flavor = "multi_thread")]
async fn parked_jobs_come_back() {
    let endpoint = Endpoint::start(|call| {
        let fails = call.token.ends_with("-7") || call.token.ends_with("-8");
        match call.nth {
            1..=9 if fails => Answer::status(500),
            _ if call.token.ends_with("-8") => Answer::rejected(),
            _ => Answer::revoked(),
        }
    })
    .await;
    let swept = Swept::tokens(10);
    let launch = swept.launch(&endpoint).set("retry.hold", "200ms").set("retry.park", "200ms");
    let (run, status) = launch.run().await;
    assert_eq!(status.code(), Some(3), "{}", run.stderr());
    let journal = std::fs::read_to_string(swept.journal()).unwrap();
    assert!(journal.contains("\"outcome\":\"parked\""), "nothing was parked");
    let entries = swept.entries();
    assert_eq!(
        (&entries[&7]["outcome"], &entries[&7]["attempts"]),
        (&"revoked".into(), &10.into())
    );
    assert_eq!(entries[&8]["reason"], "rejected_after_ambiguity");
    assert_eq!(entries[&8]["ambiguity"], "attempt");
    assert_eq!(endpoint.count(), 8 + 2 * 10);
}

/// After SIGTERM, it finishes and records its calls, and reports that it is incomplete. The next run calls the rest,
/// calls nothing twice, and has no ambiguous lines.
#[tokio::test(flavor = "multi_thread")]
async fn sigterm_finishes_calls_and_the_next_run_continues() {
    const LINES: usize = 100;
    const CALLING: usize = 10;
    let gate = Gate::default();
    let held = gate.clone();
    // Tokens that are not called in the first run are rejected, so that any ambiguity would show.
    let endpoint = Endpoint::start(move |_| {
        if held.is_open() { Answer::rejected() } else { Answer::revoked().after(&held) }
    })
    .await;
    let swept = Swept::tokens(LINES);
    let launch =
        swept.launch(&endpoint).set("flow.concurrency.max", CALLING).set("shutdown.grace", "10m");
    let first = launch.clone().arg("--admin").arg("127.0.0.1:0").start();
    first
        .until_metrics("every line to be in flight", |metrics| {
            let in_flight = |state| metrics.value(&format!("jobs_in_flight{{state=\"{state}\"}}"));
            in_flight("calling") == CALLING && in_flight("waiting") == LINES - CALLING
        })
        .await;
    endpoint.until_count(CALLING).await;
    first.signal("TERM");
    swept
        .until_journal("the waiting jobs to be put back", |journal| {
            journal.matches("handed_back").count() == LINES - CALLING
        })
        .await;
    assert!(first.exited().is_none(), "it did not wait for its calls");
    assert_eq!(endpoint.count(), CALLING, "a call began after the signal");
    gate.open();
    assert_eq!(first.exit().await.code(), Some(1), "{}", first.stderr());
    assert!(first.stdout().contains("not finished"), "{}", first.stdout());
    assert_eq!(swept.lines_with("revoked").len(), CALLING);

    let (second, status) = launch.run().await;
    assert_eq!(status.code(), Some(3), "{}", second.stderr());
    assert_eq!(endpoint.count(), LINES, "a token was called twice");
    let failed = swept.failed();
    assert_eq!(failed.len(), LINES - CALLING);
    assert!(failed.values().all(|reason| reason == "rejected"), "doubt without a reason");
}

/// A second signal does not wait: the calls in flight are ambiguous, and are made again.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_sigterm_ends_at_once_and_leaves_doubt() {
    const CALLING: usize = 5;
    let gate = Gate::default();
    let held = gate.clone();
    let endpoint = Endpoint::start(move |call| match call.nth {
        1 => Answer::revoked().after(&held),
        _ => Answer::rejected(),
    })
    .await;
    let swept = Swept::tokens(CALLING);
    let launch =
        swept.launch(&endpoint).set("endpoint.timeout", "10m").set("shutdown.grace", "10m");
    let first = launch.start();
    endpoint.until_count(CALLING).await;
    first.signal("TERM");
    first.until_logged("stopping").await;
    first.signal("TERM");
    assert_eq!(first.exit().await.code(), Some(1), "{}", first.stderr());
    assert!(!gate.is_open(), "no call had ended");
    gate.open();
    let (_, status) = launch.run().await;
    assert_eq!(status.code(), Some(3));
    assert_eq!(endpoint.count(), 2 * CALLING);
    assert!(swept.failed().values().all(|reason| reason == "rejected_after_ambiguity"));
}

/// Calls that outlast the grace are given up: an orderly end, but their tokens may be revoked.
#[tokio::test(flavor = "multi_thread")]
async fn the_grace_ends_a_stop() {
    const CALLING: usize = 5;
    let endpoint = Endpoint::start(|call| match call.nth {
        1 => Answer::Never,
        _ => Answer::rejected(),
    })
    .await;
    let swept = Swept::tokens(CALLING);
    let launch =
        swept.launch(&endpoint).set("endpoint.timeout", "10m").set("shutdown.grace", "200ms");
    let first = launch.start();
    endpoint.until_count(CALLING).await;
    first.signal("INT");
    assert_eq!(first.exit().await.code(), Some(1), "{}", first.stderr());
    let (_, status) = launch.run().await;
    assert_eq!(status.code(), Some(3));
    assert!(swept.failed().values().all(|reason| reason == "rejected_after_ambiguity"));
    assert_eq!(swept.failed().len(), CALLING);
}
