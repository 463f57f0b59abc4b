//! Tests of the checks of tokens by introspection: their proof, their cost, and jobs without an answer. The real
//! authorization servers have tests of their own.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use base64::{Engine as _, prelude::BASE64_STANDARD};

use crate::harness::{
    Answer, Call, DEAD, Endpoint, INTERACTIVE, Launch, Message, Stage, Swept, Worker, canary,
    scrape::Scrape, token, worker::field,
};

/// The client of the checks.
const WATCHER: &str = "watcher";

/// A token of the job, as introspection shows it.
fn state(active: bool) -> Answer {
    let body = serde_json::json!({ "active": active, "username": "commerce@email.com" });
    Answer::body("application/json", body.to_string())
}

/// Whether a call authenticates the client of the checks.
fn is_watcher(call: &Call) -> bool {
    let secret = canary::SECRET.replace('+', "%2B").replace('/', "%2F");
    let pair = BASE64_STANDARD.encode(format!("{WATCHER}:{secret}"));
    call.request.header("authorization") == Some(&format!("Basic {pair}"))
}

/// Introspection that reports a token as active until this many checks were made.
async fn active_for(checks: usize) -> Endpoint {
    Endpoint::start(move |call| {
        assert_eq!(call.request.form().len(), 1, "the token alone is sent");
        if is_watcher(call) { state(call.nth <= checks) } else { Answer::status(401) }
    })
    .await
}

/// Configures checks of tokens at that endpoint.
fn checked_by(launch: Launch, introspection: &Endpoint, when: &str) -> Launch {
    launch
        .set("verify.when", when)
        .set("verify.url", introspection.url())
        .set("verify.auth.client_id", WATCHER)
        .set("verify.auth.client_secret", canary::SECRET)
}

fn rfc7009(stage: &Stage, endpoint: &Endpoint) -> Launch {
    stage.run(endpoint).unset("endpoint.audience").set("endpoint.profile", "rfc7009")
}

fn checks(result: &str) -> String {
    format!("verifications_total{{result=\"{result}\"}}")
}

/// The metrics once this many jobs have ended. They are read again, because the series of one page may differ in age.
async fn ended(worker: &Worker, outcome: &str, count: usize) -> Scrape {
    worker.until_processed(outcome, count).await;
    worker.metrics().await
}

/// Active before and inactive after is a proof: the job is revoked, and the log names the proof.
#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledged_token_that_was_active_and_is_not_any_more_is_revoked() {
    let stage = Stage::new().await;
    let endpoint = Endpoint::start(|_| Answer::status(200)).await;
    let introspection = active_for(1).await;
    let launch = checked_by(rfc7009(&stage, &endpoint), &introspection, "before_and_after");
    let worker = launch.set("log.level", "debug").ready().await;
    stage.amqp.publish(INTERACTIVE, Message::job(&token(1))).await;
    let metrics = ended(&worker, "revoked", 1).await;
    assert_eq!((metrics.calls("acknowledged"), metrics.value(&checks("inactive"))), (1, 1));
    assert_eq!((endpoint.count(), introspection.count()), (1, 2));
    let lines = worker.until_log_lines("job ended", 1).await;
    assert_eq!(field(&lines[0], "proof"), Some("verified"), "{lines:?}");
    worker.stop().await;
}

/// "Inactive" without an active state before proves nothing, unless the operator trusts the server.
#[tokio::test(flavor = "multi_thread")]
async fn inactive_alone_proves_nothing_unless_it_is_trusted() {
    for (trusts, outcome, result) in
        [(false, "acknowledged", "untrusted"), (true, "revoked", "inactive")]
    {
        let stage = Stage::new().await;
        let endpoint = Endpoint::start(|_| Answer::status(200)).await;
        let introspection = active_for(0).await;
        let launch = checked_by(rfc7009(&stage, &endpoint), &introspection, "after");
        let worker = launch.set("verify.trusts_inactive", trusts).ready().await;
        stage.amqp.publish(INTERACTIVE, Message::job(&token(1))).await;
        let metrics = ended(&worker, outcome, 1).await;
        assert_eq!(metrics.value(&checks(result)), 1);
        assert_eq!((endpoint.count(), introspection.count()), (1, 1));
        worker.stop().await;
    }
}

