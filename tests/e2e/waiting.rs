//! A job that fails by itself waits, is parked or expires without delaying others.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use time::{OffsetDateTime, macros};

use crate::harness::{
    Answer, AnswerKind, BULK, DEAD, Endpoint, Gate, INTERACTIVE, Message, Stage, scrape::Scrape,
    token,
};

/// The bulk lane's retry queue with the longest delay used here.
const LONG_DELAY: &str = "revocations.retry.bulk.1h";

/// A failing job without any other is parked again and again, whether or not its failure pauses the worker. It
/// does not stay in flight, and is revoked when the failure is over.
#[tokio::test(flavor = "multi_thread")]
async fn a_single_failing_job_in_a_quiet_pipeline_is_parked() {
    let failures: [(fn() -> Answer, bool); 2] =
        [(|| Answer::status(503), true), (|| Answer::rejected().with_status(500), false)];
    for (failure, pauses) in failures {
        let stage = Stage::new().await;
        let over = Gate::default();
        let mended = over.clone();
        let endpoint =
            Endpoint::start(move |_| if mended.is_open() { Answer::revoked() } else { failure() })
                .await;
        let worker = stage
            .run(&endpoint)
            .set("retry.hold", "500ms")
            .set("retry.max", "100ms")
            .set("flow.pause.after_failures", 3)
            .set("flow.pause.probe_initial", "100ms")
            .set("flow.pause.probe_max", "200ms")
            .ready()
            .await;
        stage.amqp.publish(INTERACTIVE, Message::job(&token(1))).await;
        let parked = r#"deferrals_total{how="parked",lane="interactive"}"#;
        let metrics = worker.until_metrics("stays", |metrics| metrics.value(parked) >= 3).await;
        assert!(metrics.calls("http_5xx") >= 3, "the fault happened");
        if pauses {
            worker.until_log_lines("paused", 1).await;
        }
        over.open();
        worker.until_processed("revoked", 1).await;
        stage.host.until_acked(&[INTERACTIVE]).await;
        worker.signal("TERM");
        assert_eq!(worker.exit().await.code(), Some(0), "{}", worker.stderr());
        assert_eq!(worker.said("paused").is_empty(), !pauses);
        assert_eq!(stage.amqp.after_consumers(INTERACTIVE).await, 0);
        assert_eq!(stage.amqp.depth(DEAD).await.unwrap().ready, 0);
    }
}

