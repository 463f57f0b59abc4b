//! The worker's own code fails.

use crate::{
    chaos::{Area, Ending, Evidence, Plan, Trial},
    harness::{
        DEAD, INTERACTIVE, Message, Worker, failing_clock::FailingClock, scrape::Scrape, token,
    },
};

/// Whoever takes a delivery from the broker asks for the time of day once; then its job may.
const BY_THE_SESSION: usize = 1;

/// A worker with calls held open and nothing else in hand, whose clock fails after so many looks. Nobody
/// else asks for the time of day: the answers wait, and there is no other job.
async fn with_calls_held(fault: &'static str, after: usize) -> (Trial, Worker, FailingClock) {
    let clock = FailingClock::new();
    let mut trial = Plan::new(Area::Worker, fault).begin().await;
    trial.launch = clock.steer(trial.launch, after);
    trial.hold_at(0.5);
    let worker = trial.ready().await;
    let calling = trial.calls_at_a_time();
    trial.publish(trial.part(0.5) + calling).await;
    trial.until_held_at(0.5).await;
    let answered = trial.part(0.5);
    let held = |now: &Scrape| now.sum("revocations_processed_total") == answered;
    worker.until_metrics("nothing to be done but the calls", held).await;
    (trial, worker, clock)
}

/// What the log told of panics; then the rest of the work.
async fn go_on(mut trial: Trial, worker: Worker, clock: FailingClock, bound: usize) {
    let panics = worker.until_said("a panic", 1).await.len();
    assert!(clock.has_failed(), "nobody asked for the time");
    trial.law.release();
    trial.publish_all().await;
    trial.close([worker], Evidence::of(panics, "panics in the log"), bound).await;
}

/// In one job: that job is dead, and nothing else is touched.
#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_one_job() {
    const REASON: &str = "internal_error";
    let (mut trial, worker, clock) = with_calls_held("a panic in one job", BY_THE_SESSION).await;
    let dead = trial.stage.amqp.depth(DEAD).await.map_or(0, |depth| depth.ready);
    clock.fail();
    let victim = token(usize::MAX);
    // Far from its end; but a job whose token has one looks at the clock before its call.
    let job = serde_json::json!({ "refresh_token": victim, "expires_at": 4_000_000_000_u64 });
    let job = Message::new(job.to_string());
    trial.publish_own(INTERACTIVE, job, &victim, Ending::Dead(&[REASON])).await;
    let one_more = |depth: crate::harness::amqp::Depth| depth.ready == dead + 1;
    trial.stage.amqp.until_depth(DEAD, "get the job", one_more).await;
    go_on(trial, worker, clock, 0).await;
}

/// In the session with the broker: it is rebuilt, and what was in hand comes again.
#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_the_session() {
    let (mut trial, worker, clock) = with_calls_held("a panic in the session", 0).await;
    clock.fail();
    trial.publish(1).await;
    // Not by the metrics yet: whoever serves them asks for the time of day as well.
    worker.until_said("a panic", 1).await;
    let lost = "channel_closed";
    worker.until_metrics(lost, |metrics| metrics.sessions(lost) > 0).await;
    let bound = trial.in_hand_of(1);
    go_on(trial, worker, clock, bound).await;
}
