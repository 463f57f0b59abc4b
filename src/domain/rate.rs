//! The rate limit: calls per second over both lanes.
//!
//! A leaky bucket of our own. The quota of a library is fixed, but a replica's share of the fleet's rate changes. A
//! new bucket for each change would forget the last start, and allow one call too many.

use std::time::{Duration, Instant};

/// The share of a second's calls that may start at once. Timers tick in milliseconds, so a rate above a
/// thousand needs room for the calls of one tick.
const BURST_SECONDS: f64 = 0.02;

/// The precision of times: a wait that is rounded down must not count as too short.
const TICK_SECONDS: f64 = 1e-9;

/// The configured rate, or a share of it.
#[derive(Debug)]
pub struct Rate {
    whole: f64,
    /// Calls per second now.
    per_second: f64,
    /// How full the bucket was at `at`, in calls.
    owed: f64,
    at: Option<Instant>,
}

impl Rate {
    /// A limit of `rate` calls per second. `None` unless it is finite and above 0.
    #[must_use]
    pub fn per_second(rate: f64) -> Option<Self> {
        Duration::try_from_secs_f64(rate.recip()).ok().filter(|period| !period.is_zero())?;
        Some(Self { whole: rate, per_second: rate, owed: 0.0, at: None })
    }

    /// Sets the share of the rate from `now` on, from 0 to 1. Earlier starts stay counted.
    pub fn share(&mut self, share: f64, now: Instant) {
        self.pay(now);
        self.per_second = self.whole * share;
    }

    /// Takes the right to start one call at `now`.
    ///
    /// # Errors
    ///
    /// The wait until the next start; [`Duration::MAX`] while the share is 0.
    pub fn take(&mut self, now: Instant) -> Result<(), Duration> {
        self.pay(now);
        let burst = (self.per_second * BURST_SECONDS).floor().max(1.0);
        let too_many = self.owed + 1.0 - burst;
        if self.per_second > 0.0 && too_many <= self.per_second * TICK_SECONDS {
            self.owed += 1.0;
            return Ok(());
        }
        Err(Duration::try_from_secs_f64(too_many / self.per_second).unwrap_or(Duration::MAX))
    }

    fn pay(&mut self, now: Instant) {
        let passed = self.at.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        let paid = passed.as_secs_f64() * self.per_second;
        self.owed = (self.owed - paid).max(0.0);
        self.at = self.at.max(Some(now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The paused clock.
    fn now() -> Instant {
        tokio::time::Instant::now().into_std()
    }

    /// The number of calls that start within `time`, each at the earliest moment.
    async fn started(limiter: &mut Rate, time: Duration) -> f64 {
        let began = now();
        let mut started = 0.0;
        while now() - began < time {
            match limiter.take(now()) {
                Ok(()) => started += 1.0,
                Err(wait) => tokio::time::advance(wait).await,
            }
        }
        started
    }

    #[tokio::test(start_paused = true)]
    async fn as_many_start_as_the_rate_allows_and_no_more() {
        for rate in [0.5, 10.0, 5000.0, 1_000_000.0] {
            let time = if rate > 10_000.0 { 0.2 } else { 20.0 };
            let mut limiter = Rate::per_second(rate).unwrap();
            let started = started(&mut limiter, Duration::from_secs_f64(time)).await;
            let allowed = rate * time + (rate * BURST_SECONDS).max(1.0);
            assert!(started <= allowed + 1.0, "{started} started, {allowed} allowed");
            assert!(started >= rate * time - 1.0, "{started} started, {allowed} allowed");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_share_that_changes_buys_no_call() {
        let mut limiter = Rate::per_second(10.0).unwrap();
        assert_eq!(limiter.take(now()), Ok(()));
        for share in [0.5, 1.0, 0.0, 0.5] {
            limiter.share(share, now());
            assert!(limiter.take(now()).is_err(), "share {share}");
        }
        assert_eq!(limiter.take(now()), Err(Duration::from_millis(200)));
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_share_nothing_starts_and_no_time_helps() {
        let mut limiter = Rate::per_second(10.0).unwrap();
        limiter.share(0.0, now());
        tokio::time::advance(Duration::from_secs(100)).await;
        assert_eq!(limiter.take(now()), Err(Duration::MAX));
        limiter.share(1.0, now());
        assert!(
            started(&mut limiter, Duration::from_secs(1)).await <= 11.0,
            "nothing was saved up"
        );
    }

    #[test]
    fn an_invalid_rate_is_none() {
        assert!(Rate::per_second(0.0).is_none());
        assert!(Rate::per_second(-1.0).is_none());
        assert!(Rate::per_second(f64::NAN).is_none());
        assert!(Rate::per_second(f64::INFINITY).is_none());
    }
}
