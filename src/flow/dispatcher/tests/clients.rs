//! Clients that fail while others are answered.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_client_that_fails_while_others_are_answered_is_paused_alone() {
    let dispatcher = running(&settings(8));
    pause_one(&dispatcher).await;
    let status = *dispatcher.status().borrow();
    assert_eq!(
        (status.phase, status.demand, status.clients_paused),
        (Phase::Running, Demand::All, 1)
    );
    assert!(start(&dispatcher, Lane::Bulk).now_or_never().is_some());
    let mut probe = Box::pin(start_of(&dispatcher, Lane::Bulk, BROKEN));
    assert!(probe.as_mut().now_or_never().is_none(), "it waits for its probe");
    let began = Instant::now();
    let probe = probe.await.unwrap();
    assert_eq!(began.elapsed().as_secs(), 1);
    assert!(probe.is_probe());
    probe.finish(CallOutcome::Rejected);
    assert_eq!(*dispatcher.status().borrow(), Status::default(), "an answer ends it");
}

#[tokio::test(start_paused = true)]
async fn most_jobs_of_a_paused_client_wait_elsewhere() {
    let dispatcher = running(&settings(8));
    pause_one(&dispatcher).await;
    let mut waiting: Vec<_> =
        (0..1000).map(|_| Box::pin(start_of(&dispatcher, Lane::Bulk, BROKEN))).collect();
    let sent_away = waiting.iter_mut().filter_map(|wait| wait.as_mut().now_or_never());
    let sent_away = sent_away.inspect(|sent_away| assert!(sent_away.is_none())).count();
    assert!(sent_away > 900, "{sent_away}");
    assert!(start(&dispatcher, Lane::Bulk).now_or_never().is_some(), "others notice nothing");
}

#[tokio::test(start_paused = true)]
async fn while_no_other_client_is_answered_parking_is_bounded() {
    let dispatcher = running(&settings(8));
    dispatcher.know(2);
    for _ in 0..2 {
        start_of(&dispatcher, Lane::Bulk, BROKEN).await.unwrap().finish(FAILED);
    }
    assert_eq!(dispatcher.status().borrow().demand, Demand::All, "another client is looked for");
    let mut sent_away = 0;
    while dispatcher.status().borrow().demand == Demand::All {
        let wait = Box::pin(start_of(&dispatcher, Lane::Bulk, BROKEN));
        // A dropped waiter no longer waits, but is removed only at its turn.
        if let Some(sent) = wait.now_or_never() {
            assert!(sent.is_none());
        }
        sent_away += 1;
        assert!(sent_away < 10_000);
    }
    assert!(sent_away >= 1000, "a thousand jobs of one client hide the next: {sent_away}");
}

#[tokio::test(start_paused = true)]
async fn a_failure_of_the_next_client_pauses_the_worker() {
    let dispatcher = running(&settings(8));
    dispatcher.know(2);
    for _ in 0..2 {
        start_of(&dispatcher, Lane::Bulk, BROKEN).await.unwrap().finish(FAILED);
    }
    assert_eq!(dispatcher.status().borrow().phase, Phase::Running);
    start(&dispatcher, Lane::Bulk).await.finish(FAILED);
    assert!(matches!(dispatcher.status().borrow().phase, Phase::Paused(_)));
}

