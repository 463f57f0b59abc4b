//! The sessions of one lane, one after the other, for as long as jobs are wanted.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::time::{Instant, sleep, sleep_until};

use super::{
    advice::{Suspicion, advised},
    commands::{Commands, Intake},
    connect::{Connector, Purpose},
    consuming::Lanes,
    counting::Counting,
    delivery::Exits,
    depths::Depths,
    ending::End,
    one_job::Sessions,
    pace::{Pace, STABLE},
    session::{Refused, Session},
    settings::Settings,
    stream::Budget,
    topology::TopologyError,
};
use crate::{
    domain::Lane,
    metrics::{EndedBy, Metrics},
    ports::Consumers,
};

/// What both lanes share.
#[derive(Debug, Clone)]
pub struct Shared {
    /// How the broker is reached and used.
    pub settings: Arc<Settings>,
    /// Where deliveries can go.
    pub exits: Arc<Exits>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Whether each lane consumes.
    pub lanes: Arc<Lanes>,
    /// Where each lane is asked for one job.
    pub sessions: Sessions,
    /// Whether any lane ever consumed.
    pub begun: Arc<AtomicBool>,
}

/// The task that keeps one lane's session alive.
#[derive(Debug)]
pub struct LaneSessions {
    lane: Lane,
    connector: Connector,
    shared: Shared,
    depths: Depths,
    /// `None` once no more jobs are wanted: then the source ends with the last pump.
    intake: Option<Intake>,
    commands: Commands,
    pace: Pace,
    /// Its messages may be what breaks its sessions.
    suspect: bool,
}

impl LaneSessions {
    /// The task of `lane`, with a budget of the bytes that it may have in flight.
    #[must_use]
    pub fn new(
        lane: Lane,
        shared: Shared,
        budget: Arc<Budget>,
        depths: Depths,
        intake: Intake,
        commands: Commands,
    ) -> Self {
        let connector = Connector::new(Arc::clone(&shared.settings));
        Self {
            lane,
            connector: connector.within(budget).counting(Arc::clone(&shared.metrics)),
            shared,
            depths,
            intake: Some(intake),
            commands,
            pace: Pace::default(),
            suspect: false,
        }
    }

    /// Tells `consumers` how many consumers the broker counts on the lane.
    pub fn tell(&mut self, consumers: Arc<dyn Consumers>) {
        let queues = Arc::clone(&self.shared.exits.queues);
        self.depths.counting = Some(Counting { lane: self.lane, queues, told: consumers });
    }

    /// Runs sessions until told to stop.
    ///
    /// # Errors
    ///
    /// [`TopologyError::Differs`] if a queue is declared with other arguments, and no lane ever consumed: a
    /// fault of configuration. Met later, it is waited out like any other.
    pub async fn run(mut self) -> Result<(), TopologyError> {
        let mut commands = self.commands.clone();
        while let Some(intake) = self.intake.clone() {
            let began = tokio::select! {
                began = self.begin() => began,
                () = commands.unwanted() => break,
            };
            let ended = match began {
                Ok(session) => self.consume(session, intake).await,
                Err(Refused::Topology(error @ TopologyError::Differs { .. }))
                    if self.is_first() =>
                {
                    return Err(error);
                }
                Err(refused) => {
                    self.shared.lanes.fails(self.lane, &advised(refused.to_string()));
                    EndedBy::ConnectFailed
                }
            };
            self.shared.metrics.session_ended(ended);
            tokio::select! {
                () = sleep(self.pace.wait(fastrand::f64())) => {}
                () = commands.unwanted() => break,
            }
        }
        Ok(())
    }

    /// Whether no lane ever consumed.
    fn is_first(&self) -> bool {
        !self.shared.begun.load(Ordering::Acquire)
    }

    async fn begin(&mut self) -> Result<Session, Refused> {
        let connecting = self.connector.connect(Purpose::Consume(self.lane)).await;
        let connection =
            connecting.map_err(|unreachable| Refused::Unreachable(unreachable.to_string()))?;
        let Shared { settings, exits, .. } = self.shared.clone();
        Session::begin(connection, self.lane, settings, exits, self.is_first()).await
    }

    async fn consume(&mut self, session: Session, intake: Intake) -> EndedBy {
        self.shared.begun.store(true, Ordering::Release);
        let began = Instant::now();
        let end = self.run_session(session, intake, began).await;
        self.pace.lived(began.elapsed(), end.suspicion != Suspicion::None);
        if end.by != EndedBy::Shutdown {
            let cause = self.judge(&end);
            self.shared.lanes.fails(self.lane, &cause);
        }
        end.by
    }

    async fn run_session(&mut self, session: Session, intake: Intake, began: Instant) -> End {
        // One that breaks again and again has to prove itself first.
        if !self.suspect {
            self.shared.lanes.consumes(self.lane);
        }
        let questions = self.shared.sessions.attend(self.lane);
        let running = session.run(intake, self.commands.clone(), questions, &self.depths);
        let mut running = pin!(running);
        let mut commands = self.commands.clone();
        loop {
            tokio::select! {
                end = &mut running => return end,
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

    /// Whether the lane's messages are under suspicion after this end; returns its cause, and what to do.
    fn judge(&mut self, end: &End) -> String {
        let suspected = match end.suspicion {
            Suspicion::None => false,
            // What ends both lanes is not to be found in one of them.
            Suspicion::Some => self.shared.lanes.has_consumed_for(self.lane.other(), STABLE),
            Suspicion::Strong => true,
        };
        self.suspect = suspected && self.pace.breaks_again_and_again();
        let cause = advised(end.cause.clone());
        if self.suspect {
            let queue = self.shared.exits.queues.lane(self.lane);
            return format!(
                "{cause}; again and again, soon after {queue} is consumed: one of its first messages may be \
                 the cause (see RevokerSessionsFlapping in the runbook)"
            );
        }
        cause
    }
}
