//! The tests' own connection to the broker: publishes, inspects and injects faults.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use futures_util::StreamExt as _;
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, ExchangeKind,
    message::BasicGetMessage,
    options::{
        BasicConsumeOptions, BasicGetOptions, BasicPublishOptions, BasicQosOptions,
        ConfirmSelectOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
        QueueDeleteOptions,
    },
    types::{AMQPValue, FieldTable},
};

use tokio::time::{sleep, timeout};

use super::{
    BULK, DEAD, INTERACTIVE, Message, StoredMessage,
    message::table,
    message::text,
    wait::{HANG_GUARD, POLL_INTERVAL, eventually},
};

/// The explicit limit of every queue of the product.
const DELIVERY_LIMIT: i64 = 1_000_000;

/// If a node does not answer within this time, the next one is tried, or this one again.
const CONNECT_LIMIT: Duration = Duration::from_secs(30);

/// A quorum queue that does not answer the broker within this time counts as empty and unused: an empty answer is
/// accepted only if it came sooner.
const QUEUE_LIMIT: Duration = Duration::from_millis(250);

/// The result of a passive declare. It does not lag, unlike the broker's statistics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depth {
    /// Ready messages; unacked ones are not counted.
    pub ready: u32,
    pub consumers: u32,
}

/// A connection with one channel in confirm mode. Operations that may close a channel use a separate one.
pub struct Amqp {
    connection: Connection,
    publishing: Channel,
}

impl Amqp {
    /// Connects.
    pub async fn connect(url: &str) -> Self {
        Self::connect_any(&[url.to_owned()]).await
    }

    /// Connects to the first that takes it.
    pub async fn connect_any(urls: &[String]) -> Self {
        let connecting = async {
            loop {
                for url in urls {
                    // If a node dies meanwhile, lapin's future may never complete. Cancelling a connect is safe.
                    if let Ok(Ok(amqp)) = timeout(CONNECT_LIMIT, Self::try_connect(url)).await {
                        return amqp;
                    }
                }
                sleep(POLL_INTERVAL).await;
            }
        };
        timeout(HANG_GUARD, connecting).await.expect("the broker takes the test's connection")
    }

    async fn try_connect(url: &str) -> lapin::Result<Self> {
        let connection = Connection::connect(url, ConnectionProperties::default()).await?;
        let publishing = connection.create_channel().await?;
        publishing.confirm_select(ConfirmSelectOptions::default()).await?;
        Ok(Self { connection, publishing })
    }

    /// Publishes to a queue and waits for the confirm. Returns whether the broker accepted it.
    pub async fn offer(&self, queue: &str, message: &Message) -> bool {
        let confirm = self.send(queue, message).await.unwrap().await.unwrap();
        matches!(confirm, Confirmation::Ack(None))
    }

    /// Publishes to a queue. The broker must accept it.
    pub async fn publish(&self, queue: &str, message: Message) {
        assert!(self.offer(queue, &message).await, "{queue} did not take a message");
    }

    /// Publishes messages. The broker must accept all of them.
    pub async fn publish_all(&self, queue: &str, messages: impl IntoIterator<Item = Message>) {
        let messages = messages.into_iter().map(|message| (queue, message)).collect();
        assert!(self.try_publish_all(messages).await.unwrap(), "{queue} did not take a message");
    }

    /// Publishes each to its queue. Returns whether the broker accepted all of them.
    pub async fn try_publish_all(&self, messages: Vec<(&str, Message)>) -> lapin::Result<bool> {
        let mut confirms = Vec::new();
        for (queue, message) in messages {
            confirms.push(self.send(queue, &message).await?);
        }
        let mut taken = true;
        for confirm in confirms {
            taken &= matches!(confirm.await?, Confirmation::Ack(None));
        }
        Ok(taken)
    }

    async fn send(
        &self,
        queue: &str,
        message: &Message,
    ) -> lapin::Result<impl Future<Output = lapin::Result<Confirmation>> + use<>> {
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let properties: BasicProperties = message.properties();
        self.publishing
            .basic_publish("".into(), queue.into(), options, &message.body, properties)
            .await
    }

    /// Declares a durable queue; the broker must agree.
    pub async fn declare(&self, queue: &str, arguments: FieldTable) {
        let channel = self.channel().await;
        let options = QueueDeclareOptions::durable();
        channel.queue_declare(queue.into(), options, arguments).await.unwrap();
        let _ = channel.close(200, "done".into()).await;
    }

    /// Declares the lanes and the dead-letter queue with the documented arguments for producers.
    pub async fn declare_family(&self) {
        self.declare(DEAD, quorum()).await;
        for lane in [INTERACTIVE, BULK] {
            self.declare(lane, dead_lettering(DEAD)).await;
        }
    }

    /// Deletes a queue with all that it holds.
    pub async fn delete(&self, queue: &str) {
        let channel = self.channel().await;
        channel.queue_delete(queue.into(), QueueDeleteOptions::default()).await.unwrap();
        let _ = channel.close(200, "done".into()).await;
    }