/// A token that survives is revoked once more. Then its job becomes a dead letter with this reason.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_survives_is_revoked_once_more_and_then_a_dead_letter() {
    let stage = Stage::new().await;
    let endpoint = Endpoint::start(|_| Answer::status(200)).await;
    let introspection = active_for(usize::MAX).await;
    let worker = checked_by(rfc7009(&stage, &endpoint), &introspection, "after").ready().await;
    stage.amqp.publish(INTERACTIVE, Message::job(&token(1))).await;
    let letter = stage.amqp.take(DEAD, 1).await.remove(0);
    assert_eq!((letter.reason().as_str(), letter.token()), ("still_active", token(1)));
    assert_eq!(letter.int("x-revoker-attempts"), Some(2));
    let metrics = ended(&worker, "dead_lettered", 1).await;
    assert_eq!(metrics.processed("acknowledged"), 0);
    let series = r#"revocations_failed_total{lane="interactive",reason="still_active"}"#;
    assert_eq!((metrics.value(series), metrics.value(&checks("active"))), (1, 2));
    assert_eq!((endpoint.count(), introspection.count()), (2, 2));
    worker.stop().await;
}

/// The default profile: the answer to a call is lost, and the next call is rejected. A trusted check settles the job.
#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_check_settles_an_ambiguous_rejection() {
    for (active, expected) in [(false, None), (true, Some("rejected"))] {
        let stage = Stage::new().await;
        let endpoint = Endpoint::start(|call| match call.nth {
            1 => Answer::status(503),
            _ => Answer::rejected(),
        })
        .await;
        let introspection = active_for(if active { usize::MAX } else { 0 }).await;
        let launch = checked_by(stage.run(&endpoint), &introspection, "ambiguous");
        let worker = launch.set("verify.trusts_inactive", true).ready().await;
        stage.amqp.publish(INTERACTIVE, Message::job(&token(1))).await;
        let Some(reason) = expected else {
            let metrics = ended(&worker, "revoked", 1).await;
            assert_eq!((metrics.calls("http_5xx"), metrics.value(&checks("inactive"))), (1, 1));
            worker.stop().await;
            continue;
        };
        let letter = stage.amqp.take(DEAD, 1).await.remove(0);
        assert_eq!(
            (letter.reason().as_str(), letter.flag("x-revoker-ambiguous")),
            (reason, Some(false))
        );
        worker.stop().await;
    }
}

/// A check without an answer, here for a wrong secret, ends no job and repeats no call. Once the secret is right, all
/// end, without a restart.
#[tokio::test(flavor = "multi_thread")]
async fn jobs_wait_until_checks_are_answered() {
    const JOBS: usize = 20;
    /// The log names the failures after this many.
    const FAILING_AFTER: usize = 20;
    let stage = Stage::new().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    fs::write(&file, "another secret").unwrap();
    let endpoint = Endpoint::start(|_| Answer::status(200)).await;
    let introspection = active_for(0).await;
    let worker = checked_by(rfc7009(&stage, &endpoint), &introspection, "after")
        .unset("verify.auth.client_secret")
        .set("verify.auth.client_secret_file", file.display())
        .set("verify.trusts_inactive", true)
        .set("retry.hold", "10m")
        .ready()
        .await;
    stage.amqp.publish_all(INTERACTIVE, (0..JOBS).map(|n| Message::job(&token(n)))).await;
    let failed = |metrics: &Scrape| metrics.value(&checks("failed")) >= FAILING_AFTER;
    let metrics = worker.until_metrics("failed checks", failed).await;
    assert_eq!(metrics.sum("revocations_processed_total"), 0);
    let silent = "checks of tokens fail: jobs wait until one is answered";
    worker.until_log_lines(silent, 1).await;

    fs::write(folder.path().join("next"), canary::SECRET).unwrap();
    fs::rename(folder.path().join("next"), &file).unwrap();
    worker.signal("HUP");
    ended(&worker, "revoked", JOBS).await;
    worker.until_log_lines("secret of verify.auth replaced", 1).await;
    let again = worker.until_log_lines("the introspection endpoint answers again", 1).await;
    assert_eq!((worker.said(silent).len(), again.len()), (1, 1), "one line for all");
    assert_eq!(endpoint.count(), JOBS, "an answered call was repeated");
    worker.stop().await;
}

