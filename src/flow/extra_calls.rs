//! Extra calls above a low limit, while the calls that hold its places hang.
//!
//! After a start or a pause the limit is at its floor, and the endpoint is unknown. If the first calls hang,
//! they hold every place, and no job is served. So while there is no answer for much longer than usual, one
//! extra call may start now and then. After the next answer, the calls that began before it do not count
//! against the limit.

use std::time::Duration;

use tokio::time::Instant;

/// One extra call may start per this time without an answer. Ten calls that hang delay the eleventh by less than a
/// second.
const EVERY: Duration = Duration::from_millis(80);

/// How many times the usual latency has to pass without an answer.
const SILENCE: u32 = 4;

/// The most extra calls.
const MOST: usize = 20;

#[derive(Debug)]
pub(super) struct ExtraCalls {
    /// When the last call started.
    last_start: Instant,
    /// When the last call was answered, if one was.
    last_answer: Option<Instant>,
    /// The usual latency: the longest of the latest answers.
    latency: Duration,
    /// Whether an extra call started since the last answer.
    beyond: bool,
    /// Calls with a lower number do not count against the limit.
    mark: u64,
    /// How many of these are under way.
    running: usize,
}

impl ExtraCalls {
    /// The state at `now`, before the first answer.
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            last_start: now,
            last_answer: None,
            latency: Duration::ZERO,
            beyond: true,
            mark: 0,
            running: 0,
        }
    }

    /// How many calls may be in flight above `limit` at `now`.
    pub(super) fn beyond(&self, limit: usize, now: Instant) -> usize {
        let one_more = self.next(limit).is_some_and(|next| next <= now);
        if one_more { MOST } else { self.running }
    }

    /// When one extra call may start above `limit`, if there is no answer until then. `None` if the limit is not low:
    /// then calls that hang do not hold every place.
    pub(super) fn next(&self, limit: usize) -> Option<Instant> {
        let silent = self.last_answer.map(|last| last + self.latency * SILENCE);
        let since = silent.map_or(self.last_start, |silent| silent.max(self.last_start));
        (limit <= MOST).then_some(since + EVERY)
    }

    /// Notes that a call starts, `beyond` the limit or within it.
    pub(super) const fn started(&mut self, now: Instant, beyond: bool) {
        self.last_start = now;
        self.beyond |= beyond;
    }

    /// Notes an answer after `took`; `running` others are under way, and the next call gets the number `next`.
    pub(super) fn answered(&mut self, now: Instant, took: Duration, running: usize, next: u64) {
        self.last_answer = Some(now);
        // The maximum decays by an eighth with each answer.
        self.latency = took.max(self.latency.saturating_sub(self.latency / 8));
        if std::mem::take(&mut self.beyond) {
            (self.mark, self.running) = (next, running.min(MOST));
        }
    }

    /// Notes the end of the call with this number.
    pub(super) const fn ended(&mut self, number: u64) {
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
        let mut early = ExtraCalls::new(now);
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
        let mut early = ExtraCalls::new(now);
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
        let mut early = ExtraCalls::new(now);
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
