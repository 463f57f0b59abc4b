//! Duplicates: jobs that are the same call, made once.
//!
//! The endpoint is not idempotent as far as anyone knows: the second of two calls for one token may be
//! rejected because the first one worked. So of the jobs in flight with one key the first leads and makes
//! the call, the others follow: they wait for its verdict, which is theirs as well. A leader that leaves
//! without one is succeeded by the longest waiting follower, interactive ones first. What was revoked a
//! short while ago is remembered, and its duplicates are settled without a call.
//!
//! All of it is this process's own: other replicas do not share it, and a restart forgets it.
//!
//! One lock over all keys, held for a few steps and never across an await: beside a call over HTTPS
//! nothing contends here. A broadcast channel for each key would spare the queue, but it wakes every
//! follower for each change and knows no order of succession.

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

pub use flight::Past;
pub use follower::{Followed, Follower};
pub use leader::Leader;

use crate::domain::{Ambiguity, JobKey, Lane};
use flight::Flight;
use recent::Recent;

/// The jobs in flight by their key, and the keys that were revoked a short while ago.
pub struct Duplicates(Mutex<State>);

struct State {
    recent: Recent,
    flights: HashMap<JobKey, Flight>,
    /// Counted over all flights: a follower that was answered long ago must find nobody else under its
    /// ticket when it leaves.
    tickets: u64,
}

/// What a job is among those with its key.
#[derive(Debug)]
pub enum Entry {
    /// This worker revoked the same a short while ago.
    Duplicate,
    /// It makes the call.
    Leader(Leader),
    /// Another one makes the call.
    Follower(Follower),
}

impl fmt::Debug for Duplicates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Duplicates").finish_non_exhaustive()
    }
}

impl Duplicates {
    /// Remembers up to `capacity` revoked keys for the time `remember`; zero of either remembers none.
    #[must_use]
    pub fn new(remember: Duration, capacity: usize) -> Self {
        let recent = Recent::new(remember, capacity);
        Self(Mutex::new(State { recent, flights: HashMap::new(), tickets: 0 }))
    }

    /// Enters a job. `ambiguity` is what its past says of the token: it concerns every job with this
    /// key, the one that makes the call included.
    #[must_use]
    pub fn enter(self: &Arc<Self>, key: JobKey, lane: Lane, ambiguity: Option<Ambiguity>) -> Entry {
        let mut state = self.state();
        if state.recent.contains(&key, Instant::now()) {
            return Entry::Duplicate;
        }
        let ticket = state.tickets;
        state.tickets += 1;
        match state.flights.entry(key) {
            hash_map::Entry::Vacant(free) => {
                let flight = free.insert(Flight::new(ambiguity));
                Entry::Leader(Leader::new(self, key, lane, flight))
            }
            hash_map::Entry::Occupied(mut flight) => {
                let verdict = flight.get_mut().join(ticket, lane, ambiguity);
                Entry::Follower(Follower::new(Arc::clone(self), key, lane, ticket, verdict))
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Maps and queues, changed in steps that do not panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
