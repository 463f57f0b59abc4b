//! The job that makes the call for all that have its key.

use std::sync::Arc;

use tokio::{sync::oneshot, time::Instant};

use super::{
    Duplicates, Followed,
    flight::{Flight, Past},
};
use crate::domain::{Ambiguity, JobKey, Lane, Verdict};

/// The one job with its key that may make a call. Dropped without a verdict, it is succeeded by the
/// longest waiting follower, interactive ones first.
#[derive(Debug)]
#[must_use = "dropped, it hands the call over to the next"]
pub struct Leader {
    duplicates: Arc<Duplicates>,
    key: JobKey,
    /// In the bulk lane: comes once an interactive follower has joined.
    promoted: Option<oneshot::Receiver<()>>,
    duty: Duty,
}

/// How far a leader is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Duty {
    Waiting,
    Calling,
    /// Its verdict is told, or the lead was never taken up: nothing is left to hand over.
    Over,
}

impl Leader {
    /// A job of that lane leads the flight.
    pub(super) fn new(
        duplicates: &Arc<Duplicates>,
        key: JobKey,
        lane: Lane,
        flight: &mut Flight,
    ) -> Self {
        let promoted = flight.led_from(lane);
        Self { duplicates: Arc::clone(duplicates), key, promoted, duty: Duty::Waiting }
    }

    /// The lane of the call: the job's own, or interactive once an interactive follower has joined.
    #[must_use]
    pub fn lane(&self) -> Lane {
        match &self.promoted {
            Some(promoted) if promoted.is_empty() => Lane::Bulk,
            _ => Lane::Interactive,
        }
    }

    /// Waits in the lane of the call. If an interactive follower lends its lane meanwhile, the wait
    /// begins again in that one. Dropping the future drops the wait.
    pub async fn in_lane<F: Future>(&mut self, wait: impl Fn(Lane) -> F) -> F::Output {
        if self.lane() == Lane::Bulk
            && let Some(promoted) = &mut self.promoted
        {
            tokio::select! {
                biased;
                done = wait(Lane::Bulk) => return done,
                // Once the flight is over nobody promotes; then the wait is all there is.
                Ok(()) = &mut *promoted, if !promoted.is_terminated() => {}
            }
        }
        self.promoted = None;
        wait(Lane::Interactive).await
    }

    /// What the attempts of all jobs with this key have shown so far.
    #[must_use]
    pub fn past(&self) -> Past {
        self.duplicates.state().flights.get(&self.key).map(|flight| flight.past).unwrap_or_default()
    }

    /// Begins a call. Should this job not come back from it, the token may be revoked.
    pub fn calling(&mut self) {
        if self.duty == Duty::Waiting {
            self.duty = Duty::Calling;
        }
    }

    /// Ends the call with what it showed; `None` if it was never made. A verdict of the endpoint's own
    /// ends the lead and is told to the followers; only a proof of success is remembered.
    ///
    /// What it returns is to be weighed with the verdict: a follower may have joined that knows more of
    /// the token than this job does.
    pub fn called(&mut self, verdict: Option<&Verdict>) -> Past {
        if self.duty == Duty::Over {
            return Past::default();
        }
        self.duty = Duty::Waiting;
        match verdict {
            None => self.past(),
            Some(Verdict::Transient(failure)) => {
                let mut state = self.duplicates.state();
                let Some(flight) = state.flights.get_mut(&self.key) else {
                    return Past::default();
                };
                flight.past.failed(failure, Instant::now());
                flight.past
            }
            Some(Verdict::Revoked) => self.conclude(true, |_| Followed::Duplicate),
            Some(Verdict::Rejected(rejection)) => {
                self.conclude(false, |past| Followed::Rejected(rejection.clone(), past.ambiguity))
            }
        }
    }

    fn conclude(&mut self, revoked: bool, told: impl Fn(Past) -> Followed) -> Past {
        self.duty = Duty::Over;
        let flight = {
            let mut state = self.duplicates.state();
            if revoked {
                // Under the same lock: between the two, the next duplicate would be a leader.
                state.recent.insert(self.key, Instant::now());
            }
            state.flights.remove(&self.key)
        };
        let Some(flight) = flight else { return Past::default() };
        let past = flight.past;
        for waiting in flight.disband() {
            // One that cannot be told has left.
            drop(waiting.send(told(past)));
        }
        past
    }

    /// Takes the next leader out of the flight, which ends if there is none.
    fn successor(&self, ambiguity: Option<Ambiguity>) -> Option<(oneshot::Sender<Followed>, Self)> {
        let mut state = self.duplicates.state();
        let flight = state.flights.get_mut(&self.key)?;
        flight.past.suspect(ambiguity);
        let Some((lane, next)) = flight.succeed() else {
            state.flights.remove(&self.key);
            return None;
        };
        Some((next, Self::new(&self.duplicates, self.key, lane, flight)))
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        let ambiguity = match self.duty {
            Duty::Over => return,
            Duty::Waiting => None,
            Duty::Calling => Some(Ambiguity::Attempt),
        };
        while let Some((next, leader)) = self.successor(ambiguity) {
            match next.send(Followed::Lead(leader)) {
                // It left in this very moment. Its lead ends here, or each such would add a stack frame.
                Err(Followed::Lead(mut unused)) => unused.duty = Duty::Over,
                Ok(()) | Err(_) => return,
            }
        }
    }
}
