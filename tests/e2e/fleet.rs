//! Replicas share one rate by the number of consumers that the broker counts.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use crate::harness::{Answer, BULK, Endpoint, INTERACTIVE, Launch, Message, Stage, Worker, token};

/// Calls per second of all replicas.
const RATE: usize = 10;

/// The window over which the endpoint's owner counts.
const WINDOW: Duration = Duration::from_secs(5);

const PER_WINDOW: usize = RATE * 5;

/// The time after a change until the rate is used again.
const BACK_WITHIN: Duration = Duration::from_secs(15);

/// Replicas that the test starts.
const WORKERS: usize = 5;

fn sharing(launch: Launch) -> Launch {
    launch.set("flow.rate", RATE).set("flow.rate_scope", "fleet")
}

/// How many calls arrived in the window that begins at `from`.
fn in_window(calls: &[Instant], from: Instant) -> usize {
    calls.iter().filter(|at| (from..from + WINDOW).contains(*at)).count()
}

fn arrivals(endpoint: &Endpoint) -> Vec<Instant> {
    endpoint.calls().iter().map(|call| call.arrived).collect()
}

/// Waits until nine tenths of the rate are used; asserts that these began soon enough after `change`.
async fn until_back(endpoint: &Endpoint, change: Instant) {
    let nine_tenths = |calls: &[Instant]| {
        let begins = calls.iter().filter(|at| **at >= change);
        begins.copied().find(|at| in_window(calls, *at) * 10 >= PER_WINDOW * 9)
    };
    let since = |calls: &[_]| calls.len().saturating_sub(20 * PER_WINDOW);
    endpoint
        .until("nine tenths of the rate", |calls| {
            let recent: Vec<_> = calls[since(calls)..].iter().map(|call| call.arrived).collect();
            nine_tenths(&recent).is_some()
        })
        .await;
    let after = nine_tenths(&arrivals(endpoint)).unwrap() - change;
    assert!(after <= BACK_WITHIN, "nine tenths of the rate were used again after {after:?}");
}

async fn until_consumers(stage: &Stage, count: u32) -> Instant {
    for queue in [INTERACTIVE, BULK] {
        let what = format!("have {count} consumers");
        stage.amqp.until_depth(queue, &what, |depth| depth.consumers == count).await;
    }
    Instant::now()
}

async fn calls_of(worker: &Worker) -> usize {
    worker.metrics().await.calls("revoked")
}

/// Three replicas share the rate, one is killed, two are added. The endpoint's times show that the rate was never
/// exceeded, except for one call per replica, and that it was used again soon.
#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_keeps_one_rate_while_replicas_come_and_die() {
    let stage = Stage::new().await;
    let endpoint = Endpoint::willing().await;
    let launch = sharing(stage.run(&endpoint)).set("broker.prefetch", 16);
    stage.amqp.declare_family().await;
    stage.amqp.publish_all(BULK, (0..3_000).map(|n| Message::job(&token(n)))).await;

    let mut workers: Vec<Worker> = (0..3).map(|_| launch.start()).collect();
    let change = until_consumers(&stage, 3).await;
    until_back(&endpoint, change).await;

    workers.remove(0).kill().await;
    let change = until_consumers(&stage, 2).await;
    until_back(&endpoint, change).await;

    workers.extend((0..2).map(|_| launch.start()));
    let change = until_consumers(&stage, 4).await;
    until_back(&endpoint, change).await;
    for worker in &workers {
        assert!(calls_of(worker).await > 0, "a replica got no share");
    }
    for worker in workers {
        worker.stop().await;
    }

    let calls = arrivals(&endpoint);
    for (index, from) in calls.iter().enumerate() {
        let count = in_window(&calls[index..], *from);
        assert!(
            count <= PER_WINDOW + WORKERS,
            "{count} calls within {WINDOW:?}, from call {index}"
        );
    }
}

/// A pause ends its consumers, and with them its share. The jobs that it has in flight must not keep its lanes from
/// consuming again: without a share they would never end.
#[tokio::test(flavor = "multi_thread")]
async fn a_paused_replica_with_its_prefetch_full_gets_its_share_back() {
    const JOBS: usize = 160;
    const PREFETCH: usize = 32;
    const FINE: usize = 20;
    const FAILING: usize = 3;
    let stage = Stage::new().await;
    let calls = AtomicUsize::new(0);
    let endpoint = Endpoint::start(move |_| {
        let number = calls.fetch_add(1, Ordering::SeqCst);
        let fails = (FINE..FINE + FAILING).contains(&number);
        if fails { Answer::status(503) } else { Answer::revoked() }
    })
    .await;
    stage.amqp.declare_family().await;
    // With room in one lane, that lane's share would be enough to empty the other lane.
    for (lane, queue) in [INTERACTIVE, BULK].into_iter().enumerate() {
        let jobs = (0..JOBS).filter(|n| n % 2 == lane).map(|n| Message::job(&token(n)));
        stage.amqp.publish_all(queue, jobs).await;
    }
    let worker = sharing(stage.run(&endpoint))
        .set("broker.prefetch", PREFETCH)
        // Longer than the test waits: these jobs must leave so that the replica gets its share.
        .set("retry.hold", "10m")
        .set("flow.pause.after_failures", 2)
        .set("flow.pause.probe_initial", "5s")
        .ready()
        .await;
    let scrape = worker.until_metrics("a pause", |metrics| metrics.value("paused") == 1).await;
    let left = JOBS - scrape.processed("revoked");
    assert!(left > 2 * PREFETCH, "{left} are left: the lanes have room in flight");
    worker.until_processed("revoked", JOBS).await;
    assert!(endpoint.count() > JOBS, "no call failed");
    worker.stop().await;
}
