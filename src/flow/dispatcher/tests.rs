use std::time::Duration;

use futures_util::FutureExt;

use super::*;
use crate::{flow::PauseSettings, metrics::Build};

const FAILED: Evidence =
    Evidence::Failed { overload: false, busy: false, own_trouble: false, retry_after: None };

fn settings(limit: usize) -> Settings {
    Settings {
        concurrency_min: 1,
        concurrency_max: limit,
        adaptive: false,
        rate: None,
        bulk_min_share: 0.0,
        pause: PauseSettings {
            after_failures: 2,
            probe_initial: Duration::from_secs(1),
            probe_max: Duration::from_secs(4),
            after_rejections: None,
        },
    }
}

fn dispatcher(settings: &Settings) -> Arc<Dispatcher> {
    let metrics = Metrics::new(Build { version: "0", revision: "0" }).unwrap();
    Arc::new(Dispatcher::new(settings, Arc::new(metrics)))
}

/// A dispatcher with its clock running beside it.
fn running(settings: &Settings) -> Arc<Dispatcher> {
    let dispatcher = dispatcher(settings);
    tokio::spawn(Arc::clone(&dispatcher).run(CancellationToken::new()));
    dispatcher
}

#[tokio::test]
async fn no_more_calls_run_than_the_limit_allows() {
    let dispatcher = dispatcher(&settings(2));
    let first = dispatcher.start(Lane::Bulk).await;
    let _second = dispatcher.start(Lane::Bulk).await;
    let mut third = Box::pin(dispatcher.start(Lane::Bulk));
    assert!(third.as_mut().now_or_never().is_none());
    drop(first);
    assert!(third.now_or_never().is_some());
}

#[tokio::test]
async fn a_freed_permit_goes_to_a_waiting_interactive_job_first() {
    let dispatcher = dispatcher(&settings(1));
    let running = dispatcher.start(Lane::Bulk).await;
    let mut bulk = Box::pin(dispatcher.start(Lane::Bulk));
    let mut interactive = Box::pin(dispatcher.start(Lane::Interactive));
    assert!(bulk.as_mut().now_or_never().is_none());
    assert!(interactive.as_mut().now_or_never().is_none());
    drop(running);
    assert!(bulk.as_mut().now_or_never().is_none());
    drop(interactive.now_or_never().unwrap());
    assert!(bulk.now_or_never().is_some());
}

#[tokio::test]
async fn whoever_stops_waiting_takes_no_permit_along() {
    let dispatcher = dispatcher(&settings(1));
    let running = dispatcher.start(Lane::Bulk).await;
    let mut gone = Box::pin(dispatcher.start(Lane::Bulk));
    let mut granted = Box::pin(dispatcher.start(Lane::Bulk));
    assert!(gone.as_mut().now_or_never().is_none());
    assert!(granted.as_mut().now_or_never().is_none());
    drop(gone);
    drop(running);
    // Granted and dropped before it was looked at.
    drop(granted);
    assert!(dispatcher.start(Lane::Bulk).now_or_never().is_some());
}

#[tokio::test]
async fn nothing_starts_while_held() {
    let dispatcher = dispatcher(&settings(1));
    dispatcher.hold(true);
    let mut waiting = Box::pin(dispatcher.start(Lane::Interactive));
    assert!(waiting.as_mut().now_or_never().is_none());
    dispatcher.hold(false);
    assert!(waiting.now_or_never().is_some());
}

#[tokio::test]
async fn an_answer_to_another_call_is_seen() {
    let dispatcher = dispatcher(&settings(2));
    dispatcher.start(Lane::Bulk).await.finish(Evidence::Revoked);
    let own = dispatcher.start(Lane::Bulk).await;
    assert!(!own.others_answered(), "answered before it began");
    dispatcher.start(Lane::Bulk).await.finish(Evidence::Rejected);
    assert!(own.others_answered());
}

