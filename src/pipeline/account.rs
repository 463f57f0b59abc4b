//! The books: what was counted and logged of a delivery once it is settled.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, SystemTime},
};

use tracing::{debug, warn};

use super::{Pipeline, case::Case};
use crate::{
    domain::{DeadLetter, Ending, JobId, Outcome, age},
    metrics::{Deferral, Processed},
    ports::{Clock, Delivery, Endpoint, Settled, Unpublishable},
};

/// What is still needed of a delivery after its settlement took it.
#[derive(Debug)]
pub struct Origin {
    published_at: Option<SystemTime>,
    /// Only for a dead letter: nobody asks for the others.
    job_id: Option<JobId>,
}

impl Origin {
    /// How old the job is; `None` if its message has no timestamp that could be its age.
    fn age(&self, now: SystemTime) -> Option<Duration> {
        self.published_at.and_then(|sent| age(sent, now))
    }
}

impl<E: Endpoint, C: Clock> Pipeline<E, C> {
    /// Keeps what the books need of a delivery with this outcome.
    pub(super) fn origin(delivery: &impl Delivery, case: &Case, outcome: &Outcome) -> Origin {
        let arrival = delivery.arrival();
        let job_id = matches!(outcome, Outcome::DeadLettered(_)).then(|| match &case.job {
            Some(job) => JobId::of(arrival, job),
            None => JobId::of_invalid(arrival),
        });
        Origin { published_at: arrival.published_at, job_id }
    }

    /// Counts what became of a delivery: exactly one of processed and deferred.
    pub(super) fn account(
        &self,
        origin: &Origin,
        case: &Case,
        outcome: &Outcome,
        settled: &Settled,
    ) {
        let deferral = match (settled, outcome) {
            (Settled::Abandoned, _) => Some(Deferral::Abandoned),
            (Settled::HandedBack, _) | (Settled::Done, Outcome::HandedBack) => {
                Some(Deferral::HandedBack)
            }
            (Settled::Done, Outcome::Parked(_)) => Some(Deferral::Parked),
            (Settled::Done | Settled::LeftToBroker(_), _) => None,
        };
        let refusal = match settled {
            Settled::LeftToBroker(refusal) => Some(refusal),
            _ => None,
        };
        match deferral {
            Some(how) => self.metrics.deferred(case.lane, how),
            None => self.ended(origin, case, outcome, refusal),
        }
    }

    fn ended(
        &self,
        origin: &Origin,
        case: &Case,
        outcome: &Outcome,
        refusal: Option<&Unpublishable>,
    ) {
        let processed = match outcome {
            Outcome::Done(Ending::Revoked) => {
                let now = self.clock.now();
                self.metrics.revoked(case.lane, origin.age(now), now);
                Processed::Revoked
            }
            Outcome::Done(Ending::PresumedRevoked) => Processed::PresumedRevoked,
            Outcome::Done(Ending::Duplicate) => Processed::Duplicate,
            Outcome::Done(Ending::Expired) => Processed::Expired,
            Outcome::DeadLettered(letter) => {
                self.metrics.failed(case.lane, letter.reason);
                if origin.age(letter.dead_at).is_none() {
                    self.metrics.failed_without_age(case.lane, letter.reason);
                }
                log_dead(origin, case, letter, refusal);
                Processed::DeadLettered
            }
            Outcome::Parked(_) | Outcome::HandedBack => return,
        };
        self.metrics.processed(case.lane, processed);
        self.metrics.attempts(case.history.attempts);
        debug!(
            lane = %case.lane,
            outcome = ?processed,
            attempts = case.history.attempts,
            trace_id = case.trace_id(),
            "job ended"
        );
    }

    /// A client secret in a job is not used; its producer should not send it.
    pub(super) fn note_ignored_secret(&self) {
        static WARNED: AtomicBool = AtomicBool::new(false);
        self.metrics.client_secret_ignored();
        if !WARNED.swap(true, Ordering::Relaxed) {
            warn!("a job carries a client_secret: it is not used, and should not be sent");
        }
    }
}

/// The one line of a job that ends badly. `refusal` is why its dead letter could not be published.
fn log_dead(origin: &Origin, case: &Case, letter: &DeadLetter, refusal: Option<&Unpublishable>) {
    let message = match refusal {
        None => "job dead-lettered",
        Some(_) => "job dead-lettered by the broker itself: its dead letter cannot be published",
    };
    warn!(
        job_id = origin.job_id.as_ref().map(JobId::as_str),
        fingerprint = letter.fingerprint.map(tracing::field::display),
        lane = %case.lane,
        reason = %letter.reason,
        attempts = letter.history.attempts,
        trace_id = case.trace_id(),
        detail = %letter.detail,
        refusal = refusal.map(|refusal| refusal.why.as_str()),
        size = refusal.map(|refusal| refusal.size),
        "{message}"
    );
}
