//! The traits between the modules: a source of jobs, their settlement, the endpoint, the clock.

mod host;
mod jitter;
mod paused_client;
mod sweep_share;

use std::{
    fmt,
    future::Future,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::domain::{
    ClientKey, Failure, History, InvalidJob, Job, JobDefaults, JobRecord, Lane, MessageMetadata,
    Outcome, ResultLabel, TokenState, TraceContext, Verdict,
};

pub use host::host_name;
pub use jitter::jitter;
pub use paused_client::{PausedClient, PausedClients};
pub use sweep_share::SweepShare;

/// A source of deliveries.
pub trait Source: Send {
    /// Its deliveries.
    type Delivery: Delivery;

    /// The next delivery; `None` once the source has stopped and every delivery was taken.
    fn next(&mut self) -> impl Future<Output = Option<Self::Delivery>> + Send;
}

/// How many jobs are wanted of the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demand {
    /// As many jobs as the limit of jobs in flight allows.
    All,
    /// One, for a probe, with nothing in flight.
    One,
    /// None for now: the backlog stays where it is.
    None,
    /// None any more: the worker stops.
    Never,
}

/// A count of consumers is discarded if the broker's reply took longer than this.
pub const ANSWERED_WITHIN: Duration = Duration::from_secs(1);

/// Receives the number of consumers on each lane. Each replica has one consumer per lane.
pub trait Consumers: fmt::Debug + Send + Sync + 'static {
    /// Receives a count that was requested at `asked`, while our own consumer was active. 0 means that the queue was
    /// too busy to answer.
    fn counted(&self, lane: Lane, asked: Instant, consumers: u32);

    /// Our own consumer of a lane is not active: it was cancelled, or its session was lost.
    fn absent(&self, lane: Lane);
}

/// One delivery of a job's message. It gets exactly one settlement. Dropped without one, it is requeued.
pub trait Delivery: Send + Sync + 'static {
    /// The metadata of the message.
    fn metadata(&self) -> &MessageMetadata;

    /// Reads the job. `defaults` replace the fields that it leaves out.
    ///
    /// # Errors
    ///
    /// [`InvalidJob`] if the body is no job.
    fn job(&self, defaults: &JobDefaults) -> Result<Arc<Job>, InvalidJob>;

    /// Cancelled when the delivery can no longer be settled. Its job will be delivered again, so no further call
    /// needs to start.
    fn lost(&self) -> CancellationToken;

    /// Settles the delivery. Returns when that is done or has become impossible. A dead letter or a parked job is
    /// confirmed by its queue before its delivery is acked, even if that takes long. `history` includes this delivery.
    /// `event` is the record of a job that ends: where events are wanted, it is stored before anything else happens.
    fn settle(
        self,
        outcome: &Outcome,
        history: &History,
        event: Option<&JobRecord>,
    ) -> impl Future<Output = Settled> + Send;
}

/// The result of a settlement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// The delivery is settled by the outcome.
    Done,
    /// Its dead letter cannot be published, so the broker itself dead-letters the job.
    LeftToBroker(Unpublishable),
    /// It was not possible, and the job was requeued.
    Requeued,
    /// The session was lost first: the job will be delivered again.
    Abandoned,
}

/// A message that the broker never accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unpublishable {
    /// The size of its body, in bytes.
    pub size: usize,
    /// The broker's reply code and text.
    pub why: String,
}

/// The revoke endpoint.
pub trait Endpoint: Send + Sync + 'static {
    /// The client of the job, if it has a secret.
    ///
    /// # Errors
    ///
    /// [`UnknownClient`] without a secret: no call can be made for this job.
    fn admit(&self, job: &Job) -> Result<ClientKey, UnknownClient>;

    /// Makes one call. It has its own time limit, so it always ends.
    ///
    /// # Errors
    ///
    /// [`UnknownClient`] if the client's secret was removed since the job was admitted. No call was made.
    fn revoke(
        &self,
        job: &Job,
        trace: Option<&TraceContext>,
    ) -> impl Future<Output = Result<Verdict, UnknownClient>> + Send;

    /// Asks an introspection endpoint for the state of the job's token. It has its own time limit, so it always ends.
    ///
    /// # Errors
    ///
    /// [`Failure`] without an answer of such an endpoint, or without such an endpoint.
    fn introspect(
        &self,
        _job: &Job,
        _trace: Option<&TraceContext>,
    ) -> impl Future<Output = Result<TokenState, Failure>> + Send {
        std::future::ready(Err(Failure::unanswered(ResultLabel::Connect, false)))
    }
}

/// The reason that no call can be made for a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnknownClient {
    /// The job names a client that is not configured.
    #[error("no secret is configured for the job's client_id")]
    NoSecret,
    /// Neither the job nor the configuration names a client.
    #[error("the job names no client_id and credentials.client_id is not set")]
    NotNamed,
    /// A field of the job is invalid in its place of the request.
    #[error(transparent)]
    Invalid(#[from] InvalidJob),
}

/// The wall clock. It is a trait so that tests can set the time.
pub trait Clock: Send + Sync + 'static {
    /// The time of day.
    fn now(&self) -> SystemTime;
}

/// The clock of the machine: the one place that reads it.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

impl SystemClock {
    /// The time of day at `instant`, past or future, as computed from the current time.
    #[must_use]
    pub fn at(self, instant: Instant) -> SystemTime {
        let now = Instant::now();
        let past = self.now().checked_sub(now.saturating_duration_since(instant));
        past.unwrap_or(SystemTime::UNIX_EPOCH) + instant.saturating_duration_since(now)
    }
}

/// The state of one part of the worker, for the readiness probe and the status page.
pub trait Report: Send + Sync + 'static {
    /// The current state.
    fn condition(&self) -> Condition;

    /// The clients that this part has paused.
    fn paused_clients(&self) -> PausedClients {
        PausedClients::default()
    }

    /// A short text about the limit of concurrent calls, if this part has one. Without secrets.
    fn limit(&self) -> Option<String> {
        None
    }
}

/// The state of a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// It works.
    Ready,
    /// It waits on purpose and is healthy.
    Waiting {
        /// The cause, in a few words.
        reason: String,
        /// Since when.
        since: SystemTime,
        /// When it tries again, if it does.
        until: Option<SystemTime>,
    },
    /// It cannot work.
    NotReady {
        /// The cause, in a few words and without secrets.
        reason: String,
    },
}
