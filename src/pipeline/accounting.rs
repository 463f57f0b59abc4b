//! Counts and logs each delivery once it is settled.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, SystemTime},
};

use tracing::{debug, warn};

use super::{Pipeline, job_context::JobContext};
use crate::{
    domain::{DeadLetter, JobId, Outcome, VERIFIED, age},
    metrics::{Deferral, Processed},
    ports::{Clock, Delivery, Endpoint, Settled, Unpublishable},
};

/// The data of a message for accounting. The settlement consumes the message itself.
#[derive(Debug)]
pub(super) struct MessageSummary {
    published_at: Option<SystemTime>,
    /// Set only for a dead letter: no other log line needs it.
    job_id: Option<JobId>,
}

impl MessageSummary {
    pub(super) fn of(delivery: &impl Delivery, context: &JobContext, outcome: &Outcome) -> Self {
        let metadata = delivery.metadata();
        let job_id = matches!(outcome, Outcome::DeadLettered(_)).then(|| match &context.job {
            Some(job) => JobId::of(metadata, job),
            None => JobId::of_invalid(metadata),
        });
        Self { published_at: metadata.published_at, job_id }
    }

    /// The age of the job; `None` if the message has no usable timestamp.
    fn age(&self, now: SystemTime) -> Option<Duration> {
        self.published_at.and_then(|sent| age(sent, now))
    }
}

impl<E: Endpoint, C: Clock> Pipeline<E, C> {
    /// Counts the delivery exactly once: as processed or as deferred.
    pub(super) fn account(
        &self,
        summary: &MessageSummary,
        context: &JobContext,
        outcome: &Outcome,
        settled: &Settled,
    ) {
        let deferral = match (settled, outcome) {
            (Settled::Abandoned, _) => Deferral::Abandoned,
            (Settled::Requeued, _) | (Settled::Done, Outcome::Requeued) => Deferral::Requeued,
            (Settled::Done, Outcome::Parked(_)) => Deferral::Parked,
            (Settled::Done, _) => return self.account_end(summary, context, outcome, None),
            (Settled::LeftToBroker(refusal), _) => {
                return self.account_end(summary, context, outcome, Some(refusal));
            }
        };
        self.metrics.deferred(context.lane, deferral);
    }

    fn account_end(
        &self,
        summary: &MessageSummary,
        context: &JobContext,
        outcome: &Outcome,
        refusal: Option<&Unpublishable>,
    ) {
        let lane = context.lane;
        let processed = match outcome {
            Outcome::Done(completion) => {
                if completion.is_answered() {
                    let now = self.clock.now();
                    self.metrics.revoked(lane, summary.age(now), now);
                }
                Processed::from(*completion)
            }
            Outcome::DeadLettered(letter) => {
                self.metrics.failed(lane, letter.reason);
                self.metrics.dead_letter(letter.reason, shown_client(context), &letter.detail);
                if summary.age(letter.dead_at).is_none() {
                    self.metrics.failed_without_age(lane, letter.reason);
                }
                if self.has_dead_letters {
                    log_dead_letter(summary, context, letter, refusal);
                }
                Processed::DeadLettered
            }
            Outcome::Parked(_) | Outcome::Requeued => return,
        };
        self.metrics.processed(lane, processed);
        self.metrics.attempts(context.history.attempts);
        debug!(
            %lane,
            outcome = ?processed,
            proof = context.history.verified.then_some(VERIFIED),
            attempts = context.history.attempts,
            trace_id = context.trace_id(),
            "job ended"
        );
    }

    /// Counts a job that carries a client secret. The secret is not used, and producers should not send it.
    pub(super) fn note_ignored_secret(&self) {
        static WARNED: AtomicBool = AtomicBool::new(false);
        self.metrics.client_secret_ignored();
        if !WARNED.swap(true, Ordering::Relaxed) {
            warn!("a job carries a client_secret: it is not used, and should not be sent");
        }
    }
}

/// The client of the job, as a person may see it: a producer may write anything there.
fn shown_client(context: &JobContext) -> Option<&str> {
    let job = context.job.as_ref()?;
    let client = job.client_id.as_deref()?;
    Some(if job.redactor().concerns(client) { REDACTED } else { client })
}

/// Stands for a client id that shows a part of the job's token.
const REDACTED: &str = "[redacted]";

/// Writes the one log line of a dead-lettered job. `refusal` says why its dead letter could not be published.
fn log_dead_letter(
    summary: &MessageSummary,
    context: &JobContext,
    letter: &DeadLetter,
    refusal: Option<&Unpublishable>,
) {
    let message = match refusal {
        None => "job dead-lettered",
        Some(_) => "job dead-lettered by the broker itself: its dead letter cannot be published",
    };
    warn!(
        job_id = summary.job_id.as_ref().map(JobId::as_str),
        fingerprint = letter.fingerprint.map(tracing::field::display),
        lane = %context.lane,
        reason = %letter.reason,
        attempts = context.history.attempts,
        trace_id = context.trace_id(),
        detail = %letter.detail,
        refusal = refusal.map(|refusal| refusal.why.as_str()),
        size = refusal.map(|refusal| refusal.size),
        "{message}"
    );
}
