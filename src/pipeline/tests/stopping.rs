//! Tests of the jobs that return to the source.

use super::*;

#[tokio::test(start_paused = true)]
async fn draining_requeues_waiting_jobs_and_finishes_calls() {
    let answers = [Answer::Verdict(transient(false)), Answer::Gated(Verdict::Revoked)];
    let mut bench = bench_with(answers, 1, false);
    bench.deliver(); // Fails and waits.
    bench.until_called(1).await;
    bench.deliver(); // In its call.
    bench.until_called(2).await;
    bench.deliver(); // Waits for a permit.
    bench.pipeline.stop.start_draining();
    assert_eq!(bench.next().await, Out::Requeued(None));
    assert_eq!(bench.next().await, Out::Requeued(None));
    bench.pipeline.endpoint.gate.add_permits(1);
    assert_eq!(bench.next().await, Out::Done);
    bench.deliver(); // Came too late.
    assert_eq!(bench.next().await, Out::Requeued(None));
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn when_cut_off_calls_and_settlements_are_given_back_too() {
    let answers = [Answer::Gated(Verdict::Revoked), Answer::Verdict(rejected())];
    let mut bench = bench(answers);
    bench.deliver();
    bench.until_called(1).await;
    bench.deliver_with(r#"{"refresh_token":"t"}"#, |delivery| delivery.stuck = true);
    bench.until_called(2).await;
    bench.pipeline.stop.cut_off();
    let mut left = [bench.next().await, bench.next().await];
    left.sort_by_key(|out| *out == Out::Dropped);
    assert!(
        matches!(left, [Out::Requeued(Some(Ambiguity::Attempt)) | Out::Dropped, Out::Dropped]),
        "{left:?}"
    );
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_job_in_flight_for_ten_minutes_is_requeued() {
    let mut bench = bench([]);
    bench.pipeline.flow.hold(true);
    let began = Instant::now();
    bench.deliver();
    assert_eq!(bench.next().await, Out::Requeued(None));
    assert_eq!(began.elapsed(), Duration::from_secs(600));
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_job_that_waits_when_its_session_is_lost_is_not_called() {
    let mut bench = bench([]);
    bench.pipeline.flow.hold(true);
    let lost = CancellationToken::new();
    bench.deliver_with(r#"{"refresh_token":"t"}"#, |delivery| delivery.lost = lost.clone());
    tokio::task::yield_now().await;
    lost.cancel();
    assert_eq!(bench.next().await, Out::Requeued(None));
    bench.pipeline.flow.hold(false);
    assert_eq!(bench.pipeline.endpoint.began.load(Ordering::SeqCst), 0);
    bench.end().await;
}
