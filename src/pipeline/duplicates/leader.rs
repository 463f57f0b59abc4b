//! The job that makes the call for all that have its key.

use std::sync::Arc;

use tokio::{
    sync::{oneshot, watch},
    time::Instant,
};

use super::{Duplicates, Followed, flight::Past};
use crate::domain::{Ambiguity, JobKey, Lane, Verdict};

/// The one job with its key that may make a call. Dropped without a verdict, it is succeeded by the
/// longest waiting follower, interactive ones first.
#[derive(Debug)]
#[must_use = "dropped, it hands the call over to the next"]
pub struct Leader {
    duplicates: Arc<Duplicates>,
    key: JobKey,
    lane: watch::Receiver<Lane>,
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
    pub(super) fn new(
        duplicates: Arc<Duplicates>,
        key: JobKey,
        lane: watch::Receiver<Lane>,
    ) -> Self {
        Self { duplicates, key, lane, duty: Duty::Waiting }
    }

    /// The lane of the call: the job's own, or interactive once an interactive follower has joined.
    #[must_use]
    pub fn lane(&self) -> Lane {
        *self.lane.borrow()
    }

    /// Waits until the call is in the interactive lane; at once if it is.
    async fn promoted(&self) {
        let mut lane = self.lane.clone();
        if lane.wait_for(|lane| *lane == Lane::Interactive).await.is_err() {
            // The flight outlives the lead, and nobody promotes without it.
            std::future::pending::<()>().await;
        }
    }

    /// Waits in the lane of the call. If an interactive follower lends its lane meanwhile, the wait
    /// begins again in that one. Dropping the future drops the wait.
    pub async fn in_lane<F: Future>(&self, wait: impl Fn(Lane) -> F) -> F::Output {
        if self.lane() == Lane::Bulk {
            tokio::select! {
                biased;
                done = wait(Lane::Bulk) => return done,
                () = self.promoted() => {}
            }
        }
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
        let Some(next) = flight.succeed() else {
            state.flights.remove(&self.key);
            return None;
        };
        Some((next, Self::new(Arc::clone(&self.duplicates), self.key, flight.lane())))
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
