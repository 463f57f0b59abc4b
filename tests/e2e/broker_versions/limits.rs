//! Tests of the delivery limit: what RabbitMQ counts, and that our limit is above its default.

use lapin::{
    Channel,
    message::BasicGetMessage,
    options::{BasicGetOptions, BasicNackOptions, BasicRejectOptions},
    types::AMQPValue,
};

use crate::harness::{
    BULK, DEAD, INTERACTIVE, Message, Stage,
    amqp::Amqp,
    eventually,
    message::{table, text},
    token,
};

/// The limit of RabbitMQ 4 where a queue has none.
const DEFAULT: usize = 20;

/// The ways in which a consumer returns a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Nack,
    Reject,
    ClosedChannel,
    ClosedConnection,
}

impl Way {
    const ALL: [Self; 4] = [Self::Nack, Self::Reject, Self::ClosedChannel, Self::ClosedConnection];

    /// Whether RabbitMQ counts it towards the delivery limit.
    fn counts(self, version: [u32; 3]) -> bool {
        self != Self::Nack || version < [4, 3, 0]
    }
}

/// The one message of a queue, once it is back.
async fn held(channel: &Channel, queue: &str) -> u64 {
    eventually(&format!("the message of {queue}"), async || {
        let options = BasicGetOptions::default();
        match channel.basic_get(queue.into(), options).await.unwrap() {
            Some(BasicGetMessage { delivery, .. }) => Ok(delivery.delivery_tag),
            None => Err("none".to_owned()),
        }
    })
    .await
}

/// Takes the one message of a queue, and gives it back.
async fn give_back(stage: &Stage, queue: &str, way: Way) {
    let other = Amqp::connect(&stage.host.test_url()).await;
    let channel = other.channel().await;
    let tag = held(&channel, queue).await;
    match way {
        Way::Nack => {
            let options = BasicNackOptions { requeue: true, multiple: false };
            channel.basic_nack(tag, options).await.unwrap();
        }
        Way::Reject => {
            channel.basic_reject(tag, BasicRejectOptions { requeue: true }).await.unwrap();
        }
        Way::ClosedChannel => channel.close(200, "done".into()).await.unwrap(),
        Way::ClosedConnection => {}
    }
    other.close().await;
}

/// Up to 4.2, RabbitMQ counts every delivery that was not acked. 4.3 does not count `basic.nack`, with which the worker
/// requeues jobs.
#[tokio::test(flavor = "multi_thread")]
async fn deliveries_that_count_towards_the_delivery_limit() {
    const LIMIT: usize = 2;
    let stage = Stage::new().await;
    let version = stage.host.node().version().await;
    for way in Way::ALL {
        let queue = format!("limited.{way:?}");
        let limit = AMQPValue::LongLongInt(LIMIT.try_into().unwrap());
        let arguments = table([("x-queue-type", text("quorum")), ("x-delivery-limit", limit)]);
        stage.amqp.declare(&queue, arguments).await;
        stage.amqp.publish(&queue, Message::job(&token(1))).await;
        for _ in 0..=LIMIT {
            give_back(&stage, &queue, way).await;
        }
        let left = usize::from(!way.counts(version));
        let what = format!("hold {left} after {way:?} on {version:?}");
        stage.host.until_stored(&[&queue], &what, |stored| stored == left).await;
    }
}

/// Delivers the one message of a queue this many times. Each delivery counts.
async fn deliver(stage: &Stage, queue: &str, times: usize) {
    let channel = stage.amqp.channel().await;
    for _ in 0..times {
        let tag = held(&channel, queue).await;
        channel.basic_reject(tag, BasicRejectOptions { requeue: true }).await.unwrap();
    }
}

/// RabbitMQ 4 drops a message after twenty failed deliveries, unless the queue sets a limit. Every queue of ours does.
#[tokio::test(flavor = "multi_thread")]
async fn our_queues_outlast_the_default_delivery_limit() {
    const OTHERS: &str = "without-a-limit";
    let stage = Stage::new().await;
    let arguments = table([("x-queue-type", text("quorum"))]);
    stage.amqp.declare(OTHERS, arguments).await;
    stage.amqp.publish(OTHERS, Message::job(&token(0))).await;
    deliver(&stage, OTHERS, DEFAULT + 1).await;
    let left = usize::from(stage.host.node().version().await[0] < 4);
    stage.host.until_stored(&[OTHERS], "be dropped by RabbitMQ 4", |stored| stored == left).await;

    let (_, status) = stage.enqueue().arg("-").input(Message::job(&token(1)).body).run().await;
    assert_eq!(status.code(), Some(0));
    for queue in [INTERACTIVE, DEAD] {
        stage.amqp.publish(queue, Message::job(&token(1))).await;
    }
    for queue in [INTERACTIVE, BULK, DEAD] {
        deliver(&stage, queue, DEFAULT + 5).await;
        stage.amqp.until_ready(queue, 1).await;
    }
}
