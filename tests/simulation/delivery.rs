//! Deliveries: the worker's own type with its own receipt, observed by the witness.

use std::{mem, sync::Arc, time::Duration};

use revoker::{
    broker::{
        AmqpDelivery, HistoryKeys, Publisher, SettlementTargets,
        seams::{ChannelLedger, PublishRequest, Receipt, Received, read_metadata},
    },
    domain::{History, InvalidJob, Job, JobDefaults, JobRecord, Lane, MessageMetadata, Outcome},
    ports::{Delivery, Settled, Source},
};
use tokio::{sync::mpsc, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    broker::{Message, Outgoing},
    life::Life,
    mutants::Mutant,
    witness::{Number, trace_of},
};

/// A lost session is mostly followed by the next one within this time.
const RECOVERY: Duration = Duration::from_millis(300);

/// The identity of a delivery in its session.
pub struct Ticket {
    pub number: Number,
    pub lane: Lane,
    pub tag: u64,
    pub ledger: Arc<ChannelLedger>,
}

/// One delivery.
pub struct SimDelivery {
    life: Arc<Life>,
    ticket: Ticket,
    message: Message,
    inner: AmqpDelivery,
    /// Its message to publish: each delivery has its own publisher, which identifies the message.
    posted: mpsc::Receiver<PublishRequest>,
}

impl SimDelivery {
    pub fn new(life: &Arc<Life>, ticket: Ticket, message: Message) -> Self {
        let world = &life.world;
        let (publisher, posted) = Publisher::pair();
        let queues = Arc::clone(&world.broker.queues);
        let properties = message.traced(&trace_of(ticket.number));
        let now = world.clock.now();
        let history_keys = Arc::clone(&world.plan.worker.history_keys);
        let received = Received {
            properties: &properties,
            body: &message.body,
            lane: ticket.lane,
            redelivered: message.redelivered,
        };
        let metadata = if world.is(Mutant::BelievesStrangers) {
            read_metadata(received, &queues, &HistoryKeys::none(), now)
        } else {
            read_metadata(received, &queues, &history_keys, now)
        };
        world.witness.arrived(ticket.number, &metadata);
        let receipt = Receipt::new(ticket.tag, Arc::clone(&ticket.ledger));
        let declared = world.plan.worker.declared || world.is(Mutant::TrustsForeignLanes);
        let health = Arc::clone(&life.health);
        let targets =
            Arc::new(SettlementTargets { queues, publisher, health, declared, history_keys });
        let inner =
            AmqpDelivery::new(metadata, message.body.clone(), properties, receipt, targets, None);
        Self { life: Arc::clone(life), ticket, message, inner, posted }
    }

    /// The behaviour of a mutant at a settlement; `Some` if it replaces the settlement.
    async fn sabotage(&self, outcome: &Outcome) -> Option<Settled> {
        let Ticket { tag, ref ledger, .. } = self.ticket;
        let done = matches!(outcome, Outcome::Done(_));
        let moves = matches!(outcome, Outcome::DeadLettered(_) | Outcome::Parked(_));
        match self.life.world.mutant? {
            Mutant::AcksBeforeConfirm if moves => {
                let _ = Receipt::new(tag, Arc::clone(ledger)).ack();
                None
            }
            Mutant::AcksBeforeItsEvent if done && !self.inner.lost().is_cancelled() => {
                let _ = Receipt::new(tag, Arc::clone(ledger)).ack();
                None
            }
            Mutant::AcksTheNeighbour if done => {
                let _ = Receipt::new(tag + 1, Arc::clone(ledger)).ack();
                None
            }
            Mutant::AcksAcrossSessions if done && self.inner.lost().is_cancelled() => {
                // Like a channel that is recovered while it is in use.
                sleep(RECOVERY).await;
                let present = self.life.present_ledger(self.ticket.lane)?;
                Some(Receipt::new(tag, present).ack())
            }
            Mutant::LosesSettlements if done => Some(Settled::Done),
            _ => None,
        }
    }
}

impl Delivery for SimDelivery {
    fn metadata(&self) -> &MessageMetadata {
        self.inner.metadata()
    }

    fn job(&self, defaults: &JobDefaults) -> Result<Arc<Job>, InvalidJob> {
        self.life.world.witness.entered(self.ticket.number);
        self.inner.job(defaults)
    }

    fn lost(&self) -> CancellationToken {
        match self.life.world.mutant {
            Some(Mutant::MissesLostSessions) => CancellationToken::new(),
            _ => self.inner.lost(),
        }
    }

    async fn settle(
        mut self,
        outcome: &Outcome,
        history: &History,
        event: Option<&JobRecord>,
    ) -> Settled {
        let life = Arc::clone(&self.life);
        let witness = &life.world.witness;
        let parks = matches!(outcome, Outcome::Parked(_));
        let unpaused = History { paused: Duration::ZERO, parked_at: None, ..*history };
        let counts_pauses = parks && life.world.is(Mutant::CountsAPauseAsFailing);
        let history = if counts_pauses { &unpaused } else { history };
        let watched = witness.settling(self.ticket.number, outcome, history);
        life.world.dice.dawdle().await;
        if let Some(settled) = self.sabotage(outcome).await {
            // Its own receipt would requeue it.
            mem::forget(self.inner);
            return watched.settled(settled);
        }
        let settling = self.inner.settle(outcome, history, event);
        tokio::pin!(settling);
        let settled = loop {
            tokio::select! {
                biased;
                settled = &mut settling => break settled,
                Some(posted) = self.posted.recv() => life.send(Outgoing {
                    posted,
                    number: self.ticket.number,
                    message: self.message.clone(),
                    parked: parks.then_some(*history),
                }),
            }
        };
        match settled {
            Settled::Requeued | Settled::Abandoned
                if life.world.is(Mutant::MisreportsSettlements) =>
            {
                let _ = watched.settled(settled);
                Settled::Done
            }
            settled => watched.settled(settled),
        }
    }
}

/// Deliveries of all sessions of one worker, one after the other.
pub struct SimSource {
    pub life: Arc<Life>,
    pub intake: mpsc::Receiver<SimDelivery>,
}

impl Source for SimSource {
    type Delivery = SimDelivery;

    async fn next(&mut self) -> Option<SimDelivery> {
        let next = self.intake.recv().await;
        self.life.world.dice.dawdle().await;
        next
    }
}
