//! One delivery from the broker, and its settlement.

use std::{fmt, mem, sync::Arc};

use lapin::BasicProperties;
use tokio_util::sync::CancellationToken;

use super::{
    headers,
    history_keys::HistoryKeys,
    publish_health::PublishHealth,
    publisher::{NotPublished, OutgoingMessage, Publisher},
    queues::Queues,
    receipt::Receipt,
    stream::Charge,
};
use crate::{
    domain::{History, InvalidJob, Job, JobDefaults, MessageMetadata, Outcome},
    metrics::Target,
    ports::{Delivery, Settled, Unpublishable},
};

/// The targets and settings for settling deliveries besides acks.
#[derive(Debug, Clone)]
pub struct SettlementTargets {
    /// The queues of the worker.
    pub queues: Arc<Queues>,
    /// Publishes to them.
    pub publisher: Publisher,
    /// Counts the messages that cannot be published.
    pub health: Arc<PublishHealth>,
    /// Whether the worker declares the lanes, so that their own dead-lettering is known to lose nothing.
    pub declared: bool,
    /// The keys that sign and verify the history of parked jobs.
    pub history_keys: Arc<HistoryKeys>,
}

/// One delivery of a session.
pub struct AmqpDelivery {
    /// Boxed: a delivery moves often, and this is most of its size.
    message: Box<AmqpMessage>,
    receipt: Receipt,
    targets: Arc<SettlementTargets>,
    /// Released with the delivery or with the message made of it.
    charge: Option<Charge>,
}

/// The delivered message.
struct AmqpMessage {
    metadata: MessageMetadata,
    body: Vec<u8>,
    properties: BasicProperties,
}

impl fmt::Debug for AmqpDelivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AmqpDelivery").field("receipt", &self.receipt).finish_non_exhaustive()
    }
}

impl AmqpDelivery {
    /// A new delivery. `charge` is its share of the bytes in flight.
    #[must_use]
    pub fn new(
        metadata: MessageMetadata,
        body: Vec<u8>,
        properties: BasicProperties,
        receipt: Receipt,
        targets: Arc<SettlementTargets>,
        charge: Option<Charge>,
    ) -> Self {
        let message = Box::new(AmqpMessage { metadata, body, properties });
        Self { message, receipt, targets, charge }
    }

    /// Returns the message that moves the job to another queue, or `None` if it moves nowhere. Takes the body, the
    /// headers and their charge.
    fn move_out(&mut self, outcome: &Outcome, history: &History) -> Option<OutgoingMessage> {
        let lane = self.message.metadata.lane;
        let AmqpMessage { body, properties, .. } = &mut *self.message;
        let (target, queue, properties) = match outcome {
            Outcome::Done(_) | Outcome::Requeued => return None,
            Outcome::DeadLettered(letter) => (
                Target::DeadLetter,
                self.targets.queues.dead(),
                headers::of_dead_letter(properties, lane, letter, history),
            ),
            Outcome::Parked(delay) => (
                Target::Retry,
                // `None` without any retry queue: the configuration refuses an empty list, so the job is requeued.
                self.targets.queues.retry(lane, *delay)?,
                headers::of_parked(
                    properties,
                    body,
                    lane,
                    history,
                    &self.targets.queues,
                    &self.targets.history_keys,
                ),
            ),
        };
        let (queue, body) = (queue.clone(), mem::take(body));
        self.message.properties = BasicProperties::default();
        Some(OutgoingMessage { target, queue, body, properties, charge: self.charge.take() })
    }

    /// Settles a delivery whose message the broker refuses. A dead letter is left to the lane's own dead-lettering,
    /// which keeps the job without a reason. Any other job stays in flight until its session ends or it is in flight
    /// for too long. A lane that another user declared may drop rejected messages, and a job to be parked was not
    /// rejected.
    async fn unpublishable(self, refusal: Unpublishable, is_dead: bool, queue: &str) -> Settled {
        if is_dead && self.targets.declared {
            return self.receipt.leave_to_broker(refusal);
        }
        let _aside = self.targets.health.keep_in_flight(queue, &refusal);
        self.receipt.lost().cancelled().await;
        Settled::Abandoned
    }
}

impl Delivery for AmqpDelivery {
    fn metadata(&self) -> &MessageMetadata {
        &self.message.metadata
    }

    fn job(&self, defaults: &JobDefaults) -> Result<Arc<Job>, InvalidJob> {
        Job::parse(&self.message.body, defaults).map(Arc::new)
    }

    fn lost(&self) -> CancellationToken {
        self.receipt.lost()
    }

    async fn settle(mut self, outcome: &Outcome, history: &History) -> Settled {
        if matches!(outcome, Outcome::Done(_)) {
            return self.receipt.ack();
        }
        let Some(message) = self.move_out(outcome, history) else { return self.receipt.requeue() };
        let (lost, queue) = (self.receipt.lost(), message.queue.clone());
        // Boxed: nearly all jobs need no message, and take no room for this.
        let publishing = Box::pin(self.targets.publisher.publish(message));
        tokio::select! {
            biased;
            // The ack would have no effect, and the job is delivered again: one message is enough.
            () = lost.cancelled() => Settled::Abandoned,
            published = publishing => match published {
                Ok(()) => self.receipt.ack(),
                Err(NotPublished::Closed) => self.receipt.requeue(),
                Err(NotPublished::Unpublishable(refusal)) => {
                    let is_dead = matches!(outcome, Outcome::DeadLettered(_));
                    Box::pin(self.unpublishable(refusal, is_dead, queue.as_str())).await
                }
            },
        }
    }
}