#[tokio::test(start_paused = true)]
async fn a_pause_of_one_client_is_reported_for_it_and_one_of_the_worker_for_all() {
    let minute = Duration::from_secs(60);
    let dispatcher = running(&settings(8));
    tokio::time::advance(minute).await;
    let paused = |client| dispatcher.paused_within(client, minute).as_secs();
    pause_one(&dispatcher).await;
    tokio::time::advance(Duration::from_secs(5)).await;
    assert_eq!((paused(CLIENT), paused(BROKEN)), (0, 5), "it lasts");
    start_of(&dispatcher, Lane::Bulk, BROKEN).await.unwrap().finish(CallOutcome::Revoked);
    tokio::time::advance(Duration::from_secs(5)).await;
    assert_eq!((paused(CLIENT), paused(BROKEN)), (0, 5), "it is over");
    for client in [CLIENT, BROKEN] {
        start_of(&dispatcher, Lane::Bulk, client).await.unwrap().finish(FAILED);
    }
    assert_ne!(dispatcher.status().borrow().phase, Phase::Running);
    tokio::time::advance(Duration::from_secs(7)).await;
    assert_eq!((paused(CLIENT), paused(BROKEN)), (7, 12));
    start(&dispatcher, Lane::Bulk).await.finish(CallOutcome::Revoked);
    dispatcher.hold(true);
    tokio::time::advance(Duration::from_secs(3)).await;
    dispatcher.hold(false);
    assert_eq!((paused(CLIENT), paused(BROKEN)), (10, 15), "held starts count");
    tokio::time::advance(minute).await;
    assert_eq!((paused(CLIENT), paused(BROKEN)), (0, 0));
}

/// The outcomes of the first client's calls.
#[derive(Debug, Clone, Copy)]
enum Broken {
    /// Successes, like the other clients' calls.
    Not,
    /// Status 429, without delay.
    Refused,
    /// Status 502, without delay.
    Failing,
    /// A time-out after this time.
    Hanging,
}

/// Calls a second of the nine other clients, in the seconds `from` to `until`, of a backlog of all ten. Calls take
/// one second.
async fn rate_of_the_others(broken: Broken, (from, until): (u64, u64)) -> f64 {
    const CLIENTS: u32 = 10;
    const IN_FLIGHT: u32 = 512;
    let defaults = settings(256);
    let settings = Settings {
        adaptive: true,
        pause: PauseSettings {
            after_failures: 20,
            probe_max: Duration::from_secs(30),
            ..defaults.pause
        },
        ..defaults
    };
    let dispatcher = running(&settings);
    dispatcher.know(CLIENTS as usize);
    let began = Instant::now();
    let answered = Arc::new(AtomicU64::new(0));
    let next = Arc::new(AtomicU64::new(0));
    let jobs = tokio_util::task::TaskTracker::new();
    for _ in 0..IN_FLIGHT {
        let (dispatcher, answered) = (Arc::clone(&dispatcher), Arc::clone(&answered));
        let next = Arc::clone(&next);
        jobs.spawn(async move {
            while began.elapsed() < Duration::from_secs(until) {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let client = ClientKey(u32::try_from(number % u64::from(CLIENTS)).unwrap());
                let Some(permit) = start_of(&dispatcher, Lane::Bulk, client).await else {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    continue;
                };
                let broken = if client == ClientKey(0) { broken } else { Broken::Not };
                let failed = |overload, busy| CallOutcome::Failed {
                    overload,
                    busy,
                    job_fault: false,
                    retry_after: None,
                };
                let (took, outcome) = match broken {
                    Broken::Not => (1_000, CallOutcome::Revoked),
                    Broken::Refused => (1, failed(true, true)),
                    Broken::Failing => (1, failed(false, false)),
                    Broken::Hanging => (15_000, failed(true, false)),
                };
                tokio::time::sleep(Duration::from_millis(took)).await;
                if client != ClientKey(0) && began.elapsed() >= Duration::from_secs(from) {
                    answered.fetch_add(1, Ordering::Relaxed);
                }
                permit.finish(outcome);
            }
        });
    }
    tokio::time::sleep(Duration::from_secs(until)).await;
    let answered = answered.load(Ordering::Relaxed);
    let count = |count: u64| f64::from(u32::try_from(count).unwrap());
    count(answered) / count(until - from)
}

/// Overload responses to one client do not change the limit.
#[tokio::test(start_paused = true)]
async fn one_client_that_is_broken_costs_the_others_next_to_nothing() {
    let whole = rate_of_the_others(Broken::Not, (10, 40)).await;
    for broken in [Broken::Refused, Broken::Failing, Broken::Hanging] {
        let rate = rate_of_the_others(broken, (10, 40)).await;
        assert!(rate >= 0.95 * whole, "{broken:?}: {rate} of {whole} calls a second");
    }
}
