//! The worker's own code panics.

use crate::{
    chaos::{Area, Case, Ending, Evidence, Plan},
    harness::{
        DEAD, INTERACTIVE, Message, Worker, failing_clock::FailingClock, scrape::Scrape, token,
    },
};

/// The session reads the time once per delivery. After that, the job may read it.
const BY_THE_SESSION: usize = 1;

/// Starts a worker with held calls and no other job in flight. Its clock fails after this many readings. No other code
/// reads the time of day.
async fn with_calls_held(fault: &'static str, after: usize) -> (Case, Worker, FailingClock) {
    let clock = FailingClock::new();
    let mut case = Plan::new(Area::Worker, fault).begin().await;
    case.launch = clock.control(case.launch, after);
    case.hold_at(0.5);
    let worker = case.ready().await;
    let calling = case.calls_at_a_time();
    case.publish(case.part(0.5) + calling).await;
    case.until_held_at(0.5).await;
    let answered = case.part(0.5);
    let held = |now: &Scrape| now.sum("revocations_processed_total") == answered;
    worker.until_metrics("nothing to be done but the calls", held).await;
    (case, worker, clock)
}

/// Counts the panics in the log, then finishes the work.
async fn go_on(mut case: Case, worker: Worker, clock: FailingClock, bound: usize) {
    let panics = worker.until_log_lines("a panic", 1).await.len();
    assert!(clock.has_failed(), "nobody asked for the time");
    case.script.release();
    case.publish_all().await;
    case.close([worker], Evidence::of(panics, "panics in the log"), bound).await;
}

/// A panic in one job: that job becomes a dead letter, and no other is affected.
#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_one_job() {
    const REASON: &str = "internal_error";
    let (mut case, worker, clock) = with_calls_held("a panic in one job", BY_THE_SESSION).await;
    let dead = case.stage.amqp.depth(DEAD).await.map_or(0, |depth| depth.ready);
    clock.fail();
    let victim = token(usize::MAX);
    // The expiry is far away, but a job with an expiry reads the clock before its call.
    let job = serde_json::json!({ "refresh_token": victim, "expires_at": 4_000_000_000_u64 });
    let job = Message::new(job.to_string());
    case.publish_own(INTERACTIVE, job, &victim, Ending::Dead(&[REASON])).await;
    let one_more = |depth: crate::harness::amqp::Depth| depth.ready == dead + 1;
    case.stage.amqp.until_depth(DEAD, "get the job", one_more).await;
    go_on(case, worker, clock, 0).await;
}

/// A panic in the session with the broker: the session is rebuilt, and the jobs in flight are redelivered.
#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_the_session() {
    let (mut case, worker, clock) = with_calls_held("a panic in the session", 0).await;
    clock.fail();
    case.publish(1).await;
    // Not the metrics, because serving them also reads the time of day.
    worker.until_log_lines("a panic", 1).await;
    let lost = "channel_closed";
    worker.until_metrics(lost, |metrics| metrics.sessions(lost) > 0).await;
    let bound = case.in_flight_of(1);
    go_on(case, worker, clock, bound).await;
}
