//! What people have already: an exchange of their events, and classic queues.

use lapin::{
    BasicProperties, Confirmation,
    options::{BasicPublishOptions, ConfirmSelectOptions},
    types::{AMQPValue, FieldTable},
};
use serde_json::json;

use crate::harness::{
    Answer, BULK, DEAD, Endpoint, INTERACTIVE, Message, Stage, amqp::dead_lettering, token,
};

/// The example of the documentation.
const QUEUES: &str = include_str!("../../docs/queues.md");
const EXCHANGE: &str = "events";
const PATTERN: &str = "session.ended.#";

/// Publishes to an exchange. Returns whether a queue has it.
async fn publish(stage: &Stage, key: &str, body: &[u8]) -> bool {
    let channel = stage.amqp.channel().await;
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let properties = BasicProperties::default().with_delivery_mode(2);
    let sent = channel.basic_publish(EXCHANGE.into(), key.into(), options, body, properties).await;
    matches!(sent.unwrap().await.unwrap(), Confirmation::Ack(None))
}

/// Events with a token are jobs: the other fields are ignored. Events that nobody bound come back to their producer. A
/// failed one is parked and returns to its lane, not to the exchange.
#[tokio::test(flavor = "multi_thread")]
async fn a_topic_exchange_that_is_bound_to_a_lane_brings_its_events_as_jobs() {
    let example = format!("channel.queue_bind(\"{INTERACTIVE}\", \"{EXCHANGE}\", \"{PATTERN}\")");
    assert!(QUEUES.contains(&example), "the documentation has no {example}");
    let stage = Stage::new().await;
    let endpoint = Endpoint::start(|call| match (call.token == token(2), call.nth) {
        (true, 1..4) => Answer::status(503),
        _ => Answer::revoked(),
    })
    .await;
    let launch = stage.run(&endpoint).set("retry.hold", "60ms").set("retry.park", "100ms");
    let worker = launch.ready().await;
    stage.amqp.bind_all(EXCHANGE, &[(INTERACTIVE, PATTERN)]).await;
    for n in [1, 2] {
        let event =
            json!({ "event": "session_ended", "user": { "id": n }, "refresh_token": token(n) });
        assert!(publish(&stage, "session.ended.web", event.to_string().as_bytes()).await);
    }
    assert!(!publish(&stage, "session.started.web", b"{}").await, "an unbound event is taken");
    let metrics = worker.until_processed("revoked", 2).await;
    assert!(metrics.publishes("retry", "confirmed") >= 1, "it was never parked");
    worker.stop().await;
}

/// A lane that exists as a classic queue is consumed as it is, if the worker declares nothing.
#[tokio::test(flavor = "multi_thread")]
async fn an_existing_classic_queue_is_consumed_without_declaring_it() {
    let stage = Stage::new().await;
    stage.amqp.declare(INTERACTIVE, FieldTable::default()).await;
    for queue in [BULK, DEAD] {
        stage.amqp.declare(queue, FieldTable::default()).await;
    }
    for (lane, queue) in [("interactive", INTERACTIVE), ("bulk", BULK)] {
        let mut arguments = dead_lettering(queue);
        arguments.insert("x-message-ttl".into(), AMQPValue::LongLongInt(100));
        stage.amqp.declare(&format!("revocations.retry.{lane}.100ms"), arguments).await;
    }
    let endpoint = Endpoint::start(|call| match (call.token == token(1), call.nth) {
        (true, _) => Answer::rejected(),
        (false, 1..4) => Answer::status(503),
        (false, _) => Answer::revoked(),
    })
    .await;
    let launch = stage.run(&endpoint).set("retry.hold", "60ms").set("retry.park", "100ms");
    let (declaring, status) = launch.run().await;
    assert_eq!(status.code(), Some(2), "{}", declaring.stderr());

    let worker = launch.set("broker.declare", false).ready().await;
    stage.amqp.publish_all(INTERACTIVE, [1, 2].map(|n| Message::job(&token(n)))).await;
    worker.until_processed("revoked", 1).await;
    let metrics = worker.until_processed("dead_lettered", 1).await;
    assert!(metrics.publishes("retry", "confirmed") >= 1, "it was never parked");
    worker.stop().await;
    assert_eq!(stage.amqp.take(DEAD, 1).await[0].reason(), "rejected");
}

/// A producer that publishes before the queues exist gets an error, and no queue has the job.
#[tokio::test(flavor = "multi_thread")]
async fn a_producer_before_the_first_run_is_told_that_its_job_is_unroutable() {
    let stage = Stage::new().await;
    assert!(!stage.amqp.offer(INTERACTIVE, &Message::job(&token(1))).await, "somebody took it");
    let endpoint = Endpoint::willing().await;
    let worker = stage.run(&endpoint).ready().await;
    assert!(stage.amqp.offer(INTERACTIVE, &Message::job(&token(1))).await);
    worker.until_processed("revoked", 1).await;
    worker.stop().await;
    assert_eq!(endpoint.count(), 1, "the first one was kept somewhere");
}
