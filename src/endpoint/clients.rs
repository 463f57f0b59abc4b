//! The pool of HTTP clients. Each has its own connections and is replaced when it is old.
//!
//! A pooled connection has an idle limit but no age limit. Under steady load it would be kept forever, and never use a
//! changed DNS entry or a new backend. A replaced client is dropped: its idle connections close at once, the others
//! after their call. Checking the age of each connection would be exact, but would cost more per call. There are
//! several clients, so that not all connections are opened anew at once.

use std::{
    ops::Deref,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use super::{
    client::{self, ClientError, HttpClient},
    connector::Connector,
    settings::Settings,
};

/// The number of clients.
const CLIENTS: u32 = 4;

/// A client is kept for at least this part of the maximum age.
const SHORTEST: f64 = 0.75;

/// Returns the current time, for the ages of clients.
pub type AgeClock = Box<dyn Fn() -> Instant + Send + Sync>;

/// The pool of clients.
pub struct ClientPool {
    settings: Settings,
    /// Built once. It holds the certificate authorities, and the sessions that a new connection may resume.
    connector: Connector,
    clock: AgeClock,
    slots: Vec<ClientSlot>,
}

/// A slot with one client at a time.
struct ClientSlot {
    /// How many calls are in flight.
    calls: AtomicUsize,
    current: Mutex<AgingClient>,
}

/// A client that may take calls, until it is too old.
struct AgingClient {
    /// Shared, because a clone of the client copies all of its settings.
    client: Arc<HttpClient>,
    until: Instant,
}

/// A client for one call. Until it is dropped, other calls prefer other clients.
pub struct BorrowedClient<'a> {
    client: Arc<HttpClient>,
    slot: &'a ClientSlot,
}

impl ClientPool {
    /// Builds the clients. None connects yet.
    ///
    /// # Errors
    ///
    /// [`ClientError`] names the setting that is wrong.
    pub fn new(settings: &Settings, clock: AgeClock) -> Result<Self, ClientError> {
        let connector = Connector::new(settings)?;
        let now = clock();
        let slot = |number: u32| {
            let client = Arc::new(client::build(settings, connector.clone()));
            // Spread, so that they are not replaced at the same time.
            let until = now + jittered(settings.connection_max_age * (number + 1) / CLIENTS);
            let current = Mutex::new(AgingClient { client, until });
            ClientSlot { calls: AtomicUsize::new(0), current }
        };
        let slots = (0..CLIENTS).map(slot).collect();
        Ok(Self { settings: settings.clone(), connector, clock, slots })
    }

    /// The connector of all clients.
    pub fn connector(&self) -> &Connector {
        &self.connector
    }

    /// The first client with the fewest calls in flight. Calls that come one at a time share one connection; many are
    /// spread over all clients.
    pub fn take(&self) -> BorrowedClient<'_> {
        let calls = |slot: &&ClientSlot| slot.calls.load(Ordering::Relaxed);
        // The pool is never empty.
        let slot = self.slots.iter().min_by_key(calls).unwrap_or(&self.slots[0]);
        slot.calls.fetch_add(1, Ordering::Relaxed);
        BorrowedClient { client: self.current(slot), slot }
    }

    /// The client of a slot; an old one is replaced first.
    fn current(&self, slot: &ClientSlot) -> Arc<HttpClient> {
        let now = (self.clock)();
        // A poisoned lock is usable: each value is replaced whole.
        let mut current = slot.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.until <= now {
            current.until = now + jittered(self.settings.connection_max_age);
            current.client = Arc::new(client::build(&self.settings, self.connector.clone()));
        }
        Arc::clone(&current.client)
    }
}

fn jittered(longest: Duration) -> Duration {
    longest.mul_f64(SHORTEST + (1.0 - SHORTEST) * crate::ports::jitter())
}

impl Deref for BorrowedClient<'_> {
    type Target = HttpClient;

    fn deref(&self) -> &HttpClient {
        &self.client
    }
}

impl Drop for BorrowedClient<'_> {
    fn drop(&mut self) {
        self.slot.calls.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
