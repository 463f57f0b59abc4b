//! The dead-letter queue is gone, refuses, or the broker takes no publishes: the verdict stays in
//! memory and is published later. The endpoint is not called a second time.

use std::collections::BTreeSet;

use crate::harness::{
    Answer, DEAD, Endpoint, Gate, INTERACTIVE, Message, Stage, StoredMessage, amqp::quorum,
    broker::OwnBroker, eventually, scrape::Scrape, token,
};

/// A deleted dead-letter queue returns the publish; the queue is declared again and takes it.
#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_dead_letter_queue_is_declared_again() {
    let stage = Stage::new().await;
    let endpoint = Endpoint::start(|_| Answer::rejected()).await;
    let worker = stage.run(&endpoint).ready().await;
    stage.amqp.delete(DEAD).await;
    stage.amqp.publish(INTERACTIVE, Message::job(&token(1))).await;

    stage.amqp.until_ready(DEAD, 1).await;
    let metrics = worker.until_processed("dead_lettered", 1).await;
    assert!(metrics.publishes("dead_letter", "returned") >= 1, "the fault happened");
    assert_eq!(metrics.sessions("channel_closed"), 0, "the consuming session was ended");
    stage.host.until_acked(&[INTERACTIVE]).await;
    worker.stop().await;
    assert_eq!(endpoint.count(), 1);
    assert_eq!(stage.amqp.after_consumers(INTERACTIVE).await, 0);
}

/// A worker that may not declare the queue waits for it, and says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_queue_that_stays_away_is_waited_for() {
    let stage = Stage::new().await;
    let endpoint = Endpoint::start(|_| Answer::rejected()).await;
    // The first run declares the queues that the second one only checks.
    stage.run(&endpoint).ready().await.stop().await;
    let worker = stage.run(&endpoint).set("broker.declare", false).ready().await;
    stage.amqp.delete(DEAD).await;
    stage.amqp.publish(INTERACTIVE, Message::job(&token(1))).await;
    let returned = |least: usize| {
        move |metrics: &Scrape| metrics.publishes("dead_letter", "returned") >= least
    };
    worker.until_metrics("several returns", returned(3)).await;
    let reason = worker.until_unready().await;
    assert!(reason.contains("dead") || reason.contains("publish"), "{reason}");
    assert_eq!(worker.metrics().await.processed("dead_lettered"), 0);

    stage.amqp.declare(DEAD, quorum()).await;
    let letters = stage.amqp.take(DEAD, 1).await;
    assert_eq!(letters[0].token(), token(1));
    worker.until_processed("dead_lettered", 1).await;
    worker.until_ready().await;
    stage.host.until_acked(&[INTERACTIVE]).await;
    worker.stop().await;
    assert_eq!(endpoint.count(), 1);
    assert_eq!(stage.amqp.after_consumers(INTERACTIVE).await, 0);
}

