//! A job that waits for another one's verdict.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::{Duplicates, Leader};
use crate::domain::{Ambiguity, JobKey, Lane, Rejection};

/// A job whose call another one makes. Dropped, it no longer waits; if it was to lead by then, the next
/// one does.
#[derive(Debug)]
#[must_use = "dropped, it no longer waits"]
pub struct Follower {
    duplicates: Arc<Duplicates>,
    key: JobKey,
    lane: Lane,
    ticket: u64,
    verdict: oneshot::Receiver<Followed>,
}

/// How following ended.
#[derive(Debug)]
pub enum Followed {
    /// The call revoked the token.
    Duplicate,
    /// The call was rejected, and with it this job. Beside it, what all the jobs with this key know of
    /// whether the token may already be revoked.
    Rejected(Rejection, Option<Ambiguity>),
    /// The leader left without a verdict: now this job makes the call.
    Lead(Leader),
}

impl Follower {
    pub(super) fn new(
        duplicates: Arc<Duplicates>,
        key: JobKey,
        lane: Lane,
        ticket: u64,
        verdict: oneshot::Receiver<Followed>,
    ) -> Self {
        Self { duplicates, key, lane, ticket, verdict }
    }

    /// Waits until the leader has a verdict or leaves without one. Dropping the future is dropping the
    /// follower.
    pub async fn outcome(mut self) -> Followed {
        match (&mut self.verdict).await {
            Ok(followed) => followed,
            // Every flight ends with an answer to all who wait in it, and this follower keeps alive
            // what holds the flights.
            Err(_) => std::future::pending().await,
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        // Should the lead have been handed over already, it lies in the channel and drops after this,
        // with the lock free for it to pass on.
        if let Some(flight) = self.duplicates.state().flights.get_mut(&self.key) {
            flight.leave(self.ticket, self.lane);
        }
    }
}
