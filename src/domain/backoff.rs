//! The waits between attempts: the only file that names the crate `backoff`.
//!
//! The crate is no longer maintained (RUSTSEC-2025-0012), so only its schedule is used. Its randomization
//! is off, because it comes after the cap and cannot be seeded. Its elapsed limit is off, because
//! [`super::retry`] decides when to give up.

use std::time::Duration;

use backoff::{ExponentialBackoff, ExponentialBackoffBuilder, backoff::Backoff as _};

/// The settings of an exponential schedule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    /// The first wait.
    pub initial: Duration,
    /// Each wait is this many times the one before; at least 1.
    pub multiplier: f64,
    /// No wait is longer, jitter included.
    pub max: Duration,
    /// The share of a wait that jitter may add or subtract, from 0 to 1.
    pub jitter: f64,
}

impl Schedule {
    /// Starts the schedule at its first wait.
    #[must_use]
    pub fn start(self) -> Backoff {
        let waits = ExponentialBackoffBuilder::new()
            .with_initial_interval(self.initial.min(self.max))
            .with_multiplier(self.multiplier)
            .with_max_interval(self.max)
            .with_randomization_factor(0.0)
            .with_max_elapsed_time(None)
            .build();
        Backoff { schedule: self, waits }
    }
}

/// A running schedule, of one job or one connection.
#[derive(Debug)]
pub struct Backoff {
    schedule: Schedule,
    waits: ExponentialBackoff,
}

impl Backoff {
    /// The next wait. `jitter` is evenly distributed from 0 to 1.
    pub fn next(&mut self, jitter: f64) -> Duration {
        // `None` would mean that the elapsed limit is over, but there is no such limit.
        let wait = self.waits.next_backoff().unwrap_or(self.schedule.max);
        let spread = self.schedule.jitter * (2.0 * jitter.clamp(0.0, 1.0) - 1.0);
        wait.mul_f64((1.0 + spread).max(0.0)).min(self.schedule.max)
    }

    /// Starts again at the first wait.
    pub fn reset(&mut self) {
        self.waits.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn schedule(jitter: f64) -> Schedule {
        Schedule {
            initial: Duration::from_millis(250),
            multiplier: 2.0,
            max: Duration::from_secs(15),
            jitter,
        }
    }

    #[test]
    fn waits_double_up_to_the_cap_and_never_end() {
        let mut backoff = schedule(0.0).start();
        let waits: Vec<_> = (0..8).map(|_| backoff.next(0.9).as_millis()).collect();
        assert_eq!(waits, [250, 500, 1000, 2000, 4000, 8000, 15000, 15000]);
        assert!((0..10_000).all(|_| backoff.next(0.5) == Duration::from_secs(15)));
        backoff.reset();
        assert_eq!(backoff.next(0.5), Duration::from_millis(250));
    }

    #[test]
    fn jitter_spreads_both_ways_and_never_past_the_cap() {
        let first = |chance| schedule(0.5).start().next(chance).as_millis();
        assert_eq!((first(0.0), first(0.5), first(1.0)), (125, 250, 375));
        let mut late = schedule(0.5).start();
        (0..20).for_each(|_| {
            late.next(1.0);
        });
        assert_eq!(late.next(1.0), Duration::from_secs(15));
    }

    proptest! {
        #[test]
        fn no_terms_panic_or_exceed_the_cap(
            initial in 0u64..100_000, max in 1u64..100_000, multiplier in 1.0f64..100.0,
            jitter in 0.0f64..=1.0, chance in 0.0f64..=1.0,
        ) {
            let max = Duration::from_millis(max);
            let terms = Schedule { initial: Duration::from_millis(initial), multiplier, max, jitter };
            let mut backoff = terms.start();
            for _ in 0..50 {
                prop_assert!(backoff.next(chance) <= max);
            }
        }
    }
}
