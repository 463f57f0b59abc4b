//! One delivery from the broker, and its settlement.

use std::{fmt, mem, sync::Arc};

use lapin::{BasicProperties, types::ShortString};
use tokio_util::sync::CancellationToken;

use super::{
    headers,
    history_keys::HistoryKeys,
    outcome_event::{self, JobIdentity},
    outgoing::{OutgoingMessage, OutgoingProperties},
    publish_health::PublishHealth,
    publisher::{NotPublished, Publisher},
    queues::Queues,
    receipt::Receipt,
    stream::Charge,
};
use crate::{
    domain::{History, InvalidJob, Job, JobDefaults, JobRecord, Lane, MessageMetadata, Outcome},
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
    /// The broker never accepts this message in its queue.
    Refused(Unpublishable),
}

impl From<NotPublished> for NotStored {
    fn from(failure: NotPublished) -> Self {
        match failure {
            NotPublished::Closed => Self::Closed,
            NotPublished::Unpublishable(refusal) => Self::Refused(refusal),
        }
    }
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
        let SettlementTargets { queues, history_keys, .. } = &*self.targets;
        let queue = queue_of(queues, lane, outcome)?.clone();
        let (target, properties) = match outcome {
            Outcome::Done(_) | Outcome::Requeued => return None,
            Outcome::DeadLettered(letter) => {
                let of_letter = headers::of_dead_letter(
                    properties,
                    body,
                    lane,
                    letter,
                    history,
                    queues,
                    history_keys,
                );
                (Target::DeadLetter, of_letter)
            }
            Outcome::Parked(_) => (
                Target::Retry,
                headers::of_parked(properties, body, lane, history, queues, history_keys),
            ),
        };
        let body = mem::take(body);
        self.message.properties = BasicProperties::default();
        let properties = OutgoingProperties::Copied(Box::new(properties));
        let charge = self.charge.take();
        Some(OutgoingMessage { target, queue, body, properties, charge })
    }

    /// Publishes a message and waits for its confirm.
    async fn store(&self, message: OutgoingMessage) -> Result<(), NotStored> {
        tokio::select! {
            biased;
            // The ack would have no effect, and the job is delivered again: one message is enough.
            () = self.receipt.until_lost() => Err(NotStored::Lost),
            published = self.targets.publisher.publish(message) => published.map_err(NotStored::from),
        }
    }

    /// Settles a delivery whose message is not stored. `outcome` is that of a message that moves the job; `None` for an
    /// event.
    async fn without(self, not_stored: NotStored, outcome: Option<&Outcome>) -> Settled {
        match not_stored {
            NotStored::Lost => Settled::Abandoned,
            NotStored::Closed => self.receipt.requeue(),
            NotStored::Refused(refusal) => self.unpublishable(refusal, outcome).await,
        }
    }

    /// Returns the message with the outcome event of the job, or `None` without a queue for events.
    fn event(&self, record: &JobRecord) -> Option<OutgoingMessage> {
        let queue = self.targets.queues.outcomes()?;
        let AmqpMessage { metadata, body, .. } = &*self.message;
        let job = JobIdentity { message_id: metadata.message_id.as_deref(), body };
        Some(outcome_event::message(record, job, queue, self.targets.queues.family()))
    }

    /// Settles a delivery whose message the broker refuses. A dead letter is left to the lane's own dead-lettering,
    /// which keeps the job without a reason. Any other job stays in flight until its session ends or it is in flight
    /// for too long. A lane that another user declared may drop rejected messages, and a job to be parked was not
    /// rejected.
    async fn unpublishable(self, refusal: Unpublishable, outcome: Option<&Outcome>) -> Settled {
        let is_dead = matches!(outcome, Some(Outcome::DeadLettered(_)));
        if is_dead && self.targets.declared {
            return self.receipt.leave_to_broker(refusal);
        }
        let (queues, lane) = (&self.targets.queues, self.message.metadata.lane);
        let queue = outcome.map_or(queues.outcomes(), |outcome| queue_of(queues, lane, outcome));
        let queue = queue.map(ShortString::as_str).unwrap_or_default();
        let _aside = self.targets.health.keep_in_flight(queue, &refusal);
        self.receipt.until_lost().await;
        Settled::Abandoned
    }
}

/// The queue that an outcome moves a job of this lane to. `None` for an outcome that moves it nowhere, and without any
/// retry queue: the configuration refuses an empty list, so such a job is requeued.
fn queue_of<'a>(queues: &'a Queues, lane: Lane, outcome: &Outcome) -> Option<&'a ShortString> {
    match outcome {
        Outcome::Done(_) | Outcome::Requeued => None,
        Outcome::DeadLettered(_) => Some(queues.dead()),
        Outcome::Parked(delay) => queues.retry(lane, *delay),
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
            return Box::pin(self.without(not_stored, None)).await;
        }
        if matches!(outcome, Outcome::Done(_)) {
            return self.receipt.ack();
        }
        let Some(message) = self.move_out(outcome, history) else { return self.receipt.requeue() };
        match self.store(message).await {
            Ok(()) => self.receipt.ack(),
            Err(not_stored) => Box::pin(self.without(not_stored, Some(outcome))).await,
        }
    }
}
