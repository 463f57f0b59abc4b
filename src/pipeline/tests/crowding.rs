//! Tests of a lane whose source stalls because of its bytes in flight.

use tokio::sync::watch;

use super::*;
use crate::domain::PerLane;

/// The time after which RabbitMQ closes a connection that is not read.
const CLOSED_AFTER: Duration = Duration::from_secs(30);

/// Sets whether the interactive lane stalls, until it is dropped.
fn stall(bench: &Bench) -> watch::Sender<bool> {
    let (stalls, interactive) = watch::channel(true);
    let pipeline = Arc::clone(&bench.pipeline);
    tokio::spawn(async move {
        let bulk = watch::channel(false).1;
        pipeline.make_room(PerLane { interactive, bulk }).await;
    });
    stalls
}

#[tokio::test(start_paused = true)]
async fn a_failed_job_is_parked_with_its_history_while_its_lane_stalls() {
    let answers = [transient(false), transient(true), transient(false), transient(false)];
    let mut bench = bench(answers.map(Answer::Verdict));
    let _stalls = stall(&bench);
    let began = Instant::now();
    bench.deliver();
    let Out::Parked(STAY, history) = bench.next().await else { panic!("not parked") };
    assert!(began.elapsed() < CLOSED_AFTER, "{:?}", began.elapsed());
    assert_eq!(history.attempts, 3);
    assert_eq!(history.ambiguity, Some(Ambiguity::Attempt));
    assert!(history.first_failed_at.is_some());
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_waiting_job_leaves_with_its_history_while_its_lane_stalls() {
    let answers = [Answer::Verdict(transient(false)), Answer::Gated(Verdict::Revoked)];
    let mut bench = bench_with(answers, 1, false);
    bench.deliver();
    bench.until_called(1).await;
    // This job takes the only place. The first job and a new one wait.
    bench.deliver();
    bench.until_called(2).await;
    bench.deliver();
    let began = Instant::now();
    let _stalls = stall(&bench);
    assert_eq!(bench.next().await, Out::Requeued(None));
    let Out::Parked(STAY, history) = bench.next().await else { panic!("not parked") };
    assert_eq!(history.attempts, 1);
    assert!(began.elapsed() < CLOSED_AFTER, "{:?}", began.elapsed());
    bench.pipeline.endpoint.gate.add_permits(1);
    assert_eq!(bench.next().await, Out::Done, "a call under way is none to leave");
    bench.end().await;
}
