//! A rate that all replicas share.

use super::*;

/// A replica of a fleet that shares ten calls a second.
fn of_fleet() -> Arc<Dispatcher> {
    running(&Settings { rate: Some(10.0), rate_scope: RateScope::Fleet, ..settings(8) })
}

/// Reports this number of replicas on both lanes, until the share is settled.
async fn settle(dispatcher: &Arc<Dispatcher>, replicas: u32) {
    for _ in 0..20 {
        for lane in Lane::ALL {
            dispatcher.counted(lane, Instant::now(), replicas);
        }
        tokio::time::advance(Duration::from_millis(500)).await;
    }
}

fn absent(dispatcher: &Arc<Dispatcher>) {
    for lane in Lane::ALL {
        dispatcher.absent(lane);
    }
}

#[tokio::test(start_paused = true)]
async fn a_replica_starts_its_share_of_the_fleets_rate() {
    let dispatcher = of_fleet();
    settle(&dispatcher, 2).await;
    drop(start(&dispatcher, Lane::Bulk).await);
    let began = Instant::now();
    for number in 1..4 {
        drop(start(&dispatcher, Lane::Bulk).await);
        assert_eq!(began.elapsed().as_millis(), number * 200);
    }
}

#[tokio::test(start_paused = true)]
async fn a_replica_without_a_share_of_the_fleets_rate_starts_nothing_but_probes() {
    let dispatcher = of_fleet();
    let mut waiting = Box::pin(start(&dispatcher, Lane::Bulk));
    assert!(waiting.as_mut().now_or_never().is_none(), "nobody counted it yet");
    settle(&dispatcher, 1).await;
    waiting.await.finish(FAILED);
    start(&dispatcher, Lane::Bulk).await.finish(FAILED);
    assert_ne!(dispatcher.status().borrow().phase, Phase::Running);
    absent(&dispatcher);
    let probe = start(&dispatcher, Lane::Bulk).await;
    assert!(probe.is_probe());
    probe.finish(CallOutcome::Revoked);
    assert_eq!(dispatcher.status().borrow().phase, Phase::Running);
    let mut waiting = Box::pin(start(&dispatcher, Lane::Bulk));
    assert!(waiting.as_mut().now_or_never().is_none(), "its consumers were cancelled");
    settle(&dispatcher, 1).await;
    assert!(waiting.now_or_never().is_some());
}

#[tokio::test(start_paused = true)]
async fn jobs_leave_where_they_keep_a_replica_from_its_share() {
    let dispatcher = of_fleet();
    let leave = || dispatcher.not_running().now_or_never().is_some();
    settle(&dispatcher, 1).await;
    assert!(!leave());
    absent(&dispatcher);
    assert!(leave(), "without room in flight its lanes do not consume again");
    dispatcher.counted(Lane::Bulk, Instant::now(), 0);
    assert!(!leave(), "it consumes, though the queue is too busy to tell");
    dispatcher.hold(true);
    assert!(leave());
}