#[tokio::test(start_paused = true)]
async fn the_rate_holds_over_both_lanes_and_interactive_jobs_go_first() {
    let dispatcher = running(&Settings { rate: Some(10.0), ..settings(100) });
    let began = Instant::now();
    drop(dispatcher.start(Lane::Bulk).await);
    let bulk = tokio::spawn({
        let dispatcher = Arc::clone(&dispatcher);
        async move {
            drop(dispatcher.start(Lane::Bulk).await);
            began.elapsed().as_millis()
        }
    });
    tokio::task::yield_now().await;
    drop(dispatcher.start(Lane::Interactive).await);
    assert_eq!(began.elapsed().as_millis(), 100);
    assert_eq!(bulk.await.unwrap(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_pause_probes_on_its_own_and_the_answer_lets_everything_go() {
    let dispatcher = running(&settings(8));
    let began = Instant::now();
    for _ in 0..2 {
        dispatcher.start(Lane::Bulk).await.finish(FAILED);
    }
    let waiting: Vec<_> = (0..4)
        .map(|_| {
            let dispatcher = Arc::clone(&dispatcher);
            tokio::spawn(async move {
                let permit = dispatcher.start(Lane::Bulk).await;
                let waited = began.elapsed().as_secs();
                permit.finish(if waited < 3 { FAILED } else { Evidence::Revoked });
                waited
            })
        })
        .collect();
    let mut times = Vec::new();
    for waited in waiting {
        times.push(waited.await.unwrap());
    }
    // One probe after a second, the next two seconds later; its answer frees the other two.
    assert_eq!(times, [1, 3, 3, 3]);
    assert_eq!(*dispatcher.status().borrow(), Status::default());
}

#[tokio::test(start_paused = true)]
async fn with_nothing_in_hand_a_probe_is_asked_for() {
    let dispatcher = running(&settings(8));
    let mut status = dispatcher.status();
    for _ in 0..2 {
        dispatcher.start(Lane::Bulk).await.finish(FAILED);
    }
    assert_eq!(status.borrow_and_update().intake, Intake::Closed);
    let began = Instant::now();
    status.changed().await.unwrap();
    assert_eq!(status.borrow_and_update().intake, Intake::One);
    assert_eq!(began.elapsed().as_secs(), 1);
    let probe = dispatcher.start(Lane::Interactive).await;
    status.changed().await.unwrap();
    assert_eq!(status.borrow_and_update().intake, Intake::Closed, "it has come");
    // It turned out to need no call: the next one is asked for.
    drop(probe);
    status.changed().await.unwrap();
    assert_eq!(status.borrow_and_update().intake, Intake::One);
}

#[tokio::test(start_paused = true)]
async fn one_overshoot_of_what_the_server_can_take_stops_nothing() {
    const BUSY: Evidence =
        Evidence::Failed { overload: true, busy: true, own_trouble: false, retry_after: None };
    let dispatcher = running(&settings(8));
    let under_way = dispatcher.start(Lane::Bulk).await;
    for _ in 0..6 {
        dispatcher.start(Lane::Bulk).await.finish(BUSY);
    }
    assert_eq!(dispatcher.status().borrow().phase, Phase::Running);
    // With nothing else under way, they are failures like any other.
    under_way.finish(Evidence::Revoked);
    for _ in 0..2 {
        dispatcher.start(Lane::Bulk).await.finish(BUSY);
    }
    assert_ne!(dispatcher.status().borrow().phase, Phase::Running);
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_for_a_pause_are_woken_in_the_order_of_coming() {
    let dispatcher = running(&settings(2));
    let (woken, mut order) = tokio::sync::mpsc::unbounded_channel();
    for number in 0..20 {
        let (dispatcher, woken) = (Arc::clone(&dispatcher), woken.clone());
        tokio::spawn(async move {
            dispatcher.not_running().await;
            woken.send(number).unwrap();
        });
    }
    tokio::task::yield_now().await;
    assert!(order.try_recv().is_err(), "calls are made freely");
    for _ in 0..settings(2).pause.after_failures {
        dispatcher.start(Lane::Bulk).await.finish(FAILED);
    }
    for number in 0..20 {
        assert_eq!(order.recv().await, Some(number));
    }
    // In the pause nobody waits for it.
    assert!(dispatcher.not_running().now_or_never().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_probe_of_an_earlier_pause_lets_no_second_one_begin_as_it_ends() {
    let settings = settings(10);
    let dispatcher = running(&settings);
    let early = dispatcher.start(Lane::Bulk).await;
    for _ in 0..settings.pause.after_failures {
        dispatcher.start(Lane::Bulk).await.finish(FAILED);
    }
    let stale = dispatcher.start(Lane::Bulk).await;
    early.finish(Evidence::Revoked);
    for _ in 0..settings.pause.after_failures {
        dispatcher.start(Lane::Bulk).await.finish(FAILED);
    }
    let probe = dispatcher.start(Lane::Bulk).await;
    stale.finish(FAILED);
    let longer_than_any_wait = settings.pause.probe_max * 2;
    let second = tokio::time::timeout(longer_than_any_wait, dispatcher.start(Lane::Bulk)).await;
    assert!(second.is_err(), "two probes at a time");
    probe.finish(Evidence::Revoked);
    assert!(dispatcher.start(Lane::Bulk).now_or_never().is_some());
}
