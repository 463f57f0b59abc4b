//! Calls per second, over both lanes.

use std::time::Duration;

use governor::{
    Quota, RateLimiter,
    clock::{Clock, Reference},
    middleware::NoOpMiddleware,
    nanos::Nanos,
    state::{InMemoryState, NotKeyed},
};
use tokio::time::Instant;

/// The share of a second's calls that may start at once: timers tick in milliseconds, so a rate above
/// a thousand needs room for the calls of one tick.
const BURST_SECONDS: f64 = 0.02;

/// The configured rate.
#[derive(Debug)]
pub struct Rate {
    limiter: RateLimiter<NotKeyed, InMemoryState, TokioClock, NoOpMiddleware<Ticks>>,
    clock: TokioClock,
}

impl Rate {
    /// So many calls per second, above 0. `None` for what is no rate.
    #[must_use]
    pub fn per_second(rate: f64) -> Option<Self> {
        let period = Duration::try_from_secs_f64(rate.recip()).ok()?;
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "saturates, and is at least one"
        )]
        let burst = (rate * BURST_SECONDS).max(1.0) as u32;
        let quota = Quota::with_period(period)?.allow_burst(burst.try_into().ok()?);
        let clock = TokioClock { start: Instant::now() };
        Some(Self { limiter: RateLimiter::direct_with_clock(quota, clock.clone()), clock })
    }

    /// Takes the right to start one call.
    ///
    /// # Errors
    ///
    /// How long to wait for it.
    pub fn take(&self) -> Result<(), Duration> {
        self.limiter.check().map_err(|not_yet| not_yet.wait_time_from(self.clock.now()))
    }
}

/// Tokio's clock, for tests can pause it.
#[derive(Debug, Clone)]
struct TokioClock {
    start: Instant,
}

/// The time since the clock was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Ticks(Nanos);

impl Clock for TokioClock {
    type Instant = Ticks;

    fn now(&self) -> Ticks {
        Ticks(self.start.elapsed().into())
    }
}

impl Reference for Ticks {
    fn duration_since(&self, earlier: Self) -> Nanos {
        self.0.duration_since(earlier.0)
    }

    fn saturating_sub(&self, duration: Nanos) -> Self {
        Self(self.0.saturating_sub(duration))
    }
}

impl std::ops::Add<Nanos> for Ticks {
    type Output = Self;

    fn add(self, other: Nanos) -> Self {
        Self(self.0 + other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn as_many_start_as_the_rate_allows_and_no_more() {
        for rate in [0.5, 10.0, 5000.0] {
            let limiter = Rate::per_second(rate).unwrap();
            let began = Instant::now();
            let mut started = 0.0;
            while began.elapsed() < Duration::from_secs(20) {
                match limiter.take() {
                    Ok(()) => started += 1.0,
                    Err(wait) => tokio::time::advance(wait).await,
                }
            }
            let allowed = rate * 20.0 + (rate * BURST_SECONDS).max(1.0);
            assert!(started <= allowed + 1.0, "{started} started, {allowed} allowed");
            assert!(started >= rate * 20.0 - 1.0, "{started} started, {allowed} allowed");
        }
    }

    #[test]
    fn what_is_no_rate_is_none() {
        assert!(Rate::per_second(0.0).is_none());
        assert!(Rate::per_second(-1.0).is_none());
        assert!(Rate::per_second(f64::NAN).is_none());
    }
}
