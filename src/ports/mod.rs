//! What the pipeline needs from outside: a source of jobs, a way to settle them, an endpoint, a clock.

mod paused_client;

use std::{
    fmt,
    future::Future,
    time::{Duration, SystemTime},
};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::domain::{Arrival, ClientKey, Job, Lane, Settlement, TraceContext, Verdict};

pub use paused_client::{PausedClient, PausedClients};

/// Where deliveries come from.
pub trait Source: Send {
    /// What comes.
    type Delivery: Delivery;

    /// The next delivery; `None` once the intake was stopped and everything delivered was taken.
    fn next(&mut self) -> impl Future<Output = Option<Self::Delivery>> + Send;
}

/// How many jobs are wanted of the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demand {
    /// As many as may be in flight.
    All,
    /// One, for a probe, with nothing in flight.
    One,
    /// None for now: the backlog stays where it is.
    None,
    /// None any more: the worker stops.
    Never,
}

/// A count of consumers whose answer took longer is not told.
pub const ANSWERED_WITHIN: Duration = Duration::from_secs(1);

/// Who is told how many consumers the source counts on each lane. Each replica has one on each.
pub trait Consumers: fmt::Debug + Send + Sync + 'static {
    /// Asked at `asked`, while our own consumer was in force, so many were counted on a lane; 0 if the queue was too
    /// busy to tell.
    fn counted(&self, lane: Lane, asked: Instant, consumers: u32);

    /// Our own consumer of a lane is not in force: it was cancelled, or its session was lost.
    fn absent(&self, lane: Lane);
}

/// One visit of a job's message. It gets exactly one settlement; dropped without one, it goes back to
/// where it came from.
pub trait Delivery: Send + Sync + 'static {
    /// What came with the body.
    fn arrival(&self) -> &Arrival;

    /// The body, as the producer sent it.
    fn body(&self) -> &[u8];

    /// Cancelled when the delivery can no longer be settled: its job will be delivered again, and what
    /// is not under way yet need not begin.
    fn lost(&self) -> CancellationToken;

    /// Settles the delivery. It returns only when that is done or can no longer be: a dead letter or
    /// a parked job is confirmed by its queue before its source is acked, however long that takes.
    fn settle(self, settlement: Settlement<'_>) -> impl Future<Output = Settled> + Send;
}

/// Whether a settlement took place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// It did.
    Done,
    /// Its dead letter cannot be published: the broker's own dead-lettering keeps the job.
    LeftToBroker(Unpublishable),
    /// It could not be carried out, and the job went back to where it came from.
    HandedBack,
    /// The session it belonged to was lost first: the job will be delivered again.
    Abandoned,
}

/// A message that the broker will not take, however often it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unpublishable {
    /// The size of its body, in bytes.
    pub size: usize,
    /// The broker's reply code and text.
    pub why: String,
}

/// What is called.
pub trait Endpoint: Send + Sync + 'static {
    /// The client of the job, if a secret is known for it.
    ///
    /// # Errors
    ///
    /// [`UnknownClient`] if not: no call can be made for this job.
    fn admit(&self, job: &Job) -> Result<ClientKey, UnknownClient>;

    /// Makes one attempt. It always ends: it has a time limit of its own.
    ///
    /// # Errors
    ///
    /// [`UnknownClient`] if the client's secret was withdrawn since the job was admitted; no call was
    /// made then.
    fn revoke(
        &self,
        job: &Job,
        trace: Option<&TraceContext>,
    ) -> impl Future<Output = Result<Verdict, UnknownClient>> + Send;
}

/// No secret is known for a job's client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnknownClient {
    /// The job names a client that is not configured.
    #[error("no secret is configured for the job's client_id")]
    NoSecret,
    /// Neither the job nor the configuration names a client.
    #[error("the job names no client_id and credentials.client_id is not set")]
    NotNamed,
}

/// The wall clock, apart so that tests can set it.
pub trait Clock: Send + Sync + 'static {
    /// The time of day.
    fn now(&self) -> SystemTime;
}

/// The clock of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// What one part of the worker says of itself to whoever asks whether it is ready.
pub trait Report: Send + Sync + 'static {
    /// Its state now.
    fn condition(&self) -> Condition;

    /// The clients that are paused in it.
    fn paused_clients(&self) -> PausedClients {
        PausedClients::default()
    }

    /// What it says of the limit of parallel calls, if it has one: a few words, without secrets.
    fn limit(&self) -> Option<String> {
        None
    }
}

/// A part's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// It does its work.
    Ready,
    /// It waits on purpose and is well.
    Waiting {
        /// Why, in a few words.
        reason: String,
        /// Since when.
        since: SystemTime,
        /// When it tries again by itself, if it does.
        until: Option<SystemTime>,
    },
    /// It cannot do its work.
    NotReady {
        /// Why, in a few words, without secrets.
        reason: String,
    },
}
