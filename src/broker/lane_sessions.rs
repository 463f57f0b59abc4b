//! Runs the sessions of one lane, one after the other, until no job is wanted any more.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep, sleep_until},
};

use super::{
    advice::{Suspicion, advised},
    commands::{DeliverySender, LaneCommands},
    connect::{Connector, Purpose},
    consuming::Consuming,
    delivery::SettlementTargets,
    depths::{Depths, Samplers},
    one_job::Sessions,
    reconnect::{ReconnectDelay, STABLE},
    session::Session,
    session_end::SessionEnd,
    settings::BrokerSettings,
    stream::Budget,
    topology::{PrepareError, TopologyError},
};
use crate::{
    domain::Lane,
    metrics::{Metrics, SessionEndReason},
    ports::Consumers,
};

/// The state that both lanes share.
#[derive(Debug, Clone)]
pub(super) struct SessionContext {
    /// The settings of the broker connection.
    pub(super) settings: Arc<BrokerSettings>,
    pub(super) targets: Arc<SettlementTargets>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) lanes: Arc<Consuming>,
    /// The sessions that are asked for one job.
    pub(super) sessions: Sessions,
    /// Whether any lane ever consumed.
    pub(super) begun: Arc<AtomicBool>,
    pub(super) samplers: Samplers,
    /// Receives the number of each lane's consumers, where replicas share a rate.
    pub(super) consumers: Option<Arc<dyn Consumers>>,
}

/// The task that keeps one lane's session alive.
pub(super) struct LaneSessions {
    lane: Lane,
    connector: Connector,
    shared: SessionContext,
    depths: Depths,
    /// `None` once no more jobs are wanted. Then the source ends with the last consumer.
    intake: Option<DeliverySender>,
    commands: LaneCommands,
    reconnect: ReconnectDelay,
    /// Whether its messages may break its sessions.
    suspect: bool,
    /// Whether the lane ever consumed.
    has_begun: bool,
}

impl LaneSessions {
    /// The task of `lane`, with a budget of its bytes in flight.
    pub(super) fn new(
        lane: Lane,
        shared: SessionContext,
        budget: Arc<Budget>,
        intake: DeliverySender,
        commands: LaneCommands,
    ) -> Self {
        let (settings, metrics) = (Arc::clone(&shared.settings), Arc::clone(&shared.metrics));
        let depths = Depths {
            lane,
            queues: Arc::clone(&shared.targets.queues),
            metrics: Arc::clone(&metrics),
            samplers: shared.samplers.clone(),
            consumers: shared.consumers.clone(),
        };
        Self {
            lane,
            connector: Connector::consuming(settings, budget, Some(metrics)),
            shared,
            depths,
            intake: Some(intake),
            commands,
            reconnect: ReconnectDelay::default(),
            suspect: false,
            has_begun: false,
        }
    }

    /// Runs sessions until no job is wanted any more. Fails with [`TopologyError::Differs`] if a queue has other
    /// arguments and no lane ever consumed: a fault of the configuration. A later such error is retried like any other.
    pub(super) async fn run(mut self) -> Result<(), TopologyError> {
        let mut commands = self.commands.clone();
        while let Some(intake) = self.intake.clone() {
            let began = tokio::select! {
                began = self.begin() => began,
                () = commands.unwanted() => break,
            };
            let ended = match began {
                Ok(session) => self.consume(session, intake).await,
                Err(PrepareError::Topology(error @ TopologyError::Differs { .. }))
                    if self.is_first() =>
                {
                    return Err(error);
                }
                Err(refused) => {
                    self.shared.lanes.fails(self.lane, &advised(refused.to_string()));
                    SessionEndReason::ConnectFailed
                }
            };
            self.shared.metrics.session_ended(ended);
            tokio::select! {
                () = sleep(self.reconnect.next(crate::ports::jitter())) => {}
                () = commands.unwanted() => break,
            }
        }
        Ok(())
    }

    /// Whether no lane ever consumed.
    fn is_first(&self) -> bool {
        !self.shared.begun.load(Ordering::Acquire)
    }

    async fn begin(&mut self) -> Result<Session, PrepareError> {
        let connection = self.connector.connect(Purpose::Consume(self.lane)).await?;
        let SessionContext { settings, targets, .. } = self.shared.clone();
        let first_of_lane = !self.has_begun;
        Session::begin(connection, self.lane, settings, targets, self.is_first(), first_of_lane)
            .await
    }

    async fn consume(&mut self, session: Session, intake: DeliverySender) -> SessionEndReason {
        self.shared.begun.store(true, Ordering::Release);
        self.has_begun = true;
        let began = Instant::now();
        let end = self.run_session(session, intake, began).await;
        self.reconnect.record(began.elapsed(), end.suspicion != Suspicion::None);
        if end.reason != SessionEndReason::Shutdown {
            let cause = self.judge(&end);
            self.shared.lanes.fails(self.lane, &cause);
        }
        end.reason
    }

    async fn run_session(
        &mut self,
        session: Session,
        intake: DeliverySender,
        began: Instant,
    ) -> SessionEnd {
        let started = Notify::new();
        let mut is_started = false;
        let questions = self.shared.sessions.register(self.lane);
        let running = session.run(intake, self.commands.clone(), questions, &self.depths, &started);
        let mut running = pin!(running);
        let mut commands = self.commands.clone();
        loop {
            tokio::select! {
                end = &mut running => return end,
                () = started.notified(), if !is_started => {
                    is_started = true;
                    // A flapping session must last before the lane counts as consuming. A lane that stops says so
                    // already.
                    if !self.suspect && self.intake.is_some() {
                        self.shared.lanes.consumes(self.lane);
                    }
                }
                () = sleep_until(began + STABLE), if self.suspect => {
                    self.suspect = false;
                    self.shared.lanes.consumes(self.lane);
                }
                () = commands.unwanted(), if self.intake.is_some() => {
                    self.intake = None;
                    self.shared.lanes.stops(self.lane);
                }
            }
        }
    }

    /// Decides whether the lane's messages are suspect after this end. Returns the cause with advice.
    fn judge(&mut self, end: &SessionEnd) -> String {
        let suspected = match end.suspicion {
            Suspicion::None => false,
            // A cause that ends both lanes is not a message of one lane.
            Suspicion::Some => self.shared.lanes.has_consumed_for(self.lane.other(), STABLE),
            Suspicion::Strong => true,
        };
        self.suspect = suspected && self.reconnect.is_flapping();
        let cause = advised(end.cause.clone());
        if self.suspect {
            let queue = self.shared.targets.queues.lane(self.lane);
            return format!(
                "{cause}; repeatedly, soon after {queue} is consumed: one of its first messages \
                 may be the cause (see RevokerSessionsFlapping in the runbook)"
            );
        }
        cause
    }
}
