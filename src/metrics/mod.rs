//! Every metric, declared once.
//!
//! Other modules use [`Metrics`] alone: one method for each event. The names are in `table`, the values of
//! the labels in `labels`.

mod dead_letter_groups;
mod family;
mod in_state;
mod labels;
mod snapshot;
mod table;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::{Duration, SystemTime},
};

use prometheus::{Error, IntGauge, Opts, Registry, TextEncoder};

use crate::domain::{CheckResult, Lane, Reason, ResultLabel};
use dead_letter_groups::DeadLetterGroups;
use labels::{Answer, Redelivered};
use table::Table;

pub use dead_letter_groups::DeadLetterGroup;
pub use in_state::InState;
pub use labels::{
    Deferral, Depth, JobState, Label, Mending, Processed, Published, SessionEndReason, Target,
};
pub use snapshot::{LabelCounts, Snapshot};

/// The content type of [`Metrics::render`], from the client library: the text format 0.0.4.
pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// The build of the worker.
#[derive(Debug, Clone, Copy)]
pub struct Build<'a> {
    /// The crate's version.
    pub version: &'a str,
    /// The source's revision, or a word that says that it is unknown.
    pub revision: &'a str,
}

/// Sets metrics that are measured only for a scrape.
type Hook = Arc<dyn Fn(&Metrics) + Send + Sync>;

/// All metrics of one worker, in a registry of its own.
pub struct Metrics {
    registry: Registry,
    table: Table,
    build: (String, String),
    dead_letters: Mutex<DeadLetterGroups>,
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
    /// The library's error, if a declaration is invalid: a mistake in the table.
    pub fn new(build: Build<'_>) -> Result<Self, Error> {
        let registry = Registry::new();
        let table = Table::register(&registry)?;
        let labels = [("version", build.version), ("revision", build.revision)];
        info(&registry, "build_info", "The build of the worker; always 1.", labels)?;
        #[cfg(target_os = "linux")]
        registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        let build = (build.version.to_owned(), build.revision.to_owned());
        Ok(Self {
            registry,
            table,
            build,
            dead_letters: Mutex::default(),
            hooks: RwLock::default(),
        })
    }

    /// The version and the revision of this build.
    #[must_use]
    pub fn build(&self) -> (&str, &str) {
        (&self.build.0, &self.build.1)
    }

    /// Sets the endpoint's profile and the proof that its success gives. It can be set only once.
    ///
    /// # Errors
    ///
    /// The library's error, if it was set before.
    pub fn endpoint(&self, profile: &str, proof: &str) -> Result<(), Error> {
        let help = "The endpoint's profile, and the proof that its success gives; always 1.";
        info(&self.registry, "endpoint_info", help, [("profile", profile), ("proof", proof)])
    }

    /// Counts a delivery.
    pub fn delivered(&self, lane: Lane, redelivered: bool) {
        self.table.deliveries.of((lane, Redelivered::from(redelivered))).inc();
    }

    /// Counts a job that ended.
    pub fn processed(&self, lane: Lane, outcome: Processed) {
        self.table.processed.of((lane, outcome)).inc();
    }

    /// Counts a dead letter, which [`Metrics::processed`] counts as well.
    pub fn failed(&self, lane: Lane, reason: Reason) {
        self.table.failed.of((lane, reason)).inc();
    }

    /// Counts a dead letter in its group, for the status page. The texts hold no secret.
    pub fn dead_letter(&self, reason: Reason, client: Option<&str>, detail: &str) {
        self.groups().add(reason, client, detail);
    }

    /// The groups of dead letters since the start, the largest first. Their number is bounded.
    #[must_use]
    pub fn dead_letter_groups(&self) -> Vec<DeadLetterGroup> {
        self.groups().all()
    }

    fn groups(&self) -> MutexGuard<'_, DeadLetterGroups> {
        // Counts are consistent after a panic: one more or less.
        self.dead_letters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a delivery that did not end its job.
    pub fn deferred(&self, lane: Lane, how: Deferral) {
        self.table.deferrals.of((lane, how)).inc();
    }

    /// Counts a call of the endpoint, and observes its duration.
    pub fn called(&self, result: ResultLabel, took: Duration) {
        self.table.calls.of(result).inc();
        self.table.call_duration.of(Answer::from(result)).observe(took.as_secs_f64());
    }

    /// Counts a check of a token.
    pub fn checked(&self, result: CheckResult) {
        self.table.checks.of(result).inc();
    }