    /// A queue's depth; `None` if there is no such queue.
    pub async fn depth(&self, queue: &str) -> Option<Depth> {
        let deadline = Instant::now() + HANG_GUARD;
        loop {
            let channel = self.channel().await;
            let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
            let asked = Instant::now();
            let found =
                channel.queue_declare(queue.into(), options, FieldTable::default()).await.ok()?;
            let told_at_once = asked.elapsed() < QUEUE_LIMIT;
            let _ = channel.close(200, "done".into()).await;
            let depth = Depth { ready: found.message_count(), consumers: found.consumer_count() };
            if told_at_once || depth != (Depth { ready: 0, consumers: 0 }) {
                return Some(depth);
            }
            assert!(Instant::now() < deadline, "{queue} is too busy to tell its depth");
        }
    }

    /// Waits until exactly this many messages wait in a queue.
    pub async fn until_ready(&self, queue: &str, count: u32) {
        self.until_depth(queue, &format!("hold {count}"), |depth| depth.ready == count).await;
    }

    /// Waits until a queue has no consumer, so that unacked messages are back in it. Returns its depth.
    pub async fn after_consumers(&self, queue: &str) -> u32 {
        self.until_depth(queue, "lose its consumers", |depth| depth.consumers == 0).await.ready
    }

    /// Waits until a queue exists with a depth that fulfils `condition`.
    pub async fn until_depth(
        &self,
        queue: &str,
        what: &str,
        condition: impl Fn(Depth) -> bool,
    ) -> Depth {
        eventually(&format!("{queue} to {what}"), async || match self.depth(queue).await {
            Some(depth) if condition(depth) => Ok(depth),
            other => Err(format!("{other:?}")),
        })
        .await
    }

    /// Takes everything out of a queue.
    pub async fn take_all(&self, queue: &str) -> Vec<StoredMessage> {
        let channel = self.channel().await;
        let options = BasicGetOptions { no_ack: true };
        let mut letters = Vec::new();
        while let Some(BasicGetMessage { delivery, .. }) =
            channel.basic_get(queue.into(), options).await.unwrap()
        {
            letters.push(StoredMessage::from(&delivery));
        }
        let _ = channel.close(200, "done".into()).await;
        letters
    }

    /// Takes `count` messages out of a queue, many at a time.
    pub async fn drain(&self, queue: &str, count: u32) -> Vec<StoredMessage> {
        let channel = self.channel().await;
        let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
        let mut consumer = channel
            .basic_consume(queue.into(), "".into(), options, FieldTable::default())
            .await
            .unwrap();
        let mut letters = Vec::new();
        while letters.len() < count as usize {
            let next = tokio::time::timeout(HANG_GUARD, consumer.next()).await;
            let next = next.unwrap_or_else(|_| panic!("{queue} ended after {}", letters.len()));
            letters.push(StoredMessage::from(&next.unwrap().unwrap()));
        }
        letters
    }

    /// Consumes a queue and holds one message, until the returned value is dropped.
    pub async fn hold_one(&self, queue: &str) -> impl Sized + use<> {
        self.hold(queue, 1).await
    }

    /// Consumes a queue and holds its first `count` messages, until the returned value is dropped.
    pub async fn hold(&self, queue: &str, count: u16) -> impl Sized + use<> {
        let channel = self.channel().await;
        channel.basic_qos(count, BasicQosOptions::default()).await.unwrap();
        let options = BasicConsumeOptions::default();
        let mut consumer = channel
            .basic_consume(queue.into(), "".into(), options, FieldTable::default())
            .await
            .unwrap();
        let mut held = Vec::new();
        for _ in 0..count {
            held.push(consumer.next().await.unwrap().unwrap());
        }
        (channel, consumer, held)
    }

    /// Waits until a queue holds exactly this many messages, then takes them.
    pub async fn take(&self, queue: &str, count: u32) -> Vec<StoredMessage> {
        self.until_ready(queue, count).await;
        self.take_all(queue).await
    }

    /// Declares a topic exchange, and binds each queue to it by a pattern.
    pub async fn bind_all(&self, exchange: &str, bindings: &[(&str, &str)]) {
        let channel = self.channel().await;
        let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        let arguments = FieldTable::default();
        channel
            .exchange_declare(exchange.into(), ExchangeKind::Topic, options, arguments.clone())
            .await
            .unwrap();
        for (queue, pattern) in bindings {
            let (queue, pattern) = ((*queue).into(), (*pattern).into());
            let options = QueueBindOptions::default();
            channel
                .queue_bind(queue, exchange.into(), pattern, options, arguments.clone())
                .await
                .unwrap();
        }
        let _ = channel.close(200, "done".into()).await;
    }

    /// Closes the connection; its unacked messages go back.
    pub async fn close(self) {
        self.connection.close(200, "done".into()).await.unwrap();
    }

    /// A separate channel, for operations without a method here.
    pub async fn channel(&self) -> Channel {
        self.connection.create_channel().await.unwrap()
    }
}

/// The arguments of every queue of the product.
pub fn quorum() -> FieldTable {
    table([
        ("x-queue-type", text("quorum")),
        ("x-delivery-limit", AMQPValue::LongLongInt(DELIVERY_LIMIT)),
    ])
}

/// The arguments of a queue that dead-letters to another one.
pub fn dead_lettering(target: &str) -> FieldTable {
    let mut arguments = quorum();
    for (name, value) in [
        ("x-dead-letter-exchange", ""),
        ("x-dead-letter-routing-key", target),
        ("x-dead-letter-strategy", "at-least-once"),
        ("x-overflow", "reject-publish"),
    ] {
        arguments.insert(name.into(), text(value));
    }
    arguments
}
