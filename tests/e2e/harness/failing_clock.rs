//! A clock that fails once: Rust's standard library then panics wherever the product reads the time.
//!
//! No input makes the product panic, and a test hook in the product would be a new risk.

use std::{fs, path::PathBuf};

use tempfile::TempDir;

use super::{Launch, preload};

/// The clock of processes that are launched with it.
pub struct FailingClock(TempDir);

impl FailingClock {
    /// A clock that works until [`Self::fail`].
    pub fn new() -> Self {
        let clock = Self(tempfile::tempdir().unwrap());
        preload::build("clock.c", &clock.path("clock.so"));
        clock
    }

    /// Returns `launch` with this clock. Once it is to fail, it still gives the time of day `after` times.
    pub fn control(&self, launch: Launch, after: usize) -> Launch {
        preload::preloaded(launch, &self.path("clock.so"))
            .environment("FAILING_CLOCK", self.path("fail").display())
            .environment("FAILING_CLOCK_AFTER", after)
    }

    /// Makes the clock fail.
    pub fn fail(&self) {
        fs::write(self.path("fail"), "").unwrap();
    }

    /// Whether the failure has happened.
    pub fn has_failed(&self) -> bool {
        !self.path("fail").exists()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}
