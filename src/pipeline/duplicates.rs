//! Makes one call for all jobs in flight with the same key.
//!
//! The endpoint may not be idempotent: the second of two calls for one token may be rejected because the
//! first one worked. So the first job with a key becomes the leader and makes the call. The others follow
//! and share its verdict. If a leader leaves without a verdict, the longest waiting follower leads,
//! interactive ones first. A revoked key is remembered for a short while, and its duplicates are settled
//! without a call.
//!
//! The memory belongs to this process: replicas do not share it, and a restart loses it.
//!
//! One lock covers all keys. It is held for a few steps and never across an await, so beside a call over
//! HTTPS it is not contended. A broadcast channel for each key could replace the queue of followers.
//! But it wakes every follower for each change, and does not say which follower leads next.

mod flight;
mod follower;
mod leader;
mod recent;
#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, hash_map},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

pub use flight::SharedHistory;
pub use follower::{Follower, FollowerOutcome};
pub use leader::Leader;

use crate::domain::{Ambiguity, JobKey, Lane};
use flight::Flight;
use recent::Recent;

/// The jobs in flight by their key, and the keys that were revoked a short while ago.
pub struct Duplicates(Mutex<DuplicatesState>);

struct DuplicatesState {
    recent: Recent,
    flights: HashMap<JobKey, Flight>,
    /// The next ticket, counted over all flights. A follower that leaves late must not remove another one
    /// with the same ticket.
    tickets: u64,
}

/// The role of a job among those with its key.
#[derive(Debug)]
pub enum DuplicateRole {
    /// This worker revoked the token a short while ago.
    RecentlyRevoked,
    /// This job makes the call.
    Leader(Leader),
    /// Another job makes the call.
    Follower(Follower),
}

impl fmt::Debug for Duplicates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Duplicates").finish_non_exhaustive()
    }
}

impl Duplicates {
    /// Remembers up to `capacity` revoked keys, each for `remember`. If either is zero, none is remembered.
    #[must_use]
    pub fn new(remember: Duration, capacity: usize) -> Self {
        let recent = Recent::new(remember, capacity);
        Self(Mutex::new(DuplicatesState { recent, flights: HashMap::new(), tickets: 0 }))
    }

    /// Enters a job. `ambiguity` says whether its token may already be revoked: that holds for every job
    /// with this key.
    #[must_use]
    pub fn enter(
        self: &Arc<Self>,
        key: JobKey,
        lane: Lane,
        ambiguity: Option<Ambiguity>,
    ) -> DuplicateRole {
        let mut state = self.state();
        if state.recent.contains(&key, Instant::now()) {
            return DuplicateRole::RecentlyRevoked;
        }
        let ticket = state.tickets;
        state.tickets += 1;
        match state.flights.entry(key) {
            hash_map::Entry::Vacant(free) => {
                let flight = free.insert(Flight::new(ambiguity));
                DuplicateRole::Leader(Leader::new(self, key, lane, flight))
            }
            hash_map::Entry::Occupied(mut flight) => {
                let outcome = flight.get_mut().join(ticket, lane, ambiguity);
                let follower = Follower::new(Arc::clone(self), key, lane, ticket, outcome);
                DuplicateRole::Follower(follower)
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, DuplicatesState> {
        // A poisoned lock is usable: the maps change in steps that do not panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
