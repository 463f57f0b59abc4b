//! Jobs that share one call.

use super::*;

/// A duplicate waits for another job's call, which may be in progress. So it is requeued as one that may have been
/// revoked, like the job that makes the call.
#[tokio::test(start_paused = true)]
async fn a_duplicate_that_is_cut_off_may_have_been_revoked() {
    let mut bench = bench([Answer::Gated(Verdict::Revoked)]);
    bench.deliver_same();
    bench.until_called(1).await;
    bench.deliver_same();
    tokio::task::yield_now().await;
    bench.pipeline.stop.cut_off();
    let mut left = [bench.next().await, bench.next().await];
    left.sort_by_key(|out| *out == Out::Requeued(Some(Ambiguity::Attempt)));
    let doubts = [Ambiguity::Redelivered, Ambiguity::Attempt];
    assert_eq!(left, doubts.map(|doubt| Out::Requeued(Some(doubt))));
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn one_token_a_hundred_times_is_one_call_also_while_draining() {
    let mut bench = bench([Answer::Gated(Verdict::Revoked)]);
    (0..100).for_each(|_| bench.deliver_same());
    bench.until_called(1).await;
    bench.pipeline.stop.start_draining();
    tokio::task::yield_now().await;
    bench.pipeline.endpoint.gate.add_permits(1);
    for _ in 0..100 {
        assert_eq!(bench.next().await, Out::Done);
    }
    // The first job has ended, but its key is remembered.
    bench.deliver_same();
    assert_eq!(bench.next().await, Out::Done);
    let metrics = bench.end().await;
    assert!(metrics.contains(r#"{lane="interactive",outcome="revoked"} 1"#));
    assert!(metrics.contains(r#"{lane="interactive",outcome="duplicate"} 100"#));
}

#[tokio::test(start_paused = true)]
async fn followers_share_a_rejection_and_the_ambiguity() {
    let mut bench = bench([transient(true), rejected()].map(Answer::Verdict));
    (0..3).for_each(|_| bench.deliver_same());
    for _ in 0..3 {
        assert!(matches!(bench.next().await, Out::Dead(Reason::RejectedAfterAmbiguity, _)));
    }
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn followers_of_a_token_that_fails_are_parked_after_one_attempt_each() {
    let mut bench = bench((0..100).map(|_| Answer::Verdict(transient(true))));
    (0..5).for_each(|_| bench.deliver_same());
    let began = Instant::now();
    let mut pasts = Vec::new();
    for _ in 0..5 {
        let Out::Parked(STAY, history) = bench.next().await else { panic!("not parked") };
        pasts.push(history);
    }
    assert!(began.elapsed() < HOLD * 2);
    assert!(pasts[1..].iter().all(|past| past.attempts == 1), "{pasts:?}");
    // After the stay, the token has failed for the whole hold, counting all jobs' attempts.
    bench.deliver_with(r#"{"refresh_token":"t"}"#, |back| back.metadata.history = pasts[4]);
    let Out::Parked(_, history) = bench.next().await else { panic!("not parked") };
    assert_eq!((history.stays, history.attempts), (2, 2));
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_job_whose_leader_panicked_calls_for_itself_and_knows_of_the_ambiguity() {
    let mut bench = bench([Answer::Panic, Answer::Verdict(rejected())]);
    bench.pipeline.flow.hold(true);
    (0..2).for_each(|_| bench.deliver_same());
    // Both jobs have entered before the first call.
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    bench.pipeline.flow.hold(false);
    let mut reasons = Vec::new();
    for _ in 0..2 {
        let Out::Dead(reason, _) = bench.next().await else { panic!("not dead") };
        reasons.push(reason);
    }
    assert_eq!(reasons, [Reason::InternalError, Reason::RejectedAfterAmbiguity]);
    bench.end().await;
}
