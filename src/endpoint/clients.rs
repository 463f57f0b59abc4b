//! HTTP clients, each with connections of its own, each replaced when it is old.
//!
//! A pooled connection has an idle limit but no age limit: under steady load it would live for ever, and a changed DNS
//! entry or a new backend would never be met. A client that is replaced is dropped, so its idle connections close, and
//! those with a call under way close after it. Asking each connection for its age would be exact, but costs more with
//! each call than the whole of this. There are several clients, so that not all connections are opened anew at once.

use std::{
    ops::Deref,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use reqwest::Client;
use rustls::ClientConfig;
use tracing::debug;

use super::{
    client::{self, ClientError},
    settings::Settings,
    tls,
};

/// How many clients there are.
const CLIENTS: u32 = 4;

/// A client lives for this part of the greatest age at least, and for all of it at most.
const SHORTEST: f64 = 0.75;

/// Tells the time by which clients grow old.
pub type Clock = Box<dyn Fn() -> Instant + Send + Sync>;

/// The clients.
pub struct Clients {
    settings: Settings,
    /// Built once: it holds the authorities, and the sessions that a new connection may resume.
    tls: ClientConfig,
    clock: Clock,
    places: Vec<Place>,
}

/// One client at a time. Not `Debug`: a client shows its proxy, which may hold a password.
struct Place {
    /// Calls under way.
    calls: AtomicUsize,
    young: Mutex<Young>,
}

/// A client that may take calls.
struct Young {
    client: Client,
    until: Instant,
}

/// A client, for one call. Until it is dropped, other calls prefer other clients.
pub struct Taken<'a> {
    client: Client,
    place: &'a Place,
}

impl Clients {
    /// Builds the clients. Nothing is connected yet.
    ///
    /// # Errors
    ///
    /// [`ClientError`] names the setting that they cannot be built with.
    pub fn new(settings: &Settings, clock: Clock) -> Result<Self, ClientError> {
        let tls = tls::config(settings)?;
        let now = clock();
        let place = |number: u32| {
            let client = build(settings, &tls)?;
            // Not all at once, now or later.
            let until = now + jittered(settings.connection_max_age * (number + 1) / CLIENTS);
            let young = Mutex::new(Young { client, until });
            Ok(Place { calls: AtomicUsize::new(0), young })
        };
        let places = (0..CLIENTS).map(place).collect::<Result<_, ClientError>>()?;
        Ok(Self { settings: settings.clone(), tls, clock, places })
    }

    /// The client with the fewest calls under way, the first of them: calls that come one at a time share one
    /// connection, and many are spread over all clients.
    pub fn take(&self) -> Taken<'_> {
        let calls = |place: &&Place| place.calls.load(Ordering::Relaxed);
        // There is always a first.
        let place = self.places.iter().min_by_key(calls).unwrap_or(&self.places[0]);
        place.calls.fetch_add(1, Ordering::Relaxed);
        Taken { client: self.young(place), place }
    }

    /// The client of a place, a new one if it is old.
    fn young(&self, place: &Place) -> Client {
        let now = (self.clock)();
        // Replaced whole.
        let mut young = place.young.lock().unwrap_or_else(PoisonError::into_inner);
        if young.until <= now {
            young.until = now + jittered(self.settings.connection_max_age);
            match build(&self.settings, &self.tls) {
                Ok(client) => young.client = client,
                // It was built before; an old connection is better than none.
                Err(error) => debug!(%error, "the HTTP client was not replaced"),
            }
        }
        young.client.clone()
    }
}

fn build(settings: &Settings, tls: &ClientConfig) -> Result<Client, ClientError> {
    client::builder_with(settings, tls.clone())?
        .build()
        .map_err(|error| ClientError::Build(error.without_url()))
}

fn jittered(longest: Duration) -> Duration {
    longest.mul_f64(SHORTEST + (1.0 - SHORTEST) * fastrand::f64())
}

impl Deref for Taken<'_> {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.place.calls.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
