//! Calls beyond a low limit, while the calls that hold its places hang.
//!
//! After a start or a pause the limit is at its floor, and nothing is known of the endpoint. If the first calls hang,
//! they hold every place, and nobody is served for as long as they hang. So while nothing is answered for much longer
//! than an answer usually takes, one more call may start now and then. Once a call is answered, those that began
//! before take no place of the limit.

use std::time::Duration;

use tokio::time::Instant;

/// One more call per this time, while nothing is answered. Ten calls that hang cost the eleventh less than a second.
const EVERY: Duration = Duration::from_millis(80);

/// Nothing is answered for so many times as long as an answer usually takes.
const SILENCE: u32 = 4;

/// So many calls beyond the limit at most.
const MOST: usize = 20;

/// The calls beyond the limit.
#[derive(Debug)]
pub struct Early {
    /// When the last call started.
    last_start: Instant,
    /// When the last call was answered, if one was.
    last_answer: Option<Instant>,
    /// How long an answer takes: the longest of late.
    latency: Duration,
    /// Whether a call started beyond the limit since the last answer.
    beyond: bool,
    /// Calls with a lower number take no place of the limit.
    mark: u64,
    /// So many of these are under way.
    running: usize,
}

impl Early {
    /// Nothing was answered yet, at `now`.
    #[must_use]
    pub const fn new(now: Instant) -> Self {
        Self {
            last_start: now,
            last_answer: None,
            latency: Duration::ZERO,
            beyond: true,
            mark: 0,
            running: 0,
        }
    }

    /// How many calls may run beyond `limit` at `now`.
    #[must_use]
    pub fn beyond(&self, limit: usize, now: Instant) -> usize {
        let one_more = self.next(limit).is_some_and(|next| next <= now);
        if one_more { MOST } else { self.running }
    }

    /// When one more may start beyond `limit`, if nothing is answered until then. None where the limit is not low:
    /// there the calls that hang do not hold every place.
    #[must_use]
    pub fn next(&self, limit: usize) -> Option<Instant> {
        let silent = self.last_answer.map(|last| last + self.latency * SILENCE);
        let since = silent.map_or(self.last_start, |silent| silent.max(self.last_start));
        (limit <= MOST).then_some(since + EVERY)
    }

    /// A call starts; `beyond` the limit, or within it.
    pub const fn started(&mut self, now: Instant, beyond: bool) {
        self.last_start = now;
        self.beyond |= beyond;
    }

    /// A call was answered after `took`; `running` others are under way, the next one gets the number `next`.
    pub fn answered(&mut self, now: Instant, took: Duration, running: usize, next: u64) {
        self.last_answer = Some(now);
        // The longest of late: an eighth less with each answer, so that nothing has to be divided for long.
        self.latency = took.max(self.latency.saturating_sub(self.latency / 8));
        if std::mem::take(&mut self.beyond) {
            (self.mark, self.running) = (next, running.min(MOST));
        }
    }

    /// The call of that number ended.
    pub const fn ended(&mut self, number: u64) {
        if number < self.mark {
            self.running = self.running.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn calls_that_hang_at_the_start_let_others_begin() {
        let now = Instant::now();
        let mut early = Early::new(now);
        early.started(now, false);
        assert_eq!(early.beyond(1, now), 0);
        assert_eq!(early.next(1), Some(now + EVERY));
        assert_eq!(early.next(MOST + 1), None, "where the limit is not low");
        assert_eq!(early.beyond(1, now + EVERY), MOST);
        early.started(now + EVERY, true);
        assert_eq!(early.beyond(1, now + EVERY), 0, "one at a time");
    }

    #[tokio::test(start_paused = true)]
    async fn after_the_first_answer_the_hanging_calls_take_no_place() {
        let now = Instant::now();
        let mut early = Early::new(now);
        early.ended(2);
        early.answered(now, SECOND, 2, 3);
        assert_eq!(early.beyond(1, now), 2);
        early.ended(3);
        assert_eq!(early.beyond(1, now), 2, "that one began later");
        early.ended(0);
        assert_eq!(early.beyond(1, now), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn calls_that_hang_later_let_others_begin_as_well() {
        let now = Instant::now();
        let mut early = Early::new(now);
        early.answered(now, SECOND, 0, 1);
        early.started(now, false);
        let silent = now + SECOND * SILENCE + EVERY;
        assert_eq!(early.beyond(1, now + SECOND * SILENCE), 0, "an answer may still come");
        assert_eq!(early.beyond(1, silent), MOST);
        early.started(silent, true);
        early.answered(silent, SECOND, 1, 3);
        assert_eq!(early.beyond(1, silent), 1, "the one that hangs takes no place any more");
        early.started(silent, false);
        early.answered(silent, SECOND, 5, 9);
        assert_eq!(early.beyond(1, silent), 1, "nothing hung meanwhile");
    }
}
