//! Every metric, declared once.
//!
//! [`Metrics`] is the whole of what others see: one method for each thing that can happen. The names
//! stand in `table`, the labels' values in `labels`.

mod family;
mod in_state;
mod labels;
mod snapshot;
mod table;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, SystemTime},
};

use prometheus::{Error, IntGauge, Opts, Registry, TextEncoder};

use crate::domain::{Lane, Reason, ResultLabel};
use labels::{Answer, Redelivered};
use table::Table;

pub use in_state::InState;
pub use labels::{
    Deferral, Depth, JobState, Label, Mending, Processed, Published, SessionEndReason, Target,
};
pub use snapshot::{Counts, Snapshot};

/// The content type of [`Metrics::render`], from the client library: the text format 0.0.4.
pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// Which build of the worker this is.
#[derive(Debug, Clone, Copy)]
pub struct Build<'a> {
    /// The crate's version.
    pub version: &'a str,
    /// The source's revision, or a word that says that it is not known.
    pub revision: &'a str,
}

/// Something to be measured only when somebody asks.
type Hook = Arc<dyn Fn(&Metrics) + Send + Sync>;

/// All metrics of one worker, in a registry of its own.
pub struct Metrics {
    registry: Registry,
    table: Table,
    build: (String, String),
    hooks: RwLock<Vec<Hook>>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    /// Declares every metric, each series at zero.
    ///
    /// # Errors
    ///
    /// The library's, if a declaration is invalid: a mistake in the table.
    pub fn new(build: Build<'_>) -> Result<Self, Error> {
        let registry = Registry::new();
        let table = Table::register(&registry)?;
        let info = IntGauge::with_opts(
            Opts::new("build_info", "Which build this is; always 1.")
                .namespace(family::NAMESPACE)
                .const_label("version", build.version)
                .const_label("revision", build.revision),
        )?;
        info.set(1);
        registry.register(Box::new(info))?;
        #[cfg(target_os = "linux")]
        registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        let build = (build.version.to_owned(), build.revision.to_owned());
        Ok(Self { registry, table, build, hooks: RwLock::default() })
    }

    /// The version and the revision of this build.
    #[must_use]
    pub fn build(&self) -> (&str, &str) {
        (&self.build.0, &self.build.1)
    }

    /// A message came from the broker.
    pub fn delivered(&self, lane: Lane, redelivered: bool) {
        self.table.deliveries.of((lane, Redelivered::from(redelivered))).inc();
    }

    /// A job ended.
    pub fn processed(&self, lane: Lane, outcome: Processed) {
        self.table.processed.of((lane, outcome)).inc();
    }

    /// A job became a dead letter. It is also [`Metrics::processed`].
    pub fn failed(&self, lane: Lane, reason: Reason) {
        self.table.failed.of((lane, reason)).inc();
    }

    /// A delivery was left without ending its job.
    pub fn deferred(&self, lane: Lane, how: Deferral) {
        self.table.deferrals.of((lane, how)).inc();
    }

    /// A call of the endpoint ended.
    pub fn called(&self, result: ResultLabel, took: Duration) {
        self.table.calls.of(result).inc();
        self.table.call_duration.of(Answer::from(result)).observe(took.as_secs_f64());
    }

    /// A dead letter's message has no timestamp that could be its age. It is also [`Metrics::failed`].
    pub fn failed_without_age(&self, lane: Lane, reason: Reason) {
        self.table.failed_without_age.of((lane, reason)).inc();
    }

    /// A token was revoked `at` this time, `age` after its job was sent, if the job says when.
    pub fn revoked(&self, lane: Lane, age: Option<Duration>, at: SystemTime) {
        match age {
            Some(age) => self.table.age.of(lane).observe(age.as_secs_f64()),
            None => self.table.without_age.of(lane).inc(),
        }
        if let Ok(since_epoch) = at.duration_since(SystemTime::UNIX_EPOCH) {
            self.table.last_revoked.of(()).set(since_epoch.as_secs_f64());
        }
    }

    /// A job ended after so many calls.
    pub fn attempts(&self, attempts: u32) {
        self.table.attempts.of(()).observe(f64::from(attempts));
    }

    /// Counts a job as being in `state` until the guard is dropped or switched.
    pub fn enter(self: &Arc<Self>, state: JobState) -> InState {
        InState::enter(Arc::clone(self), state)
    }

    /// So many calls may be under way at a time.
    pub fn concurrency_limit(&self, limit: usize) {
        self.table.concurrency_limit.of(()).set(i64::try_from(limit).unwrap_or(i64::MAX));
    }

    /// Whether calls are paused.
    pub fn paused(&self, paused: bool) {
        self.table.paused.of(()).set(paused.into());
    }

    /// So many clients are paused.
    pub fn clients_paused(&self, clients: usize) {
        self.table.clients_paused.of(()).set(i64::try_from(clients).unwrap_or(i64::MAX));
    }

    /// A delivery was mended.
    pub fn message_mended(&self, what: Mending) {
        self.table.mended.of(what).inc();
    }

    /// So many bytes are in flight.
    pub fn in_flight_bytes(&self, bytes: u64) {
        self.table.in_flight_bytes.of(()).set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// Whether both lanes are consumed.
    pub fn broker_connected(&self, connected: bool) {
        self.table.broker_connected.of(()).set(connected.into());
    }

    /// Whether the broker blocks our publishing.
    pub fn broker_blocked(&self, blocked: bool) {
        self.table.broker_blocked.of(()).set(blocked.into());
    }

    /// A lane's session with the broker ended.
    pub fn session_ended(&self, by: SessionEndReason) {
        self.table.sessions.of(by).inc();
    }

    /// A message of ours met its end at the broker.
    pub fn published(&self, target: Target, outcome: Published) {
        self.table.publishes.of((target, outcome)).inc();
    }

    /// A queue was found to hold so many messages.
    pub fn queue_messages(&self, queue: Depth, messages: u64) {
        self.table.queue_messages.of(queue).set(i64::try_from(messages).unwrap_or(i64::MAX));
    }

    /// A job carried a client secret, which was not used.
    pub fn client_secret_ignored(&self) {
        self.table.client_secrets_ignored.of(()).inc();
    }

    /// The oldest job in flight has been there for `age`.
    pub fn oldest_job_in_flight(&self, age: Duration) {
        self.table.oldest.of(()).set(age.as_secs_f64());
    }

    /// Runs `hook` before each rendering: for what is cheaper to find out when asked than to keep.
    pub fn on_scrape(&self, hook: impl Fn(&Self) + Send + Sync + 'static) {
        self.hooks.write().unwrap_or_else(PoisonError::into_inner).push(Arc::new(hook));
    }

    /// Everything in Prometheus' text format, [`CONTENT_TYPE`].
    ///
    /// # Errors
    ///
    /// The library's, if a metric cannot be encoded.
    pub fn render(&self) -> Result<String, Error> {
        // A copy, so that a hook that panics or adds another leaves no lock behind.
        let hooks = self.hooks.read().unwrap_or_else(PoisonError::into_inner).clone();
        for hook in hooks {
            hook(self);
        }
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}
