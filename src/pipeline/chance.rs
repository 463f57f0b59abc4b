//! The one source of chance: it spreads the waits of jobs that failed together.

use std::sync::{Mutex, PoisonError};

/// A source of numbers between 0 and 1.
#[derive(Debug, Default)]
pub struct Chance(Mutex<fastrand::Rng>);

impl Chance {
    /// A source that draws the same numbers each time, for tests.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self(Mutex::new(fastrand::Rng::with_seed(seed)))
    }

    /// The next number, evenly from 0 to 1.
    pub fn draw(&self) -> f64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).f64()
    }
}
