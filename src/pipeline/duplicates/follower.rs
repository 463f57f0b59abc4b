//! A job that waits for the verdict of another job's call.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::{Duplicates, Leader};
use crate::domain::{Ambiguity, JobKey, Lane, Verdict};

/// A job whose call another job makes. Dropped, it no longer waits; if it was about to lead, the next
/// follower leads.
#[derive(Debug)]
#[must_use = "dropped, it no longer waits"]
pub struct Follower {
    duplicates: Arc<Duplicates>,
    key: JobKey,
    lane: Lane,
    ticket: u64,
    outcome: oneshot::Receiver<FollowerOutcome>,
}

/// How following ends.
#[derive(Debug)]
pub enum FollowerOutcome {
    /// The call revoked the token.
    Revoked,
    /// The call ended with another verdict of the endpoint. The ambiguity is that of all jobs with this key.
    Answered(Verdict, Option<Ambiguity>),
    /// The leader left without a verdict: this job makes the call.
    Lead(Leader),
}

impl Follower {
    pub(super) fn new(
        duplicates: Arc<Duplicates>,
        key: JobKey,
        lane: Lane,
        ticket: u64,
        outcome: oneshot::Receiver<FollowerOutcome>,
    ) -> Self {
        Self { duplicates, key, lane, ticket, outcome }
    }

    /// Waits until the leader has a verdict or leaves without one. Dropping the future drops the follower.
    pub async fn outcome(mut self) -> FollowerOutcome {
        match (&mut self.outcome).await {
            Ok(outcome) => outcome,
            // Every flight sends an outcome to all of its followers, and this follower keeps the flights
            // alive.
            Err(_) => std::future::pending().await,
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        // A lead that was handed over already is in the channel. It drops after this, when the lock is
        // free to pass the lead on.
        if let Some(flight) = self.duplicates.state().flights.get_mut(&self.key) {
            flight.leave(self.ticket, self.lane);
        }
    }
}
