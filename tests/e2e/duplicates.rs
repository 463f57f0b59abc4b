//! Jobs for one token share one call and its verdict. The endpoint here revokes a token once and rejects it
//! afterwards, so a second call would show as a false rejection.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use crate::harness::{
    Answer, BULK, DEAD, Endpoint, Gate, Gates, INTERACTIVE, Message, Stage, token,
};

/// Revokes a token at the first call, once its gate is open.
async fn once(gates: &Gates) -> Endpoint {
    let gates = gates.clone();
    Endpoint::start(move |call| {
        let answer = if call.nth == 1 { Answer::revoked() } else { Answer::rejected() };
        answer.after(&gates.of(&call.token))
    })
    .await
}

/// A hundred jobs are in flight before the call ends, and one comes after it.
#[tokio::test(flavor = "multi_thread")]
async fn one_token_queued_a_hundred_times_is_one_call() {
    const COPIES: usize = 100;
    let stage = Stage::new().await;
    let gates = Gates::default();
    let endpoint = once(&gates).await;
    stage.amqp.declare_family().await;
    for (queue, copies) in [(BULK, COPIES / 2), (INTERACTIVE, COPIES / 2)] {
        stage.amqp.publish_all(queue, (0..copies).map(|_| Message::job(&token(1)))).await;
    }
    let worker = stage.run(&endpoint).set("endpoint.timeout", "10m").ready().await;
    let all = |metrics: &crate::harness::scrape::Scrape| metrics.sum("deliveries_total") >= COPIES;
    worker.until_metrics("all copies in flight", all).await;
    endpoint.until_count(1).await;
    gates.of(&token(1)).open();

    worker.until_processed("duplicate", COPIES - 1).await;
    stage.amqp.publish(INTERACTIVE, Message::job(&token(1))).await;
    worker.until_processed("duplicate", COPIES).await;
    // The followers get the verdict before the called job is counted.
    let metrics = worker.until_processed("revoked", 1).await;
    assert_eq!(metrics.processed("duplicate"), COPIES);
    assert_eq!(metrics.processed("revoked"), 1);
    assert_eq!(metrics.processed("dead_lettered"), 0);
    stage.host.until_acked(&[INTERACTIVE, BULK]).await;
    worker.stop().await;
    assert_eq!(endpoint.count(), 1);
    for queue in [INTERACTIVE, BULK, DEAD] {
        assert_eq!(stage.amqp.after_consumers(queue).await, 0, "{queue}");
    }
}

/// Another audience or user is another call. The memory of revoked tokens ends with the process.
#[tokio::test(flavor = "multi_thread")]
async fn another_user_is_another_call_and_a_restart_forgets() {
    let stage = Stage::new().await;
    let endpoint = Endpoint::willing().await;
    let launch = stage.run(&endpoint);
    let worker = launch.ready().await;
    let jobs = [
        serde_json::json!({ "refresh_token": token(1) }),
        serde_json::json!({ "refresh_token": token(1), "username": "commerce@email.com" }),
        serde_json::json!({ "refresh_token": token(1), "audience": "https://api.other.example" }),
    ];
    let publish = || stage.amqp.publish_all(BULK, jobs.iter().map(|j| Message::new(j.to_string())));
    publish().await;
    worker.until_processed("revoked", jobs.len()).await;
    publish().await;
    worker.until_processed("duplicate", jobs.len()).await;
    worker.stop().await;
    assert_eq!(endpoint.count(), jobs.len());

    let worker = launch.ready().await;
    publish().await;
    worker.until_processed("revoked", jobs.len()).await;
    worker.stop().await;
    assert_eq!(endpoint.count(), 2 * jobs.len());
}

/// A parked leader leaves no verdict: the others are called one after the other. When the endpoint is back, the first
/// verdict ends them all.
#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_parked_is_succeeded() {
    const COPIES: usize = 5;
    let stage = Stage::new().await;
    let recovered = Gate::default();
    let is_back = recovered.clone();
    let done = Arc::new(AtomicBool::new(false));
    let endpoint = Endpoint::start(move |_| {
        if !is_back.is_open() {
            // Not ambiguous: a rejection that follows would be a plain one.
            Answer::status(429)
        } else if done.swap(true, Ordering::SeqCst) {
            Answer::rejected()
        } else {
            Answer::revoked()
        }
    })
    .await;
    stage.amqp.declare_family().await;
    stage.amqp.publish_all(BULK, (0..COPIES).map(|_| Message::job(&token(1)))).await;
    let worker = stage
        .run(&endpoint)
        .set("retry.hold", "200ms")
        .set("flow.pause.after_failures", 1_000)
        .ready()
        .await;
    let parked = r#"deferrals_total{how="parked",lane="bulk"}"#;
    worker.until_metrics("a stay of each", |metrics| metrics.value(parked) >= COPIES).await;
    recovered.open();

    worker.until_processed("duplicate", COPIES - 1).await;
    let metrics = worker.until_processed("revoked", 1).await;
    assert!(metrics.calls("http_429") >= COPIES, "the fault happened");
    assert_eq!(metrics.processed("revoked"), 1);
    assert_eq!(metrics.processed("dead_lettered"), 0);
    stage.host.until_acked(&[BULK]).await;
    worker.stop().await;
    for queue in [BULK, DEAD] {
        assert_eq!(stage.amqp.after_consumers(queue).await, 0, "{queue}");
    }
}

/// A logout for a token that a sweep has queued: the sweep's call gets the logout's priority.
#[tokio::test(flavor = "multi_thread")]
async fn a_logout_lends_its_lane_to_the_sweeps_call() {
    const SWEEP: usize = 20;
    const LOGOUT: usize = SWEEP / 2;
    let stage = Stage::new().await;
    let gates = Gates::default();
    let endpoint = once(&gates).await;
    let worker = stage
        .run(&endpoint)
        // A delivery is counted before its job joins the queue. With one thread, a later finished job proves that all
        // earlier jobs have joined.
        .on_one_thread()
        .set("flow.concurrency.max", 1)
        .set("flow.bulk_min_share", "0")
        .set("endpoint.timeout", "10m")
        .ready()
        .await;
    stage.amqp.publish(BULK, Message::job(&token(0))).await;
    endpoint.until_count(1).await;
    stage.amqp.publish_all(BULK, (1..=SWEEP).map(|n| Message::job(&token(n)))).await;
    let sweep =
        |metrics: &crate::harness::scrape::Scrape| metrics.sum("deliveries_total") == SWEEP + 1;
    worker.until_metrics("the sweep in flight", sweep).await;
    stage.amqp.publish(INTERACTIVE, Message::job(&token(LOGOUT))).await;
    stage.amqp.publish(INTERACTIVE, Message::new("the last in line")).await;
    worker.until_processed("dead_lettered", 1).await;
    gates.of(&token(0)).open();
    endpoint.until_count(2).await;
    assert_eq!(endpoint.calls()[1].token, token(LOGOUT));

    (0..=SWEEP).for_each(|n| gates.of(&token(n)).open());
    let metrics = worker.until_processed("revoked", SWEEP + 1).await;
    assert_eq!(metrics.processed("duplicate"), 1);
    worker.stop().await;
    assert_eq!(endpoint.count(), SWEEP + 1);
}