/// A full dead-letter queue refuses. Settlements wait in memory up to a bound; beyond it the worker
/// takes no new job. When there is room again, every verdict is published once, and nothing is called twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_dead_letter_queue_stops_consuming_and_loses_nothing() {
    const JOBS: usize = 200;
    const PREFETCH: u32 = 32;
    let stage = Stage::new().await;
    let endpoint = Endpoint::start(|_| Answer::rejected()).await;
    let worker = stage
        .run(&endpoint)
        .set("broker.prefetch", PREFETCH)
        .set("flow.concurrency.max", 8)
        .ready()
        .await;
    let name = stage.host.name();
    let limit = r#"{"max-length":1,"overflow":"reject-publish"}"#;
    let policy =
        ["set_policy", "-p", name, "full", r"^revocations\.dead$", limit, "--apply-to", "queues"];
    stage.host.node().ctl(&policy).await;
    // The limit is soft: fill until the broker refuses.
    eventually("the limit to hold", async || {
        let taken = stage.amqp.offer(DEAD, &Message::new("filler")).await;
        if taken { Err("a filler that was taken".to_owned()) } else { Ok(()) }
    })
    .await;
    stage.amqp.publish_all(INTERACTIVE, (0..JOBS).map(|n| Message::job(&token(n)))).await;
    worker
        .until_metrics("refusals", |metrics| metrics.publishes("dead_letter", "nacked") >= 3)
        .await;
    let reason = worker.until_unready().await;
    assert!(reason.contains("dead") || reason.contains("publish"), "{reason}");
    assert!(endpoint.count() <= PREFETCH as usize, "{} jobs were taken", endpoint.count());

    stage.host.node().ctl(&["clear_policy", "-p", name, "full"]).await;
    worker.until_processed("dead_lettered", JOBS).await;
    worker.until_ready().await;
    stage.host.until_acked(&[INTERACTIVE]).await;
    worker.stop().await;
    assert_eq!(endpoint.count(), JOBS, "a job was called twice");
    let letters = stage.amqp.take_all(DEAD).await;
    let tokens: BTreeSet<String> =
        letters.iter().map(StoredMessage::token).filter(|token| !token.is_empty()).collect();
    assert_eq!(tokens, (0..JOBS).map(token).collect());
    assert_eq!(stage.amqp.after_consumers(INTERACTIVE).await, 0);
}

/// A memory alarm blocks publishing connections. The confirm time-out stands still, the connection is kept, and
/// `/readyz` reports the cause. After the alarm, the dead letter is there exactly once.
#[tokio::test(flavor = "multi_thread")]
async fn a_memory_alarm_is_waited_out() {
    let broker = OwnBroker::start("", None).await;
    let stage = Stage::own(&broker).await;
    let gate = Gate::default();
    let held = gate.clone();
    let endpoint = Endpoint::start(move |_| Answer::rejected().after(&held)).await;
    let worker = stage.run(&endpoint).set("broker.confirm_timeout", "2s").ready().await;
    stage.amqp.publish(INTERACTIVE, Message::job(&token(1))).await;
    endpoint.until_count(1).await;
    broker.node().ctl(&["set_vm_memory_high_watermark", "absolute", "1"]).await;
    eventually("the alarm", async || {
        let alarms = broker.node().ctl(&["eval", "rabbit_alarm:get_local_alarms()."]).await;
        if alarms.contains("memory") { Ok(()) } else { Err(alarms) }
    })
    .await;
    gate.open();

    let blocked = worker
        .until_metrics("the blocked connection", |metrics| metrics.value("broker_blocked") == 1)
        .await;
    let reason = worker.until_unready().await;
    assert!(reason.contains("block") || reason.contains("alarm"), "{reason}");
    // Longer than the confirm deadline, by the worker's own clock.
    let oldest = "oldest_job_in_flight_seconds";
    let passed = blocked.value(oldest) + 4;
    let waited =
        worker.until_metrics("the deadline to pass", |now| now.value(oldest) >= passed).await;
    // If the broker is slow to block or to confirm, the time-out expires. Then a message with an unknown result is
    // published once more.
    let timed_out = |metrics: &Scrape| metrics.publishes("dead_letter", "timed_out");
    assert_eq!(timed_out(&waited), timed_out(&blocked), "the deadline ran on");
    broker.node().ctl(&["set_vm_memory_high_watermark", "absolute", "1GB"]).await;

    let metrics = worker.until_processed("dead_lettered", 1).await;
    worker.until_metrics("the block to end", |now| now.value("broker_blocked") == 0).await;
    worker.until_ready().await;
    stage.host.until_acked(&[INTERACTIVE]).await;
    worker.stop().await;
    assert_eq!(endpoint.count(), 1);
    let letters = stage.amqp.take_all(DEAD).await.len();
    assert!((1..=1 + timed_out(&metrics)).contains(&letters), "{letters} dead letters");
    assert_eq!(stage.amqp.after_consumers(INTERACTIVE).await, 0);
}
