//! The queues of one measurement, and the jobs in them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, PublisherConfirm,
    Queue,
    options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions, QueueDeleteOptions},
    types::{FieldTable, ShortString},
};
use revoker::{
    broker::Queues,
    domain::{Fingerprint, Lane},
};

use super::Fallible;

/// AMQP's delivery mode of messages that are kept on disk.
const PERSISTENT: u8 = 2;

/// AMQP's reply code for an orderly close.
const REPLY_SUCCESS: u16 = 200;

/// Unconfirmed jobs: enough to keep the broker busy.
const UNCONFIRMED: usize = 1000;

/// The delays in the retry queues, as configured for the worker.
pub const PARK: [Duration; 2] = [Duration::from_secs(10), Duration::from_secs(60)];

/// The queue of outcome events beside the family of `base`.
pub fn outcomes_of(base: &str) -> String {
    format!("{base}.outcomes")
}

/// A family of queues of their own, to be deleted at the end.
#[derive(Debug)]
pub struct Jobs {
    connection: Connection,
    channel: Channel,
    queues: Queues,
}

impl Jobs {
    /// Declares the family of `base` with the delays `park`, so that jobs can wait in it before there is a worker.
    ///
    /// # Errors
    ///
    /// The error of the broker.
    pub async fn declare(url: &str, base: &str, park: &[Duration]) -> Fallible<Self> {
        let connection = Connection::connect(url, ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        let queues = Queues::new(base, park).with_outcomes(Some(&outcomes_of(base)));
        for (queue, arguments) in queues.all() {
            channel.queue_declare(queue, QueueDeclareOptions::durable(), arguments).await?;
        }
        Ok(Self { connection, channel, queues })
    }

    /// Publishes a job, persistent and mandatory like a correct producer. The confirm comes later.
    ///
    /// # Errors
    ///
    /// The error of the broker.
    pub async fn publish(&self, lane: Lane, token: &str) -> Fallible<PublisherConfirm> {
        let body = serde_json::json!({ "refresh_token": token }).to_string();
        self.send(lane, token, &body).await
    }

    /// Publishes a job of this client.
    ///
    /// # Errors
    ///
    /// The error of the broker.
    pub async fn publish_for(
        &self,
        lane: Lane,
        client: &str,
        token: &str,
    ) -> Fallible<PublisherConfirm> {
        let body = serde_json::json!({ "refresh_token": token, "client_id": client }).to_string();
        self.send(lane, token, &body).await
    }

    async fn send(&self, lane: Lane, token: &str, body: &str) -> Fallible<PublisherConfirm> {
        let sent_at = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let properties = BasicProperties::default()
            .with_content_type("application/json".into())
            .with_delivery_mode(PERSISTENT)
            .with_message_id(format!("logout-{}", Fingerprint::of(token)).into())
            .with_timestamp(sent_at);
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let queue = self.queues.lane(lane).clone();
        Ok(self
            .channel
            .basic_publish("".into(), queue, options, body.as_bytes(), properties)
            .await?)
    }

    /// Publishes many jobs; returns when the broker has confirmed all of them.
    ///
    /// # Errors
    ///
    /// The error of the broker. It may also have refused a job.
    pub async fn fill(&self, lane: Lane, tokens: &[String]) -> Fallible<()> {
        for batch in tokens.chunks(UNCONFIRMED) {
            let mut confirms = Vec::with_capacity(batch.len());
            for token in batch {
                confirms.push(self.publish(lane, token).await?);
            }
            confirmed(confirms).await?;
        }
        Ok(())
    }

    /// The name of a lane's queue.
    pub fn queue(&self, lane: Lane) -> &str {
        self.queues.lane(lane).as_str()
    }

    /// How many outcome events there are.
    ///
    /// # Errors
    ///
    /// The error of the broker.
    pub async fn events(&self) -> Fallible<u32> {
        match self.queues.outcomes() {
            Some(queue) => Ok(self.declared(queue.clone()).await?.message_count()),
            None => Ok(0),
        }
    }

    /// How many dead letters there are.
    ///
    /// # Errors
    ///
    /// The error of the broker.
    pub async fn dead(&self) -> Fallible<u32> {
        Ok(self.declared(self.queues.dead().clone()).await?.message_count())
    }

    /// How many consumers a lane has.
    ///
    /// # Errors
    ///
    /// The error of the broker.
    pub async fn consumers(&self, lane: Lane) -> Fallible<u32> {
        Ok(self.declared(self.queues.lane(lane).clone()).await?.consumer_count())
    }

    async fn declared(&self, queue: ShortString) -> Fallible<Queue> {
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::durable() };
        Ok(self.channel.queue_declare(queue, passive, FieldTable::default()).await?)
    }

    /// Deletes the queues with all remaining messages.
    ///
    /// # Errors
    ///
    /// The error of the broker.
    pub async fn delete(self) -> Fallible<()> {
        for (queue, _) in self.queues.all() {
            self.channel.queue_delete(queue, QueueDeleteOptions::default()).await?;
        }
        self.connection.close(REPLY_SUCCESS, "done".into()).await?;
        Ok(())
    }
}

/// Waits for confirms.
///
/// # Errors
///
/// The error of the broker. It may also have refused a job.
pub async fn confirmed(confirms: impl IntoIterator<Item = PublisherConfirm>) -> Fallible<()> {
    for confirm in confirms {
        if confirm.await? != Confirmation::Ack(None) {
            return Err("the broker did not take a job".into());
        }
    }
    Ok(())
}
