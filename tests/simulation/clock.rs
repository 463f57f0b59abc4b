//! The wall clock of a schedule: it runs with virtual time, and faults may step it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use revoker::ports::Clock;
use tokio::time::Instant;

/// The start of every schedule, in Unix seconds, late enough to step back.
const BEGINS: u64 = 1_700_000_000;

/// The wall clock.
pub struct WallClock {
    began: Instant,
    /// Unix seconds at `began`, changed with each step.
    shows: AtomicU64,
    stepped: AtomicBool,
}

impl WallClock {
    pub fn new() -> Self {
        Self {
            began: Instant::now(),
            shows: AtomicU64::new(BEGINS),
            stepped: AtomicBool::new(false),
        }
    }

    /// The time since the schedule began, which no step changes.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Steps the clock.
    pub fn step(&self, seconds: i64) {
        let stepped = self.shows.load(Ordering::Relaxed).saturating_add_signed(seconds);
        self.shows.store(stepped, Ordering::Relaxed);
        self.stepped.store(true, Ordering::Relaxed);
    }

    /// Whether the clock was stepped.
    pub fn was_stepped(&self) -> bool {
        self.stepped.load(Ordering::Relaxed)
    }

    pub fn now(&self) -> SystemTime {
        let shows = Duration::from_secs(self.shows.load(Ordering::Relaxed));
        SystemTime::UNIX_EPOCH + shows + self.elapsed()
    }
}

/// The clock as the pipeline reads it; a mutant's is slow.
pub struct WorkersClock {
    pub wall: Arc<WallClock>,
    pub slow_by: Duration,
}

impl Clock for WorkersClock {
    fn now(&self) -> SystemTime {
        self.wall.now() - self.slow_by
    }
}
