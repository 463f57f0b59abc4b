use std::time::Duration;

use futures_util::FutureExt;

use super::*;
use crate::{
    flow::{PauseSettings, RateScope},
    metrics::Build,
    ports::Demand,
};

mod clients;
mod fleet;

const FAILED: CallOutcome =
    CallOutcome::Failed { overload: false, busy: false, job_fault: false, retry_after: None };

fn settings(limit: usize) -> Settings {
    Settings {
        concurrency_min: 1,
        concurrency_max: limit,
        adaptive: false,
        rate: None,
        rate_scope: RateScope::Replica,
        bulk_min_share: 0.0,
        pause: PauseSettings {
            after_failures: 2,
            probe_initial: Duration::from_secs(1),
            probe_max: Duration::from_secs(4),
            after_rejections: None,
            first_rejections: 0,
            expected_rejections: 0,
        },
    }
}

fn dispatcher(settings: &Settings) -> Arc<Dispatcher> {
    let metrics = Metrics::new(Build { version: "0", revision: "0" }).unwrap();
    Arc::new(Dispatcher::new(settings, Arc::new(metrics)))
}

const CLIENT: ClientKey = ClientKey(0);

/// Waits for a call of the one client.
async fn start(dispatcher: &Arc<Dispatcher>, lane: Lane) -> Permit {
    start_of(dispatcher, lane, CLIENT).await.expect("the client is paused")
}

/// Waits for a call of a client; `None` if its job should wait elsewhere.
async fn start_of(dispatcher: &Arc<Dispatcher>, lane: Lane, client: ClientKey) -> Option<Permit> {
    match dispatcher.start(lane, client).await {
        Admission::Granted(permit) => Some(permit),
        Admission::WaitElsewhere(_) => None,
    }
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
    let first = start(&dispatcher, Lane::Bulk).await;
    let _second = start(&dispatcher, Lane::Bulk).await;
    let mut third = Box::pin(start(&dispatcher, Lane::Bulk));
    assert!(third.as_mut().now_or_never().is_none());
    drop(first);
    assert!(third.now_or_never().is_some());
}

#[tokio::test]
async fn a_freed_permit_goes_to_a_waiting_interactive_job_first() {
    let dispatcher = dispatcher(&settings(1));
    let running = start(&dispatcher, Lane::Bulk).await;
    let mut bulk = Box::pin(start(&dispatcher, Lane::Bulk));
    let mut interactive = Box::pin(start(&dispatcher, Lane::Interactive));
    assert!(bulk.as_mut().now_or_never().is_none());
    assert!(interactive.as_mut().now_or_never().is_none());
    drop(running);
    assert!(bulk.as_mut().now_or_never().is_none());
    drop(interactive.now_or_never().unwrap());
    assert!(bulk.now_or_never().is_some());
}

#[tokio::test]
async fn a_job_that_stops_waiting_keeps_no_permit() {
    let dispatcher = dispatcher(&settings(1));
    let running = start(&dispatcher, Lane::Bulk).await;
    let mut gone = Box::pin(start(&dispatcher, Lane::Bulk));
    let mut granted = Box::pin(start(&dispatcher, Lane::Bulk));
    assert!(gone.as_mut().now_or_never().is_none());
    assert!(granted.as_mut().now_or_never().is_none());
    drop(gone);
    drop(running);
    // A permit that is granted and dropped before it is used.
    drop(granted);
    assert!(start(&dispatcher, Lane::Bulk).now_or_never().is_some());
}

#[tokio::test]
async fn nothing_starts_while_held() {
    let dispatcher = dispatcher(&settings(1));
    dispatcher.hold(true);
    let mut waiting = Box::pin(start(&dispatcher, Lane::Interactive));
    assert!(waiting.as_mut().now_or_never().is_none());
    dispatcher.hold(false);
    assert!(waiting.now_or_never().is_some());
}

#[tokio::test]
async fn an_answer_to_another_call_is_seen() {
    let dispatcher = dispatcher(&settings(2));
    start(&dispatcher, Lane::Bulk).await.finish(CallOutcome::Revoked);
    let own = start(&dispatcher, Lane::Bulk).await;
    assert!(!own.others_answered(), "answered before it began");
    start(&dispatcher, Lane::Bulk).await.finish(CallOutcome::Rejected);
    assert!(own.others_answered());
}

