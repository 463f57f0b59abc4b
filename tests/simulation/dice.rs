//! All random choices of a schedule, from its seed.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use fastrand::Rng;

/// A random number generator with the same sequence for the same seed.
pub struct Dice(Mutex<Rng>);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(Rng::with_seed(seed)))
    }

    fn draw<T>(&self, draw: impl FnOnce(&mut Rng) -> T) -> T {
        draw(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A number from `least` to `most`, both included.
    pub fn between(&self, least: usize, most: usize) -> usize {
        self.draw(|rng| rng.usize(least..=most))
    }

    /// True once in this many times.
    pub fn one_in(&self, times: usize) -> bool {
        self.between(1, times) == 1
    }

    /// True in `share` per cent of cases.
    pub fn percent(&self, share: usize) -> bool {
        self.between(1, 100) <= share
    }

    /// A time up to `most`, in whole milliseconds as timers count them.
    pub fn up_to(&self, most: Duration) -> Duration {
        self.time(Duration::ZERO, most)
    }

    /// A time from `least` to `most`.
    pub fn time(&self, least: Duration, most: Duration) -> Duration {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(self.draw(|rng| rng.u64(millis(least)..=millis(most))))
    }

    /// One of these.
    pub fn pick<T: Clone>(&self, from: &[T]) -> T {
        from[self.between(0, from.len() - 1)].clone()
    }

    /// Yields to other tasks, for a few turns or a few milliseconds. This varies the order of tasks between schedules.
    pub async fn dawdle(&self) {
        match self.between(0, 7) {
            0..4 => {}
            4 => tokio::task::yield_now().await,
            5 | 6 => {
                for _ in 0..self.between(2, 5) {
                    tokio::task::yield_now().await;
                }
            }
            _ => tokio::time::sleep(self.up_to(Duration::from_millis(20))).await,
        }
    }
}
