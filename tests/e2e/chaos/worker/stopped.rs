//! The worker is suspended, or stopped.

use crate::{
    chaos::{Area, Case, Evidence, Plan, sized},
    harness::{BULK, INTERACTIVE, Worker},
};

/// The worker is suspended by SIGSTOP until the broker has ended its session, then resumed. It must not ack by the tags
/// of the ended session.
#[tokio::test(flavor = "multi_thread")]
async fn sigstop_past_two_heartbeats() {
    let mut case = Plan::new(Area::Worker, "SIGSTOP past two heartbeats").jobs(1_000).begin().await;
    case.launch = case.launch.set("broker.heartbeat", "1s");
    case.publish_all().await;
    let worker = case.ready().await;
    case.until_called_for(0.3).await;
    worker.signal("STOP");
    for queue in [INTERACTIVE, BULK] {
        case.stage.amqp.after_consumers(queue).await;
    }
    worker.signal("CONT");
    let metrics = worker
        .until_metrics("the end of both sessions", |metrics| {
            metrics.sessions("connection_lost") >= 2
        })
        .await;
    let lost = metrics.sessions("connection_lost");
    // On a busy machine a second of silence may come again by itself, so the bound is set at the end.
    case.until_settled(&[&worker]).await;
    let sessions = worker.metrics().await.sessions("connection_lost");
    let bound = case.in_flight_of(sessions);
    case.close([worker], Evidence::of(lost, "sessions ended by connection_lost"), bound).await;
}

/// A worker with all its calls held open, after SIGTERM.
async fn with_slow_calls(fault: &'static str) -> (Case, Worker) {
    let mut case = Plan::new(Area::Worker, fault).begin().await;
    case.hold_at(0.3);
    case.launch = case.launch.set("shutdown.grace", "10m");
    case.publish_all().await;
    let worker = case.ready().await;
    case.until_held_at(0.3).await;
    worker.signal("TERM");
    // The system merges a second signal with one that is still pending.
    worker.until_logged("shutting down").await;
    // Waiting jobs are requeued before the calls end, and answered ones are acked. So only the held calls are in flight.
    let waiting = case.part(1.0) - case.endpoint.count();
    case.until_waiting(waiting).await;
    let left = waiting + case.calls_at_a_time();
    let lanes = [INTERACTIVE, BULK];
    case.stage
        .host
        .until_stored(&lanes, "hold the jobs without an answer", |now| now == left)
        .await;
    assert!(worker.exited().is_none(), "it did not wait for its calls");
    (case, worker)
}

/// The calls in flight end in their own time.
#[tokio::test(flavor = "multi_thread")]
async fn sigterm_with_slow_calls() {
    let (mut case, worker) = with_slow_calls("SIGTERM with slow calls").await;
    let calls = case.calls_at_a_time();
    case.script.release();
    let status = worker.exit().await;
    assert_eq!(status.code(), Some(0), "{}", worker.stderr());
    let next = case.ready().await;
    let bound = case.calls_at_a_time();
    case.close([next], Evidence::of(calls, "calls open at the signal"), bound).await;
}

/// The second signal does not wait for them.
#[tokio::test(flavor = "multi_thread")]
async fn two_sigterms() {
    let (mut case, worker) = with_slow_calls("two SIGTERMs").await;
    let calls = case.calls_at_a_time();
    worker.signal("TERM");
    let status = worker.exit().await;
    assert_eq!(status.code(), Some(1), "{}", worker.stderr());
    assert_eq!(worker.said("ended at once by a second signal").len(), 1, "{}", worker.stderr());
    case.script.release();
    let next = case.ready().await;
    let bound = case.calls_at_a_time();
    case.close([next], Evidence::of(calls, "calls cut off by the second signal"), bound).await;
}

/// Three workers, each replaced in turn while the others continue.
#[tokio::test(flavor = "multi_thread")]
async fn rolling_restart_of_three() {
    let plan = Plan::new(Area::Worker, "rolling restart of three").jobs(sized(1_500, 5_000));
    let mut case = plan.begin().await;
    case.publish_all().await;
    let mut workers = Vec::new();
    for _ in 0..3 {
        workers.push(case.ready().await);
    }
    let mut restarts = 0;
    for share in [0.2, 0.4, 0.6] {
        case.until_called_for(share).await;
        workers.remove(0).stop().await;
        workers.push(case.ready().await);
        restarts += 1;
    }
    let bound = restarts * case.calls_at_a_time();
    case.close(workers, Evidence::of(restarts, "workers replaced"), bound).await;
}
