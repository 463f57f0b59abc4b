//! One delivery from the broker, and its ways out.

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
    domain::{Arrival, Settlement},
    metrics::Target,
    ports::{Delivery, Settled, Unpublishable},
};

/// Where deliveries can go besides back and away.
#[derive(Debug, Clone)]
pub struct SettlementTargets {
    /// The family of queues.
    pub queues: Arc<Queues>,
    /// The way to them.
    pub publisher: Publisher,
    /// Where it is told what cannot go there.
    pub health: Arc<PublishHealth>,
    /// Whether the lanes are declared by us, so that they are known to have a dead-lettering of their own
    /// that loses nothing.
    pub declared: bool,
    /// What signs and verifies the history of parked jobs.
    pub history_keys: Arc<HistoryKeys>,
}

/// One delivery of a session.
pub struct AmqpDelivery {
    /// Boxed: a delivery changes hands often on its way, and this is most of it.
    message: Box<AmqpMessage>,
    receipt: Receipt,
    targets: Arc<SettlementTargets>,
    /// Its share of the bytes in flight: given back with the delivery, or with the letter that is made of it.
    charge: Option<Charge>,
}

/// What was delivered.
struct AmqpMessage {
    arrival: Arrival,
    body: Vec<u8>,
    properties: BasicProperties,
}

impl fmt::Debug for AmqpDelivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AmqpDelivery").field("receipt", &self.receipt).finish_non_exhaustive()
    }
}

impl AmqpDelivery {
    /// A delivery as it came.
    #[must_use]
    pub fn new(
        arrival: Arrival,
        body: Vec<u8>,
        properties: BasicProperties,
        receipt: Receipt,
        targets: Arc<SettlementTargets>,
    ) -> Self {
        let message = Box::new(AmqpMessage { arrival, body, properties });
        Self { message, receipt, targets, charge: None }
    }

    /// With its share of the bytes in flight.
    #[must_use]
    pub fn charged(mut self, charge: Option<Charge>) -> Self {
        self.charge = charge;
        self
    }

    /// The message that carries the job to where the settlement sends it; `None` if it goes nowhere. It takes
    /// the body, the headers and their charge along.
    fn letter(&mut self, settlement: Settlement<'_>) -> Option<OutgoingMessage> {
        let lane = self.message.arrival.lane;
        let AmqpMessage { body, properties, .. } = &mut *self.message;
        let (target, queue, properties) = match settlement {
            Settlement::Done(..) | Settlement::HandBack(_) => return None,
            Settlement::DeadLetter(letter) => (
                Target::DeadLetter,
                self.targets.queues.dead(),
                headers::of_dead_letter(properties, lane, letter),
            ),
            Settlement::Park(parking) => (
                Target::Retry,
                // No retry queue at all: the configuration refuses an empty list of stays, so this
                // falls back to handing the job back.
                self.targets.queues.retry(lane, parking.delay)?,
                headers::of_parked(
                    properties,
                    body,
                    lane,
                    parking,
                    &self.targets.queues,
                    &self.targets.history_keys,
                ),
            ),
        };
        let (queue, body) = (queue.clone(), mem::take(body));
        self.message.properties = BasicProperties::default();
        Some(OutgoingMessage {
            target: Some(target),
            queue,
            body,
            properties,
            charge: self.charge.take(),
        })
    }
}

impl AmqpDelivery {
    /// What is left where the broker takes no letter of the delivery. A dead letter goes by the lane's own
    /// dead-lettering, which keeps the job but cannot say why. Anything else stays in flight: a lane that
    /// somebody else declared may drop what is rejected, and nobody has condemned a job that was to be
    /// parked. It goes back to its lane with its session, or when it has been in flight for too long.
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
    fn arrival(&self) -> &Arrival {
        &self.message.arrival
    }

    fn body(&self) -> &[u8] {
        &self.message.body
    }

    fn lost(&self) -> CancellationToken {
        self.receipt.lost()
    }

    async fn settle(mut self, settlement: Settlement<'_>) -> Settled {
        if matches!(settlement, Settlement::Done(..)) {
            return self.receipt.ack();
        }
        let Some(letter) = self.letter(settlement) else { return self.receipt.requeue() };
        let (lost, queue) = (self.receipt.lost(), letter.queue.clone());
        // Boxed, so that jobs which need no letter, nearly all of them, take no room for its way.
        let publishing = Box::pin(self.targets.publisher.publish(letter));
        tokio::select! {
            biased;
            // Its ack would mean nothing any more, and the job comes again: one letter is enough.
            () = lost.cancelled() => Settled::Abandoned,
            published = publishing => match published {
                Ok(()) => self.receipt.ack(),
                Err(NotPublished::Closed) => self.receipt.requeue(),
                Err(NotPublished::Unpublishable(refusal)) => {
                    let is_dead = matches!(settlement, Settlement::DeadLetter(_));
                    Box::pin(self.unpublishable(refusal, is_dead, queue.as_str())).await
                }
            },
        }
    }
}
