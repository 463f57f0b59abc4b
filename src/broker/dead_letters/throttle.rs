//! The rate of a replay.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::domain::Rate;

/// Limits the size of the next batch by a rate.
#[derive(Debug)]
pub(super) struct Throttle {
    /// The rate, and its messages per second; `None` for no limit.
    rate: Option<(Rate, f64)>,
    /// The largest batch.
    batch: usize,
    /// Messages that the rate has permitted and that were not sent yet.
    granted: usize,
}

impl Throttle {
    /// Permits `rate` messages a second, or any number, in batches of at most `batch`.
    pub(super) fn new(rate: Option<f64>, batch: usize) -> Self {
        let rate = rate.and_then(|rate| Some((Rate::per_second(rate)?, rate)));
        Self { rate, batch, granted: 0 }
    }

    /// The number of messages that the rate permits within this time, at least one.
    pub(super) fn permits_within(&self, time: Duration) -> usize {
        let Some((_, per_second)) = &self.rate else { return usize::MAX };
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "saturates, and is at least one"
        )]
        let permits = (per_second * time.as_secs_f64()).max(1.0) as usize;
        permits
    }

    /// Waits until at least one message may be sent. Returns how many may, up to `most`. Cancelling the wait
    /// loses no permit.
    pub(super) async fn permitted(&mut self, most: usize) -> usize {
        if let Some((rate, _)) = &mut self.rate {
            while self.granted == 0 {
                match rate.take(Instant::now().into_std()) {
                    Ok(()) => self.granted = 1,
                    Err(wait) => sleep(wait).await,
                }
            }
        }
        self.permitted_now(most)
    }

    /// The number of messages that may be sent at this moment, up to `most`.
    pub(super) fn permitted_now(&mut self, most: usize) -> usize {
        let most = most.min(self.batch);
        let Some((rate, _)) = &mut self.rate else { return most };
        while self.granted < most && rate.take(Instant::now().into_std()).is_ok() {
            self.granted += 1;
        }
        self.granted.min(most)
    }

    /// Notes that messages were sent.
    pub(super) fn spend(&mut self, messages: usize) {
        self.granted = self.granted.saturating_sub(messages);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BATCH: usize = 128;

    /// The time to publish this many messages at this rate.
    async fn taken(rate: Option<f64>, letters: usize) -> Duration {
        let mut throttle = Throttle::new(rate, BATCH);
        let start = Instant::now();
        let mut left = letters;
        while left > 0 {
            let batch = throttle.permitted(left).await;
            assert!((1..=left.min(BATCH)).contains(&batch), "{batch} of {left}");
            throttle.spend(batch);
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
    async fn an_unused_permit_is_not_lost() {
        let mut throttle = Throttle::new(Some(1.0), BATCH);
        assert_eq!(throttle.permitted(1).await, 1);
        let start = Instant::now();
        assert_eq!(throttle.permitted(5).await, 1, "the same one");
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_wait_only_permitted_messages_are_sent() {
        assert_eq!(Throttle::new(None, BATCH).permitted_now(1_000_000), BATCH);
        let mut throttle = Throttle::new(Some(10.0), BATCH);
        assert_eq!(throttle.permitted_now(5), 1);
        throttle.spend(1);
        assert_eq!(throttle.permitted_now(5), 0);
        tokio::time::advance(Duration::from_millis(100)).await;
        assert_eq!(throttle.permitted_now(5), 1);
        assert_eq!(throttle.permitted_now(5), 1, "the same one");
    }
}