#[tokio::test(start_paused = true)]
async fn the_rate_holds_over_both_lanes_and_interactive_jobs_go_first() {
    let dispatcher = running(&Settings { rate: Some(10.0), ..settings(100) });
    let began = Instant::now();
    drop(start(&dispatcher, Lane::Bulk).await);
    let bulk = tokio::spawn({
        let dispatcher = Arc::clone(&dispatcher);
        async move {
            drop(start(&dispatcher, Lane::Bulk).await);
            began.elapsed().as_millis()
        }
    });
    tokio::task::yield_now().await;
    drop(start(&dispatcher, Lane::Interactive).await);
    assert_eq!(began.elapsed().as_millis(), 100);
    assert_eq!(bulk.await.unwrap(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_pause_probes_on_its_own_and_the_answer_lets_everything_go() {
    let dispatcher = running(&settings(8));
    let began = Instant::now();
    for _ in 0..2 {
        start(&dispatcher, Lane::Bulk).await.finish(FAILED);
    }
    let waiting: Vec<_> = (0..4)
        .map(|_| {
            let dispatcher = Arc::clone(&dispatcher);
            tokio::spawn(async move {
                let permit = start(&dispatcher, Lane::Bulk).await;
                let waited = began.elapsed().as_secs();
                permit.finish(if waited < 3 { FAILED } else { CallOutcome::Revoked });
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
async fn with_nothing_in_flight_a_probe_is_asked_for() {
    let dispatcher = running(&settings(8));
    let mut status = dispatcher.status();
    for _ in 0..2 {
        start(&dispatcher, Lane::Bulk).await.finish(FAILED);
    }
    assert_eq!(status.borrow_and_update().demand, Demand::None);
    let began = Instant::now();
    status.changed().await.unwrap();
    assert_eq!(status.borrow_and_update().demand, Demand::One);
    assert_eq!(began.elapsed().as_secs(), 1);
    let probe = start(&dispatcher, Lane::Interactive).await;
    status.changed().await.unwrap();
    assert_eq!(status.borrow_and_update().demand, Demand::None, "it has come");
    // The job needs no call, so the next job is requested.
    drop(probe);
    status.changed().await.unwrap();
    assert_eq!(status.borrow_and_update().demand, Demand::One);
}

#[tokio::test(start_paused = true)]
async fn one_overshoot_of_the_capacity_pauses_no_calls() {
    const BUSY: CallOutcome =
        CallOutcome::Failed { overload: true, busy: true, job_fault: false, retry_after: None };
    let dispatcher = running(&settings(8));
    let under_way = start(&dispatcher, Lane::Bulk).await;
    for _ in 0..6 {
        start(&dispatcher, Lane::Bulk).await.finish(BUSY);
    }
    assert_eq!(dispatcher.status().borrow().phase, Phase::Running);
    // Without other running calls, they count as ordinary failures.
    under_way.finish(CallOutcome::Revoked);
    for _ in 0..2 {
        start(&dispatcher, Lane::Bulk).await.finish(BUSY);
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
        start(&dispatcher, Lane::Bulk).await.finish(FAILED);
    }
    for number in 0..20 {
        assert_eq!(order.recv().await, Some(number));
    }
    // During the pause, the status is ready at once.
    assert!(dispatcher.not_running().now_or_never().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_probe_of_an_earlier_pause_lets_no_second_one_begin_as_it_ends() {
    let settings = settings(10);
    let dispatcher = running(&settings);
    let early = start(&dispatcher, Lane::Bulk).await;
    for _ in 0..settings.pause.after_failures {
        start(&dispatcher, Lane::Bulk).await.finish(FAILED);
    }
    let stale = start(&dispatcher, Lane::Bulk).await;
    early.finish(CallOutcome::Revoked);
    for _ in 0..settings.pause.after_failures {
        start(&dispatcher, Lane::Bulk).await.finish(FAILED);
    }
    let probe = start(&dispatcher, Lane::Bulk).await;
    stale.finish(FAILED);
    let longer_than_any_wait = settings.pause.probe_max * 2;
    let second = tokio::time::timeout(longer_than_any_wait, start(&dispatcher, Lane::Bulk)).await;
    assert!(second.is_err(), "two probes at a time");
    probe.finish(CallOutcome::Revoked);
    assert!(start(&dispatcher, Lane::Bulk).now_or_never().is_some());
}

/// Pauses client 1 of two: all its calls fail, those of client 0 are answered.
async fn pause_one(dispatcher: &Arc<Dispatcher>) {
    dispatcher.know(2);
    for _ in 0..2 {
        start(dispatcher, Lane::Bulk).await.finish(CallOutcome::Revoked);
        start_of(dispatcher, Lane::Bulk, BROKEN).await.unwrap().finish(FAILED);
    }
}

const BROKEN: ClientKey = ClientKey(1);

#[tokio::test(start_paused = true)]
async fn calls_that_hang_at_the_start_let_others_begin_within_a_second() {
    let dispatcher = running(&Settings { adaptive: true, ..settings(8) });
    let _hanging = start(&dispatcher, Lane::Interactive).await;
    let began = Instant::now();
    let other = start(&dispatcher, Lane::Interactive).await;
    assert!(began.elapsed() < Duration::from_secs(1));
    other.finish(CallOutcome::Revoked);
    assert!(start(&dispatcher, Lane::Interactive).now_or_never().is_some(), "nor do they later");
}

/// The paused clock advances only when all tasks are idle.
#[tokio::test(start_paused = true)]
async fn many_calls_that_hang_at_a_low_limit_do_not_keep_the_worker_busy() {
    let dispatcher = running(&Settings { adaptive: true, ..settings(256) });
    let calls: Vec<_> = (0..30)
        .map(|_| {
            tokio::spawn({
                let dispatcher = Arc::clone(&dispatcher);
                async move { start(&dispatcher, Lane::Bulk).await }
            })
        })
        .collect();
    // A minute of the paused clock, which passes at once.
    tokio::time::sleep(Duration::from_secs(60)).await;
    let hanging = calls.iter().filter(|call| call.is_finished()).count();
    assert!((10..30).contains(&hanging), "{hanging} calls hang");
}

#[tokio::test(start_paused = true)]
async fn the_limit_has_a_reason() {
    let fixed = running(&settings(8));
    assert_eq!(fixed.limit_state().to_string(), "fixed at 8");
    let adaptive = running(&Settings { adaptive: true, ..settings(8) });
    assert_eq!(adaptive.limit_state().to_string(), "climbing, at 1 of 8");
    for _ in 0..100 {
        let calls: Vec<_> =
            (0..8).filter_map(|_| start(&adaptive, Lane::Bulk).now_or_never()).collect();
        tokio::time::advance(Duration::from_millis(50)).await;
        for permit in calls {
            permit.finish(CallOutcome::Revoked);
        }
    }
    assert_eq!(adaptive.limit_state().to_string(), "at the ceiling of 8");
}