/// Forty failing jobs before twenty healthy ones, and a prefetch of eight: jobs that back off fill at most
/// half of the prefetch, so the healthy jobs are done.
#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_back_off_leave_half_of_the_prefetch_to_others() {
    const FAILING: usize = 40;
    const HEALTHY: usize = 20;
    const PREFETCH: usize = 8;
    let stage = Stage::new().await;
    let endpoint = Endpoint::start(|call| {
        let n: usize = call.token.rsplit('-').next().unwrap().parse().unwrap();
        if n < FAILING { Answer::rejected().with_status(500) } else { Answer::revoked() }
    })
    .await;
    stage.amqp.declare_family().await;
    stage.amqp.publish_all(BULK, (0..FAILING + HEALTHY).map(|n| Message::job(&token(n)))).await;
    let worker = stage
        .run(&endpoint)
        .set("broker.prefetch", PREFETCH)
        .set("flow.concurrency.max", PREFETCH / 2)
        .set("retry.initial", "5m")
        .set("retry.max", "5m")
        .set("retry.hold", "10m")
        .set("retry.park", "1h")
        .ready()
        .await;

    worker.until_processed("revoked", HEALTHY).await;
    let parked = u32::try_from(FAILING - PREFETCH / 2).unwrap();
    stage.amqp.until_ready(LONG_DELAY, parked).await;
    let metrics = worker.metrics().await;
    assert_eq!(metrics.value(r#"jobs_in_flight{state="backing_off"}"#), PREFETCH / 2);
    assert_eq!(metrics.calls("http_5xx"), FAILING, "the fault happened, once for each");
    assert_eq!(metrics.value("paused"), 0);
    worker.stop().await;
}

/// 429 with `Retry-After`, in seconds or as a date: only this job waits for that long, while a third one has to wait
/// for longer than the test.
#[tokio::test(flavor = "multi_thread")]
async fn a_429_with_retry_after_delays_its_job_alone() {
    const OTHERS: usize = 50;
    let date = macros::format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    let stage = Stage::new().await;
    let limited = [token(0), token(1)];
    let patient = token(2);
    let script = [token(0), token(1), token(2)];
    let endpoint = Endpoint::start(move |call| match (call.nth, &call.token) {
        (1, limited) if *limited == script[0] => Answer::status(429).with_header("retry-after", &2),
        (1, limited) if *limited == script[1] => {
            // A date has no fractions: this is two seconds away, and up to three.
            let at = OffsetDateTime::now_utc() + Duration::from_secs(3);
            Answer::status(429).with_header("retry-after", &at.format(&date).unwrap())
        }
        (1, limited) if *limited == script[2] => {
            Answer::status(429).with_header("retry-after", &300)
        }
        _ => Answer::revoked(),
    })
    .await;
    let worker = stage.run(&endpoint).ready().await;
    stage.amqp.publish_all(BULK, (0..OTHERS + 3).map(|n| Message::job(&token(n)))).await;

    worker.until_processed("revoked", OTHERS + 2).await;
    let faults = |metrics: &Scrape| metrics.calls("http_429") == 3;
    let metrics = worker.until_metrics("the faults", faults).await;
    assert_eq!(endpoint.of(&patient).len(), 1, "it did not wait");
    for token in limited {
        let calls = endpoint.of(&token);
        let waited = calls[1].arrived - calls[0].arrived;
        assert!(waited >= Duration::from_secs(2), "{token} waited {waited:?}");
    }
    assert_eq!(metrics.value("paused"), 0);
    worker.stop().await;
}

/// 503 with `Retry-After` for all jobs: the first probe of the following pause waits for that long, for any job.
#[tokio::test(flavor = "multi_thread")]
async fn a_503_with_retry_after_delays_the_first_probe() {
    const AFTER_FAILURES: usize = 3;
    const JOBS: usize = 10;
    let stage = Stage::new().await;
    let seen = AtomicUsize::new(0);
    let all_wait = Gate::default();
    let gate = all_wait.clone();
    let endpoint = Endpoint::start(move |_| {
        if seen.fetch_add(1, Ordering::SeqCst) < AFTER_FAILURES {
            Answer::status(503).with_header("retry-after", &2).after(&gate)
        } else {
            Answer::revoked()
        }
    })
    .await;
    stage.amqp.declare_family().await;
    stage.amqp.publish_all(BULK, (0..JOBS).map(|n| Message::job(&token(n)))).await;
    let worker = stage
        .run(&endpoint)
        .on_one_thread()
        .set("flow.concurrency.max", 1)
        .set("flow.pause.after_failures", AFTER_FAILURES)
        .set("flow.pause.probe_initial", "100ms")
        .ready()
        .await;

    // Jobs with a `Retry-After` wait behind all others from then on.
    let series = r#"deliveries_total{lane="bulk",redelivered="false"}"#;
    worker.until_metrics("all jobs in the lane", |metrics| metrics.value(series) == JOBS).await;
    all_wait.open();
    let metrics = worker.until_processed("revoked", JOBS).await;
    assert_eq!(metrics.calls("http_5xx"), AFTER_FAILURES, "the fault happened");
    worker.until_log_lines("paused", 1).await;
    let calls = endpoint.calls();
    let waited = calls[AFTER_FAILURES].arrived - calls[AFTER_FAILURES - 1].arrived;
    assert!(waited >= Duration::from_secs(2), "the first probe came after {waited:?}");
    // The probe was a job without its own `Retry-After`.
    assert!(calls[..AFTER_FAILURES].iter().all(|call| call.token != calls[AFTER_FAILURES].token));
    worker.stop().await;
}

/// `Retry-After` of a day is clamped to the limit, and logged only once.
#[tokio::test(flavor = "multi_thread")]
async fn a_retry_after_of_a_day_is_clamped_and_logged_once() {
    const JOBS: usize = 5;
    let stage = Stage::new().await;
    let endpoint = Endpoint::start(|call| match call.nth {
        1 => Answer::status(429).with_header("retry-after", &86_400),
        2 => Answer::status(503).with_header("retry-after", &"soon, or in -1 seconds"),
        _ => Answer::revoked(),
    })
    .await;
    let worker = stage.run(&endpoint).set("retry.retry_after_max", "1s").ready().await;
    stage.amqp.publish_all(BULK, (0..JOBS).map(|n| Message::job(&token(n)))).await;

    let metrics = worker.until_processed("revoked", JOBS).await;
    assert_eq!(metrics.calls("http_429"), JOBS, "the fault happened");
    for n in 0..JOBS {
        let calls = endpoint.of(&token(n));
        assert!(calls[1].arrived - calls[0].arrived >= Duration::from_secs(1));
    }
    assert_eq!(worker.until_log_lines("the server's Retry-After", 1).await.len(), 1);
    worker.stop().await;
}

/// A token that dies while its job is parked needs no call when it comes back. The job is called at once, and parked
/// when another one takes its place among the jobs that back off.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_expires_in_a_retry_queue_is_not_called_for() {
    const LIFE: Duration = Duration::from_secs(10);
    const STAY: Duration = Duration::from_secs(11);
    // The allowed clock skew of docs/jobs.md: an expired token is still called within this time.
    const ALLOWED_SKEW: Duration = Duration::from_secs(60);
    let stage = Stage::new().await;
    let endpoint = Endpoint::start(|_| Answer::status(429)).await;
    let worker = stage
        .run(&endpoint)
        .set("broker.prefetch", 2)
        .set("flow.concurrency.max", 1)
        .set("retry.initial", "5m")
        .set("retry.max", "5m")
        .set("retry.hold", "10m")
        .set("retry.park", humantime::format_duration(STAY))
        .ready()
        .await;
    let expires = OffsetDateTime::now_utc() + LIFE - ALLOWED_SKEW;
    let body =
        serde_json::json!({ "refresh_token": token(1), "expires_at": expires.unix_timestamp() });
    let published = Instant::now();
    stage.amqp.publish(INTERACTIVE, Message::new(body.to_string())).await;
    let backing_off = r#"jobs_in_flight{state="backing_off"}"#;
    worker.until_metrics("the fault", |metrics| metrics.value(backing_off) == 1).await;
    stage.amqp.publish(INTERACTIVE, Message::job(&token(2))).await;
    let parked = r#"deferrals_total{how="parked",lane="interactive"}"#;
    worker.until_metrics("the stay", |metrics| metrics.value(parked) == 1).await;

    let metrics = worker.until_processed("expired", 1).await;
    assert!(published.elapsed() >= STAY, "it had no stay");
    assert_eq!(metrics.value(parked), 1);
    assert_eq!(metrics.processed("dead_lettered"), 0);
    stage.host.until_stored(&[INTERACTIVE], "hold the other one", |count| count == 1).await;
    worker.stop().await;
    assert_eq!(endpoint.of(&token(1)).len(), 1, "it was called for again");
    assert!(endpoint.told(AnswerKind::Revoked).is_empty());
    assert_eq!(stage.amqp.after_consumers(INTERACTIVE).await, 1, "the other one alone comes back");
}
