//! The job that makes the call for all jobs with its key.

use std::sync::Arc;

use tokio::{sync::oneshot, time::Instant};

use super::{
    Duplicates, FollowerOutcome,
    flight::{Flight, SharedHistory},
};
use crate::domain::{Ambiguity, JobKey, Lane, Verdict};

/// The one job with its key that may make a call. Dropped without a verdict, it hands the call over to the
/// longest waiting follower, interactive ones first.
#[derive(Debug)]
#[must_use = "dropped, it hands the call over to the next"]
pub struct Leader {
    duplicates: Arc<Duplicates>,
    key: JobKey,
    /// In the bulk lane: resolves once an interactive follower has joined.
    promoted: Option<oneshot::Receiver<()>>,
    phase: LeaderPhase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LeaderPhase {
    Waiting,
    Calling,
    /// The followers have the verdict, or this job never led: there is nothing to hand over.
    Over,
}

impl Leader {
    /// Makes a job of that lane the leader of the flight.
    pub(super) fn new(
        duplicates: &Arc<Duplicates>,
        key: JobKey,
        lane: Lane,
        flight: &mut Flight,
    ) -> Self {
        let promoted = flight.led_from(lane);
        Self { duplicates: Arc::clone(duplicates), key, promoted, phase: LeaderPhase::Waiting }
    }

    /// The lane of the call: the job's own, or interactive once an interactive follower has joined.
    #[must_use]
    pub fn lane(&self) -> Lane {
        match &self.promoted {
            Some(promoted) if promoted.is_empty() => Lane::Bulk,
            _ => Lane::Interactive,
        }
    }

    /// Runs `wait` for the lane of the call. Once an interactive follower has joined, the wait begins
    /// again in the interactive lane.
    pub async fn in_lane<F: Future>(&mut self, wait: impl Fn(Lane) -> F) -> F::Output {
        if self.lane() == Lane::Bulk
            && let Some(promoted) = &mut self.promoted
        {
            tokio::select! {
                biased;
                done = wait(Lane::Bulk) => return done,
                // Once the flight is over no follower promotes, and the wait alone remains.
                Ok(()) = &mut *promoted, if !promoted.is_terminated() => {}
            }
        }
        self.promoted = None;
        wait(Lane::Interactive).await
    }

    /// The shared history of all jobs with this key.
    #[must_use]
    pub fn shared_history(&self) -> SharedHistory {
        let state = self.duplicates.state();
        state.flights.get(&self.key).map(|flight| flight.history).unwrap_or_default()
    }

    /// Begins a call. If this job does not return from it, the token may be revoked.
    pub fn begin_call(&mut self) {
        if self.phase == LeaderPhase::Waiting {
            self.phase = LeaderPhase::Calling;
        }
    }

    /// Ends the call without reporting its verdict, which a check has to confirm. Unless the endpoint rejected it, the
    /// token may be revoked if this job leaves.
    pub fn await_check(&mut self, verdict: &Verdict) -> SharedHistory {
        if self.phase == LeaderPhase::Calling && matches!(verdict, Verdict::Rejected(_)) {
            self.phase = LeaderPhase::Waiting;
        }
        self.shared_history()
    }

    /// Records that the token was seen active: no earlier call has revoked it.
    pub fn seen_active(&mut self) {
        if self.phase == LeaderPhase::Calling {
            self.phase = LeaderPhase::Waiting;
        }
        if let Some(flight) = self.duplicates.state().flights.get_mut(&self.key) {
            flight.history.ambiguity = None;
        }
    }

    /// Ends the call; `None` if it was never made. The endpoint's own verdict ends the lead and goes to
    /// the followers. Only a revoked token is remembered: a later job is its duplicate. Any other answer proves too
    /// little to end a job that was not called.
    ///
    /// The caller must judge the verdict with the returned history. A follower may have added earlier calls
    /// for this token, which this job's own history lacks.
    pub fn end_call(&mut self, verdict: Option<&Verdict>) -> SharedHistory {
        if self.phase == LeaderPhase::Over {
            return SharedHistory::default();
        }
        self.phase = LeaderPhase::Waiting;
        match verdict {
            None => self.shared_history(),
            Some(Verdict::Transient(failure)) => {
                let mut state = self.duplicates.state();
                let Some(flight) = state.flights.get_mut(&self.key) else {
                    return SharedHistory::default();
                };
                flight.history.failed(failure, Instant::now());
                flight.history
            }
            Some(Verdict::Revoked | Verdict::Verified) => {
                self.conclude(true, |_| FollowerOutcome::Revoked)
            }
            Some(answer) => self.conclude(false, |history| {
                FollowerOutcome::Answered(answer.clone(), history.ambiguity)
            }),
        }
    }

    fn conclude(
        &mut self,
        revoked: bool,
        outcome: impl Fn(SharedHistory) -> FollowerOutcome,
    ) -> SharedHistory {
        self.phase = LeaderPhase::Over;
        let flight = {
            let mut state = self.duplicates.state();
            if revoked {
                // Under the same lock: otherwise the next duplicate would become a leader in between.
                state.recent.insert(self.key, Instant::now());
            }
            state.flights.remove(&self.key)
        };
        let Some(flight) = flight else { return SharedHistory::default() };
        let history = flight.history;
        for waiting in flight.disband() {
            // A follower that does not receive this has left.
            drop(waiting.send(outcome(history)));
        }
        history
    }

    /// Takes the next leader out of the flight. Without one the flight ends.
    fn successor(
        &self,
        ambiguity: Option<Ambiguity>,
    ) -> Option<(oneshot::Sender<FollowerOutcome>, Self)> {
        let mut state = self.duplicates.state();
        let flight = state.flights.get_mut(&self.key)?;
        flight.history.suspect(ambiguity);
        let Some((lane, next)) = flight.succeed() else {
            state.flights.remove(&self.key);
            return None;
        };
        Some((next, Self::new(&self.duplicates, self.key, lane, flight)))
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        let ambiguity = match self.phase {
            LeaderPhase::Over => return,
            LeaderPhase::Waiting => None,
            LeaderPhase::Calling => Some(Ambiguity::Attempt),
        };
        while let Some((next, leader)) = self.successor(ambiguity) {
            match next.send(FollowerOutcome::Lead(leader)) {
                // The follower left just now. Its lead ends here: dropped as a leader, it would add a
                // stack frame for each such follower.
                Err(FollowerOutcome::Lead(mut unused)) => unused.phase = LeaderPhase::Over,
                Ok(()) | Err(_) => return,
            }
        }
    }
}