/// A stop waits for the check of an answered call.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_finishes_the_checks_of_answered_calls() {
    let stage = Stage::new().await;
    let endpoint = Endpoint::start(|_| Answer::status(200)).await;
    let answers = Arc::new(AtomicBool::new(false));
    let open = Arc::clone(&answers);
    let introspection = Endpoint::start(move |_| {
        if open.load(Ordering::SeqCst) { state(false) } else { Answer::status(503) }
    })
    .await;
    let worker = checked_by(rfc7009(&stage, &endpoint), &introspection, "after")
        .set("verify.trusts_inactive", true)
        .set("shutdown.grace", "10m")
        .ready()
        .await;
    stage.amqp.publish(INTERACTIVE, Message::job(&token(1))).await;
    let failed = |metrics: &Scrape| metrics.value(&checks("failed")) >= 1;
    worker.until_metrics("a failed check", failed).await;
    worker.signal("TERM");
    worker.until_logged("shutting down").await;
    answers.store(true, Ordering::SeqCst);
    assert_eq!(worker.exit().await.code(), Some(0), "{}", worker.stderr());
    stage.host.until_acked(&[INTERACTIVE]).await;
    assert_eq!(stage.amqp.after_consumers(INTERACTIVE).await, 0);
    assert_eq!(endpoint.count(), 1);
}

/// A sweep checks as well. Its journal keeps the proof, and the next run calls nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_journal_keeps_what_a_check_proved() {
    const LINES: usize = 20;
    let endpoint = Endpoint::willing().await;
    let introspection = active_for(1).await;
    let swept = Swept::tokens(LINES);
    let launch = checked_by(swept.launch(&endpoint), &introspection, "before_and_after");
    let (run, status) = launch.run().await;
    assert_eq!(status.code(), Some(0), "{}", run.stderr());
    let entries = swept.entries();
    assert_eq!(swept.lines_with("revoked").len(), LINES);
    assert!(entries.values().all(|entry| entry["proof"] == "verified"), "{entries:?}");
    let (run, status) = launch.run().await;
    assert_eq!(status.code(), Some(0), "{}", run.stderr());
    assert_eq!((endpoint.count(), introspection.count()), (LINES, 2 * LINES));
    canary::assert_clean("the journal", &fs::read(swept.journal()).unwrap());
}

/// `check` checks a token that is known to be alive: an endpoint that reports it as inactive is a fault.
#[tokio::test(flavor = "multi_thread")]
async fn check_tells_whether_a_live_token_is_called_active() {
    let (stage, endpoint) = (Stage::new().await, Endpoint::willing().await);
    stage.amqp.declare_family().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    fs::write(&file, token(1) + "\n").unwrap();
    let check = stage.launch("check").calling(&endpoint);
    let rows = async |launch: &Launch| {
        let (check, status) = launch.run().await;
        let is_of = |row: &&str| row.starts_with("introspection") && !row.contains(" set ");
        let rows: Vec<_> = check.stdout().lines().filter(is_of).map(str::to_owned).collect();
        (status.code(), rows)
    };
    let (code, found) = rows(&check).await;
    assert_eq!((code, found.len()), (Some(0), 0), "{found:?}");
    let check = check.arg("--live-token-file").arg(file.display());
    let (code, found) = rows(&check).await;
    assert_eq!(code, Some(2));
    assert!(found[0].contains("FAULT") && found[0].contains("verify.url is not set"), "{found:?}");

    for (introspection, code, words) in [
        (active_for(1).await, 0, "ok     calls the live token active"),
        (active_for(0).await, 2, "FAULT  calls the live token inactive"),
        (
            Endpoint::start(|_| Answer::status(503)).await,
            2,
            "FAULT  gives no answer: http_5xx, HTTP status 503",
        ),
    ] {
        let (status, found) = rows(&checked_by(check.clone(), &introspection, "never")).await;
        assert_eq!(status, Some(code), "{found:?}");
        assert!(found[0].contains("reached") && found[1].contains(words), "{found:?}");
        assert_eq!((introspection.count(), endpoint.count()), (1, 0));
    }
    fs::remove_file(&file).unwrap();
    let introspection = active_for(0).await;
    let (status, found) = rows(&checked_by(check, &introspection, "never")).await;
    assert_eq!(status, Some(2));
    assert!(found[1].contains("FAULT  the token's file cannot be read"), "{found:?}");
}
