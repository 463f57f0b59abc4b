//! Supervise and rebuild: sessions one after the other, for as long as jobs are wanted.
//!
//! lapin's automatic recovery stays off. A channel that recovers can ack new jobs by stale tags, and
//! an outer loop is needed anyway, for topology and for brokers that are absent at the start.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{
    cause::fault,
    connect::{Connector, Purpose},
    delivery::{AmqpDelivery, Exits},
    link,
    session::{Commands, Session, Wanted},
    settings::Settings,
    stream::Budget,
    topology::{self, TopologyError},
};
use crate::{
    domain::Schedule,
    metrics::{EndedBy, Metrics},
    ports::{Condition, Report, Source},
};

/// Deliveries between a session and the pipeline; the prefetch bounds what lies behind.
const INTAKE: usize = 64;

/// The waits between tries. The cap is small: a broker that is back should be used at once.
const RECONNECT: Schedule = Schedule {
    initial: Duration::from_millis(100),
    multiplier: 2.0,
    max: Duration::from_secs(3),
    jitter: 0.5,
};

/// A session that lived for so long was no failed try.
const STABLE: Duration = Duration::from_secs(10);

/// Deliveries of all sessions, one after the other.
#[derive(Debug)]
pub struct AmqpSource(mpsc::Receiver<AmqpDelivery>);

impl Source for AmqpSource {
    type Delivery = AmqpDelivery;

    async fn next(&mut self) -> Option<AmqpDelivery> {
        self.0.recv().await
    }
}

/// What the supervisor of sessions is told to do.
#[derive(Debug, Clone)]
pub struct Control {
    wanted: watch::Sender<Wanted>,
    stopped: CancellationToken,
    close: CancellationToken,
}

impl Control {
    /// Says how many jobs are wanted. After [`Wanted::Never`] nothing else is listened to, and the
    /// source ends once everything delivered was taken from it.
    pub fn want(&self, wanted: Wanted) {
        self.wanted.send_if_modified(|before| {
            let changed = *before != Wanted::Never && *before != wanted;
            if changed {
                *before = wanted;
            }
            changed
        });
    }

    /// Waits until the broker delivers nothing more: what is handed back before that comes again.
    pub async fn intake_stopped(&self) {
        self.stopped.cancelled().await;
    }

    /// Everything in hand is settled: tells the broker and closes.
    pub fn close(&self) {
        self.want(Wanted::Never);
        self.close.cancel();
    }
}

/// Whether the worker consumes, for `/readyz`.
#[derive(Debug)]
pub struct Consuming(watch::Receiver<State>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Yes,
    No(String),
    Stopping(SystemTime),
}

impl Report for Consuming {
    fn condition(&self) -> Condition {
        match &*self.0.borrow() {
            State::Yes => Condition::Ready,
            State::No(reason) => Condition::NotReady { reason: reason.clone() },
            State::Stopping(since) => Condition::Waiting {
                reason: "shutting down".to_owned(),
                since: *since,
                until: None,
            },
        }
    }
}

/// The task that keeps a session alive.
#[derive(Debug)]
pub struct Supervisor {
    connector: Connector,
    settings: Arc<Settings>,
    exits: Arc<Exits>,
    metrics: Arc<Metrics>,
    /// `None` once no more jobs are wanted: then the source ends with the last pump.
    intake: Option<mpsc::Sender<AmqpDelivery>>,
    commands: Commands,
    state: watch::Sender<State>,
}

/// How a try to begin a session failed.
enum Refused {
    Unreachable(String),
    Topology(TopologyError),
}

impl Supervisor {
    /// The task, the deliveries that it brings, the way to command it, and its report.
    #[must_use]
    pub fn new(
        settings: Arc<Settings>,
        exits: Arc<Exits>,
        metrics: Arc<Metrics>,
    ) -> (Self, AmqpSource, Control, Consuming) {
        let (intake, deliveries) = mpsc::channel(INTAKE);
        let (wanted, commanded) = watch::channel(Wanted::All);
        let (stopped, close) = (CancellationToken::new(), CancellationToken::new());
        let (state, consuming) = watch::channel(State::No("connecting to the broker".to_owned()));
        let budget = Budget::new(settings.in_flight_bytes);
        let connector = Connector::new(Arc::clone(&settings));
        let connector = connector.within(Arc::clone(&budget)).counting(Arc::clone(&metrics));
        metrics.on_scrape(move |metrics| metrics.in_flight_bytes(budget.in_flight()));
        let supervisor = Self {
            connector,
            settings,
            exits,
            metrics,
            intake: Some(intake),
            commands: Commands {
                wanted: commanded,
                stopped: stopped.clone(),
                close: close.clone(),
            },
            state,
        };
        let control = Control { wanted, stopped, close };
        (supervisor, AmqpSource(deliveries), control, Consuming(consuming))
    }

