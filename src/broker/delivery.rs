//! One delivery from the broker, and its settlement.

use std::{fmt, mem, sync::Arc};

use lapin::{BasicProperties, types::ShortString};
use tokio_util::sync::CancellationToken;

use super::{
    headers,
    history_keys::HistoryKeys,
    outcome_event::{self, JobIdentity},
    publish_health::PublishHealth,
    publisher::{NotPublished, OutgoingMessage, Publisher},
    queues::Queues,
    receipt::Receipt,
    stream::Charge,
};
use crate::{
    domain::{History, InvalidJob, Job, JobDefaults, JobRecord, MessageMetadata, Outcome},
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
    /// Whether the lane and the dead-letter queue are known to have the worker's arguments, so that the lane's own
    /// dead-lettering loses nothing. A session determines it at its start.
    pub declared: bool,
    /// The keys that sign and verify the history of parked jobs and dead letters.
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

/// Why a message is not stored.
enum NotStored {
    /// The session of the delivery was lost first.
    Lost,
    /// The publisher is closed.
    Closed,
    /// The broker never accepts this message in this queue.
    Refused(Unpublishable, ShortString),
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
    fn move_out(&mut self, outcome: &Outcome, history: &History) -> Option<Box<OutgoingMessage>> {
        let lane = self.message.metadata.lane;
        let AmqpMessage { body, properties, .. } = &mut *self.message;
        let (target, queue, properties) = match outcome {
            Outcome::Done(_) | Outcome::Requeued => return None,
            Outcome::DeadLettered(letter) => (
                Target::DeadLetter,
                self.targets.queues.dead(),
                headers::of_dead_letter(
                    properties,
                    body,
                    lane,
                    letter,
                    history,
                    &self.targets.queues,
                    &self.targets.history_keys,
                ),
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
        let charge = self.charge.take();
        Some(Box::new(OutgoingMessage { target, queue, body, properties, charge }))
    }

    /// Publishes a message and waits for its confirm.
    async fn store(&self, message: Box<OutgoingMessage>) -> Result<(), NotStored> {
        let (lost, queue) = (self.receipt.lost(), message.queue.clone());
        // Boxed: most jobs need no message, and take no room for this.
        let publishing = Box::pin(self.targets.publisher.publish(message));
        tokio::select! {
            biased;
            // The ack would have no effect, and the job is delivered again: one message is enough.
            () = lost.cancelled() => Err(NotStored::Lost),
            published = publishing => published.map_err(|failure| match failure {
                NotPublished::Closed => NotStored::Closed,
                NotPublished::Unpublishable(refusal) => NotStored::Refused(refusal, queue),
            }),
        }
    }

    /// Settles a delivery whose message is not stored.
    async fn without(self, not_stored: NotStored, is_dead: bool) -> Settled {
        match not_stored {
            NotStored::Lost => Settled::Abandoned,
            NotStored::Closed => self.receipt.requeue(),
            NotStored::Refused(refusal, queue) => {
                self.unpublishable(refusal, is_dead, queue.as_str()).await
            }
        }
    }

    /// Returns the message with the outcome event of the job, or `None` without a queue for events.
    fn event(&self, record: &JobRecord) -> Option<Box<OutgoingMessage>> {
        let queue = self.targets.queues.outcomes()?;
        let AmqpMessage { metadata, body, .. } = &*self.message;
        let job = JobIdentity { message_id: metadata.message_id.as_deref(), body };
        Some(outcome_event::message(record, job, queue, self.targets.queues.family()))
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

    async fn settle(
        mut self,
        outcome: &Outcome,
        history: &History,
        event: Option<&JobRecord>,
    ) -> Settled {
        if let Some(event) = event.and_then(|record| self.event(record))
            && let Err(not_stored) = self.store(event).await
        {
            return Box::pin(self.without(not_stored, false)).await;
        }
        if matches!(outcome, Outcome::Done(_)) {
            return self.receipt.ack();
        }
        let Some(message) = self.move_out(outcome, history) else { return self.receipt.requeue() };
        match self.store(message).await {
            Ok(()) => self.receipt.ack(),
            Err(not_stored) => {
                let is_dead = matches!(outcome, Outcome::DeadLettered(_));
                Box::pin(self.without(not_stored, is_dead)).await
            }
        }
    }
}