    /// Counts a dead letter without a usable timestamp, which [`Metrics::failed`] counts as well.
    pub fn failed_without_age(&self, lane: Lane, reason: Reason) {
        self.table.failed_without_age.of((lane, reason)).inc();
    }

    /// Observes the age of a job that the endpoint's answer ended at `at`. `None` if the message has no usable timestamp.
    pub fn revoked(&self, lane: Lane, age: Option<Duration>, at: SystemTime) {
        match age {
            Some(age) => self.table.age.of(lane).observe(age.as_secs_f64()),
            None => self.table.without_age.of(lane).inc(),
        }
        if let Ok(since_epoch) = at.duration_since(SystemTime::UNIX_EPOCH) {
            self.table.last_revoked.of(()).set(since_epoch.as_secs_f64());
        }
    }

    /// Observes the number of calls for a job that ended.
    pub fn attempts(&self, attempts: u32) {
        self.table.attempts.of(()).observe(f64::from(attempts));
    }

    /// Counts a job as being in `state` until the guard is dropped or switched.
    pub fn enter(self: &Arc<Self>, state: JobState) -> InState {
        InState::enter(Arc::clone(self), state)
    }

    /// Sets the limit of concurrent calls.
    pub fn concurrency_limit(&self, limit: usize) {
        self.table.concurrency_limit.of(()).set(i64::try_from(limit).unwrap_or(i64::MAX));
    }

    /// Sets whether calls are paused.
    pub fn paused(&self, paused: bool) {
        self.table.paused.of(()).set(paused.into());
    }

    /// Sets the number of paused clients.
    pub fn clients_paused(&self, clients: usize) {
        self.table.clients_paused.of(()).set(i64::try_from(clients).unwrap_or(i64::MAX));
    }

    /// Counts a repaired delivery.
    pub fn message_mended(&self, what: Mending) {
        self.table.mended.of(what).inc();
    }

    /// Sets the bytes in flight.
    pub fn in_flight_bytes(&self, bytes: u64) {
        self.table.in_flight_bytes.of(()).set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// Sets whether both lanes are consumed.
    pub fn broker_connected(&self, connected: bool) {
        self.table.broker_connected.of(()).set(connected.into());
    }

    /// Sets whether the broker blocks our publishing.
    pub fn broker_blocked(&self, blocked: bool) {
        self.table.broker_blocked.of(()).set(blocked.into());
    }

    /// Counts a session with the broker that ended.
    pub fn session_ended(&self, by: SessionEndReason) {
        self.table.sessions.of(by).inc();
    }

    /// Counts a message that we published, by its result.
    pub fn published(&self, target: Target, outcome: Published) {
        self.table.publishes.of((target, outcome)).inc();
    }

    /// Sets the sampled depth of a queue.
    pub fn queue_messages(&self, queue: Depth, messages: u64) {
        self.table.queue_messages.of(queue).set(i64::try_from(messages).unwrap_or(i64::MAX));
    }

    /// Counts a job with a client secret, which is not used.
    pub fn client_secret_ignored(&self) {
        self.table.client_secrets_ignored.of(()).inc();
    }

    /// Sets the age of the oldest job in flight.
    pub fn oldest_job_in_flight(&self, age: Duration) {
        self.table.oldest.of(()).set(age.as_secs_f64());
    }

    /// Runs `hook` before each rendering, for values that are cheaper to compute on demand.
    pub fn on_scrape(&self, hook: impl Fn(&Self) + Send + Sync + 'static) {
        self.hooks.write().unwrap_or_else(PoisonError::into_inner).push(Arc::new(hook));
    }

    /// All metrics in Prometheus' text format, [`CONTENT_TYPE`].
    ///
    /// # Errors
    ///
    /// The library's error, if a metric cannot be encoded.
    pub fn render(&self) -> Result<String, Error> {
        // A copy: a hook may panic or add another hook, so no lock is held while it runs.
        let hooks = self.hooks.read().unwrap_or_else(PoisonError::into_inner).clone();
        for hook in hooks {
            hook(self);
        }
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

/// Declares a gauge that is 1 and has its information in labels.
fn info(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: [(&str, &str); 2],
) -> Result<(), Error> {
    let opts = Opts::new(name, help).namespace(family::NAMESPACE);
    let opts = labels.into_iter().fold(opts, |opts, (label, value)| opts.const_label(label, value));
    let info = IntGauge::with_opts(opts)?;
    info.set(1);
    registry.register(Box::new(info))
}
