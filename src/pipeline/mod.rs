//! Joins source, flow and endpoint: one job as one chain of named steps.
//!
//! Delivery, job, attempts, outcome, settlement: each step takes the result of the one before it. Each
//! delivery has its own task, which keeps the chain readable. The prefetch bounds the number of tasks.

mod accounting;
mod attempt;
mod backing_off;
mod crowding;
mod duplicates;
mod failure_log;
mod following;
mod in_flight;
mod job_context;
mod recording;
mod settings;
mod stop;
#[cfg(test)]
mod tests;
mod verifying;
mod waiting;

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use accounting::MessageSummary;
pub use backing_off::BackingOff;
pub use duplicates::Duplicates;
pub use failure_log::FailureLog;
use in_flight::InFlightJobs;
use job_context::JobContext;
pub use job_context::MAX_IN_FLIGHT;
pub use recording::RecordSettings;
pub use settings::Settings;
pub use stop::Stop;
pub use verifying::ChecksSeen;

use crate::{
    domain::{Job, JobRecord, Outcome},
    flow::Dispatcher,
    metrics::{JobState, Metrics},
    ports::{Clock, Delivery, Endpoint, Settled, Source},
    spans::Spans,
};

/// A settlement may take at least this long, for any time that its job was in flight before.
const SETTLE_AT_LEAST: Duration = Duration::from_secs(60);

/// The time for the confirm of an outcome event after the cut-off. Without it, a stopping worker would give back jobs that
/// have ended, and the next worker would call them again.
const CONFIRM_AT_CUT_OFF: Duration = Duration::from_secs(1);

/// The parts that every job passes through.
#[derive(Debug)]
pub struct Pipeline<E, C> {
    /// The settings of reading and judging jobs.
    pub settings: Settings,
    /// The revoke endpoint.
    pub endpoint: E,
    /// The time of day.
    pub clock: C,
    /// Finds jobs with the same call.
    pub duplicates: Arc<Duplicates>,
    /// Room for jobs that wait between attempts.
    pub backing_off: BackingOff,
    /// Decides which call may start.
    pub flow: Arc<Dispatcher>,
    /// The counters.
    pub metrics: Arc<Metrics>,
    /// The counts of the checks of all jobs.
    pub checks: ChecksSeen,
    /// Logs failed calls.
    pub failures: Arc<FailureLog>,
    /// The spans of jobs and calls.
    pub spans: Spans,
    /// The steps of stopping.
    pub stop: Stop,
    /// Whether failed jobs become dead letters of a queue, each with a log line. The journal of a sweep lists its own.
    pub has_dead_letters: bool,
}

impl<E: Endpoint, C: Clock> Pipeline<E, C> {
    /// Takes every job from the source to its settlement. Returns when the source has ended and no job
    /// is in flight.
    pub async fn run(self: Arc<Self>, mut source: impl Source) {
        let in_flight = Arc::new(InFlightJobs::default());
        let oldest = Arc::clone(&in_flight);
        self.metrics.on_scrape(move |metrics| metrics.oldest_job_in_flight(oldest.oldest()));
        let jobs = TaskTracker::new();
        while let Some(delivery) = source.next().await {
            let ticket = in_flight.enter();
            let pipeline = Arc::clone(&self);
            // Boxed: the future of a job has some KiB, and spawning moves it several times.
            jobs.spawn(Box::pin(async move {
                pipeline.handle(delivery).await;
                drop(ticket);
            }));
        }
        jobs.close();
        jobs.wait().await;
    }

    /// Handles one delivery, from the message to the settlement.
    async fn handle(&self, delivery: impl Delivery) {
        let mut context =
            JobContext::new(delivery.metadata(), delivery.lost(), &self.metrics, &self.clock);
        let outcome = self.decide(&delivery, &mut context).await;
        if matches!(outcome, Outcome::Requeued) {
            self.note_requeue(&mut context);
        }
        let summary = MessageSummary::of(&delivery, &context, &outcome);
        let record = self.record(&delivery, &context, &outcome);
        let settled = self.settle(delivery, &outcome, &mut context, record.as_deref()).await;
        self.account(&summary, &context, &outcome, &settled);
        if let Some(record) = record {
            self.log_record(&record, &settled);
        }
        context.span.end(&outcome, &settled);
    }

    /// The outcome of the delivery. A panic ends this job alone; a cut-off ends it at once.
    async fn decide(&self, delivery: &impl Delivery, context: &mut JobContext) -> Outcome {
        let deciding = AssertUnwindSafe(async {
            match self.accept(delivery, context) {
                Ok(job) => self.call_once(&job, context).await,
                Err(outcome) => *outcome,
            }
        });
        let decided = tokio::select! {
            biased;
            () = self.stop.cut() => None,
            decided = deciding.catch_unwind() => Some(decided),
        };
        match decided {
            None => context.cut_off(),
            Some(decided) => {
                decided.unwrap_or_else(|_panic| context.internal_error(self.clock.now()))
            }
        }
    }

    /// Reads the body and finds the client. The error is the outcome of a job that cannot be called.
    fn accept(
        &self,
        delivery: &impl Delivery,
        context: &mut JobContext,
    ) -> Result<Arc<Job>, Box<Outcome>> {
        let job = delivery
            .job(&self.settings.defaults)
            .map_err(|invalid| Box::new(context.invalid(invalid, self.clock.now())))?;
        if job.carried_client_secret.is_some() {
            self.note_ignored_secret();
        }
        let job = context.identify(job);
        context.span = self.spans.job(context.lane, job.fingerprint, || context.exported_trace());
        context.trace = context.trace.take().or_else(|| context.span.context());
        context.client = self
            .endpoint
            .admit(&job)
            .map_err(|unknown| Box::new(context.unknown_client(unknown, self.clock.now())))?;
        Ok(job)
    }

    async fn settle(
        &self,
        delivery: impl Delivery,
        outcome: &Outcome,
        context: &mut JobContext,
        record: Option<&JobRecord>,
    ) -> Settled {
        let event = record.filter(|_| self.settings.records.events);
        context.state.switch(JobState::Settling);
        // A queue may block publishing for longer than the broker's limit for an unsettled delivery.
        let overdue = async {
            let leave_by = context.leave_by.max(Instant::now() + SETTLE_AT_LEAST);
            tokio::time::sleep_until(leave_by).await;
        };
        let cut_off = async {
            self.stop.cut().await;
            if event.is_some() {
                tokio::time::sleep(CONFIRM_AT_CUT_OFF).await;
            }
        };
        tokio::select! {
            biased;
            settled = delivery.settle(outcome, &context.history, event) => settled,
            // A delivery that is dropped without a settlement is requeued.
            () = cut_off => Settled::Requeued,
            () = overdue => Settled::Requeued,
        }
    }
}