    /// Runs sessions until told to stop.
    ///
    /// # Errors
    ///
    /// [`TopologyError::Differs`] if the first session finds a queue declared with other arguments: a
    /// fault of configuration. Met later, it is waited out like any other.
    pub async fn run(mut self) -> Result<(), TopologyError> {
        // However this ends, nothing is delivered any more.
        let _stopped = self.commands.stopped.clone().drop_guard();
        let mut backoff = RECONNECT.start();
        let mut commands = self.commands.clone();
        let mut before = false;
        while let Some(intake) = self.intake.clone() {
            let began = tokio::select! {
                began = self.begin() => began,
                () = commands.unwanted() => break,
            };
            let ended = match began {
                Ok(session) => {
                    before = true;
                    let began = Instant::now();
                    let ended = self.consume(session, intake).await;
                    // One that broke at once would be tried again without a pause, for ever.
                    if began.elapsed() >= STABLE {
                        backoff.reset();
                    }
                    ended
                }
                Err(Refused::Topology(error @ TopologyError::Differs { .. })) if !before => {
                    return Err(error);
                }
                Err(Refused::Topology(error)) => self.failed(&error.to_string()),
                Err(Refused::Unreachable(reason)) => self.failed(&reason),
            };
            self.metrics.session_ended(ended);
            tokio::select! {
                () = sleep(backoff.next(fastrand::f64())) => {}
                () = commands.unwanted() => break,
            }
        }
        Ok(())
    }

    async fn begin(&mut self) -> Result<Session, Refused> {
        let connection = self
            .connector
            .connect(Purpose::Consume)
            .await
            .map_err(|unreachable| Refused::Unreachable(unreachable.to_string()))?;
        let status = connection.status().clone();
        let prepared = async {
            topology::ensure(&connection, &self.exits.queues, self.settings.declare)
                .await
                .map_err(Refused::Topology)?;
            Session::open(connection, &self.settings, &self.exits, &self.metrics)
                .await
                .map_err(|error| Refused::Unreachable(fault(&error)))
        };
        link::answer(&status, self.settings.connect_timeout, prepared)
            .await
            .unwrap_or_else(|silence| Err(Refused::Unreachable(silence.to_string())))
    }

    async fn consume(&mut self, session: Session, intake: mpsc::Sender<AmqpDelivery>) -> EndedBy {
        info!("consuming");
        self.state.send_replace(State::Yes);
        self.metrics.broker_connected(true);
        let running = session.run(intake, self.commands.clone());
        tokio::pin!(running);
        let mut commands = self.commands.clone();
        let ended = loop {
            tokio::select! {
                ended = &mut running => break ended,
                () = commands.unwanted(), if self.intake.is_some() => {
                    self.intake = None;
                    self.state.send_replace(State::Stopping(SystemTime::now()));
                }
            }
        };
        self.metrics.broker_connected(false);
        if ended != EndedBy::Shutdown {
            self.no(match ended {
                EndedBy::ConsumerCancelled => {
                    "the broker cancelled a consumer, or serves it no more"
                }
                EndedBy::ChannelClosed => "the broker closed a channel",
                _ => "the connection to the broker was lost",
            });
        }
        ended
    }

    fn failed(&self, reason: &str) -> EndedBy {
        self.no(reason);
        EndedBy::ConnectFailed
    }

    /// One line in the log for each change, not one for each try.
    fn no(&self, reason: &str) {
        let state = State::No(reason.to_owned());
        if self.state.send_replace(state.clone()) != state {
            warn!(reason, "not consuming");
        }
    }
}
