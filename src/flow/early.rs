//! The first calls after a start or a pause, when the limit is at its floor and nothing is known of the endpoint.
//!
//! If these calls hang, they hold every place, and nobody is served for as long as they hang. So while nothing
//! was answered yet, one more call may start now and then; and the calls from before the first answer take no
//! place of the limit after it.

use std::time::Duration;

use tokio::time::Instant;

/// One more call per this time, while nothing was answered yet.
const EVERY: Duration = Duration::from_millis(200);

/// So many calls beyond the limit at most.
const MOST: usize = 20;

/// The calls beyond the limit.
#[derive(Debug)]
pub struct Early {
    /// When the last call started; `None` once one was answered.
    last_start: Option<Instant>,
    /// Calls with a lower number began before the first answer.
    mark: u64,
    /// So many of these are under way.
    running: usize,
}

impl Early {
    /// Nothing was answered yet, at `now`.
    #[must_use]
    pub const fn new(now: Instant) -> Self {
        Self { last_start: Some(now), mark: 0, running: 0 }
    }

    /// How many calls may run beyond the limit at `now`.
    #[must_use]
    pub fn beyond(&self, now: Instant) -> usize {
        match self.last_start {
            None => self.running,
            Some(last) if now.saturating_duration_since(last) >= EVERY => MOST,
            Some(_) => 0,
        }
    }

    /// When one more may start, if nothing was answered yet.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.last_start.map(|last| last + EVERY)
    }

    /// A call starts.
    pub const fn started(&mut self, now: Instant) {
        if self.last_start.is_some() {
            self.last_start = Some(now);
        }
    }

    /// A call ended, `running` others are under way, the next one gets the number `next`.
    pub fn ended(&mut self, number: u64, answered: bool, running: usize, next: u64) {
        if answered && self.last_start.take().is_some() {
            (self.mark, self.running) = (next, running.min(MOST));
        } else if number < self.mark {
            self.running = self.running.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn calls_that_hang_at_the_start_let_others_begin() {
        let now = Instant::now();
        let mut early = Early::new(now);
        early.started(now);
        assert_eq!(early.beyond(now), 0);
        assert_eq!(early.next(), Some(now + EVERY));
        assert_eq!(early.beyond(now + EVERY), MOST);
        early.started(now + EVERY);
        assert_eq!(early.beyond(now + EVERY), 0, "one at a time");
    }

    #[tokio::test(start_paused = true)]
    async fn after_the_first_answer_the_hanging_calls_take_no_place() {
        let mut early = Early::new(Instant::now());
        early.ended(2, true, 2, 3);
        assert_eq!(early.beyond(Instant::now()), 2);
        assert_eq!(early.next(), None);
        early.ended(3, true, 2, 4);
        assert_eq!(early.beyond(Instant::now()), 2, "that one began later");
        early.ended(0, false, 1, 4);
        assert_eq!(early.beyond(Instant::now()), 1);
    }
}
