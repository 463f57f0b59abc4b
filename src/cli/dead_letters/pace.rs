//! How many letters may be published now.

use tokio::time::{Instant, sleep};

use crate::flow::Rate;

/// Letters that are published before their confirms are awaited and the dead letters acked: if this
/// process dies in between, so many are jobs again and dead letters still.
pub const BATCH: usize = 128;

/// The size of the next batch, by the rate that was asked for.
#[derive(Debug, Default)]
pub struct Pace {
    rate: Option<Rate>,
    /// Letters that the rate has let through and that were not published yet.
    granted: usize,
}

impl Pace {
    /// So many letters per second; `None` for as many as there are.
    #[must_use]
    pub const fn new(rate: Option<Rate>) -> Self {
        Self { rate, granted: 0 }
    }

    /// Waits until at least one letter may be published; says how many, `most` at most. Dropped while it
    /// waits, it has used nothing up.
    pub async fn permitted(&mut self, most: usize) -> usize {
        let most = most.min(BATCH);
        let Some(rate) = &mut self.rate else { return most };
        while self.granted < most {
            match rate.take(Instant::now()) {
                Ok(()) => self.granted += 1,
                Err(_) if self.granted > 0 => break,
                Err(wait) => sleep(wait).await,
            }
        }
        self.granted.min(most)
    }

    /// How many may be published at this moment, `most` at most.
    pub fn permitted_now(&mut self, most: usize) -> usize {
        let most = most.min(BATCH);
        let Some(rate) = &mut self.rate else { return most };
        while self.granted < most && rate.take(Instant::now()).is_ok() {
            self.granted += 1;
        }
        self.granted.min(most)
    }

    /// Notes that so many were published.
    pub fn spend(&mut self, letters: usize) {
        self.granted = self.granted.saturating_sub(letters);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// How long it takes to publish so many at that rate.
    async fn taken(rate: Option<f64>, letters: usize) -> Duration {
        let mut pace = Pace::new(rate.map(|rate| Rate::per_second(rate).unwrap()));
        let start = Instant::now();
        let mut left = letters;
        while left > 0 {
            let batch = pace.permitted(left).await;
            assert!((1..=left.min(BATCH)).contains(&batch), "{batch} of {left}");
            pace.spend(batch);
            left -= batch;
        }
        start.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn letters_go_out_at_the_rate() {
        assert_eq!(taken(None, 10_000).await, Duration::ZERO);
        for (rate, letters, seconds) in [(0.5, 4, 6.0), (10.0, 31, 3.0), (1_000.0, 5_000, 5.0)] {
            let taken = taken(Some(rate), letters).await.as_secs_f64();
            assert!((taken - seconds).abs() < 0.05, "{letters} at {rate}: {taken}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_permitted_and_not_used_is_not_lost() {
        let mut pace = Pace::new(Rate::per_second(1.0));
        assert_eq!(pace.permitted(1).await, 1);
        let start = Instant::now();
        assert_eq!(pace.permitted(5).await, 1, "the same one");
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_does_not_wait_gets_what_the_rate_has_let_through() {
        assert_eq!(Pace::new(None).permitted_now(1_000_000), BATCH);
        let mut pace = Pace::new(Rate::per_second(10.0));
        assert_eq!(pace.permitted_now(5), 1);
        pace.spend(1);
        assert_eq!(pace.permitted_now(5), 0);
        tokio::time::advance(Duration::from_millis(100)).await;
        assert_eq!(pace.permitted_now(5), 1);
        assert_eq!(pace.permitted_now(5), 1, "the same one");
    }
}
