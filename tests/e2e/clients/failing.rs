//! One client's calls fail while those of others are answered.

use std::time::Duration;

use super::{BROKEN, Clients, HEALTHY, is_of, job};
use crate::harness::{Answer, AnswerKind, BULK, DEAD, Endpoint, Gate, INTERACTIVE, token};

/// Jobs of each client.
const JOBS: usize = 200;

/// The jobs of the clients, one of each in turn.
fn mixed() -> impl Iterator<Item = crate::harness::Message> {
    let clients = [BROKEN, HEALTHY[0], HEALTHY[1]];
    (0..3 * JOBS).map(move |n| job(clients[n % 3], n))
}

/// The other clients' jobs are done while it fails, and reports name it. Its own jobs wait, and are done once it
/// recovers.
async fn one_client_that_fails_is_paused_alone(failure: Answer, timeout: &str) {
    let clients = Clients::new().await;
    let mended = Gate::default();
    let open = mended.clone();
    let endpoint = Endpoint::start(move |call| {
        if open.is_open() || !is_of(call, BROKEN) { Answer::revoked() } else { failure.clone() }
    })
    .await;
    let stage = &clients.stage;
    stage.amqp.publish_all(INTERACTIVE, mixed()).await;
    let worker = clients
        .launch(&endpoint)
        .set("endpoint.timeout", timeout)
        .set("endpoint.connect_timeout", "1s")
        .ready()
        .await;

    worker.until_processed("revoked", 2 * JOBS).await;
    let paused = worker.until_log_lines("client paused", 1).await;
    assert_eq!(paused[0]["client"], BROKEN);
    let metrics = worker.metrics().await;
    assert_eq!((metrics.value("clients_paused"), metrics.value("paused")), (1, 0));
    assert!(
        endpoint.told(AnswerKind::Revoked).iter().all(|token| !is_broken(token)),
        "it failed until now"
    );
    assert!(worker.said("paused").is_empty(), "the worker continues");

    mended.open();
    let metrics = worker.until_processed("revoked", 3 * JOBS).await;
    assert_eq!(metrics.processed("dead_lettered"), 0);
    worker.until_log_lines("client running again", 1).await;
    stage.host.until_acked(&[INTERACTIVE]).await;
    worker.stop().await;
    assert_eq!(endpoint.told(AnswerKind::Revoked).len(), 3 * JOBS);
    assert_eq!(stage.amqp.depth(DEAD).await.unwrap().ready, 0);
}

/// Whether a token is one of the broken client's.
fn is_broken(name: &str) -> bool {
    (0..JOBS).any(|n| token(3 * n) == name)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_client_that_is_always_answered_429_is_paused_alone() {
    one_client_that_fails_is_paused_alone(Answer::status(429), "10m").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_client_that_is_always_answered_502_is_paused_alone() {
    one_client_that_fails_is_paused_alone(Answer::status(502), "10m").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_client_whose_calls_always_hang_is_paused_alone() {
    one_client_that_fails_is_paused_alone(Answer::Never, "1s").await;
}

/// A thousand jobs of the broken client precede fifty of a healthy one in the same queue.
async fn fifty_behind_a_thousand(failure: Answer, timeout: &str) {
    const MOST_AT_A_TIME: usize = 8;
    let clients = Clients::new().await;
    let endpoint =
        Endpoint::start(
            move |call| {
                if is_of(call, BROKEN) { failure.clone() } else { Answer::revoked() }
            },
        )
        .await;
    let stage = &clients.stage;
    stage.amqp.publish_all(INTERACTIVE, (0..1_000).map(|n| job(BROKEN, n))).await;
    stage.amqp.publish_all(INTERACTIVE, (1_000..1_050).map(|n| job(HEALTHY[0], n))).await;
    let worker = clients
        .launch(&endpoint)
        .set("endpoint.timeout", timeout)
        .set("endpoint.connect_timeout", "1s")
        .set("flow.concurrency.max", MOST_AT_A_TIME)
        .set("flow.pause.probe_initial", "1s")
        .set("flow.pause.probe_max", "30s")
        .set("retry.park", "30s")
        .ready()
        .await;
    worker.until_processed("revoked", 50).await;
    let failed = endpoint.count() - 50;
    // The calls that lead to the pause, the calls in flight meanwhile, and two probes.
    assert!(
        (20..=20 + MOST_AT_A_TIME + 2).contains(&failed),
        "{failed} calls of the broken client"
    );
    assert_eq!(worker.metrics().await.processed("dead_lettered"), 0);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_jobs_behind_a_thousand_that_fail_are_done_before_the_third_probe() {
    fifty_behind_a_thousand(Answer::status(502), "10m").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_jobs_behind_a_thousand_that_hang_are_done_before_the_third_probe() {
    fifty_behind_a_thousand(Answer::Never, "1s").await;
}

/// Failures of several clients are failures of the endpoint: the worker pauses as a whole.
#[tokio::test(flavor = "multi_thread")]
async fn failures_of_several_clients_pause_the_worker() {
    let clients = Clients::new().await;
    let mended = Gate::default();
    let open = mended.clone();
    let endpoint =
        Endpoint::start(
            move |_| if open.is_open() { Answer::revoked() } else { Answer::status(502) },
        )
        .await;
    let stage = &clients.stage;
    stage.amqp.publish_all(BULK, mixed()).await;
    let worker = clients.launch(&endpoint).ready().await;
    worker.until_log_lines("paused again", 2).await;
    assert_eq!(worker.metrics().await.value("paused"), 1);
    mended.open();
    worker.until_processed("revoked", 3 * JOBS).await;
    worker.stop().await;
    let failed = endpoint.count() - 3 * JOBS;
    assert!(failed >= 20, "the outage happened: {failed} calls failed");
}

/// A tenth of all calls is refused with 429 under any limit. A lower limit does not help, so the limit rises.
#[tokio::test(flavor = "multi_thread")]
async fn a_share_of_overload_responses_does_not_hold_the_limit_down() {
    const MOST_AT_A_TIME: usize = 32;
    const ALL: usize = 2_000;
    let clients = Clients::new().await;
    let refused = std::sync::atomic::AtomicUsize::new(0);
    let endpoint = Endpoint::start(move |call| {
        let nth = refused.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        if call.nth == 1 && nth % 10 == 3 {
            Answer::status(429)
        } else {
            Answer::revoked().dripping(Duration::from_millis(1))
        }
    })
    .await;
    let stage = &clients.stage;
    stage.amqp.publish_all(BULK, (0..ALL).map(|n| job(HEALTHY[n % 2], n))).await;
    let worker =
        clients.launch(&endpoint).set("flow.concurrency.max", MOST_AT_A_TIME).ready().await;
    let full = |metrics: &crate::harness::scrape::Scrape| {
        metrics.value("concurrency_limit") == MOST_AT_A_TIME
    };
    worker.until_metrics("the limit to be at its ceiling", full).await;
    let metrics = worker.until_processed("revoked", ALL).await;
    assert!(metrics.calls("http_429") >= ALL / 50, "the fault happened");
    worker.stop().await;
}
