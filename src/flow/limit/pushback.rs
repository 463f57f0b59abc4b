//! Push-backs (429, 503, time-outs): how many are usual, whatever the limit.
//!
//! One bad backend of ten pushes back one call in ten under any limit. That share is the background. A lower
//! limit would not change it and would only cost throughput, so a single push-back proves nothing.

use std::time::Duration;

/// The background is a mean over about so many calls.
const MEMORY: f64 = 1000.0;

/// No larger share counts as the background: an endpoint that turns most calls away wants fewer of them.
const MOST: f64 = 0.5;

/// A share above the background by so many standard deviations is no chance.
const DEVIATIONS: f64 = 3.0;

/// How the calls of one limit ended.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tally {
    /// Calls that were answered.
    pub(super) answered: usize,
    /// Calls that were pushed back.
    pub(super) pushed: usize,
    /// The time that answered calls held a place.
    useful: Duration,
    /// The time that others held one.
    wasted: Duration,
}

impl Tally {
    /// Counts an answer, which took so long.
    pub(super) fn answer(&mut self, took: Duration) {
        self.answered += 1;
        self.useful = self.useful.saturating_add(took);
    }

    /// Counts a push-back, which took so long.
    pub(super) fn push(&mut self, took: Duration) {
        self.pushed += 1;
        self.wasted = self.wasted.saturating_add(took);
    }

    pub(super) const fn calls(&self) -> usize {
        self.answered + self.pushed
    }

    /// The share of calls that were pushed back.
    pub(super) fn share(&self) -> f64 {
        ratio(self.pushed, self.calls())
    }

    /// The share of the places' time that went into answered calls.
    pub(super) fn used(&self) -> f64 {
        let whole = self.useful.saturating_add(self.wasted);
        if whole.is_zero() { 1.0 } else { self.useful.as_secs_f64() / whole.as_secs_f64() }
    }
}

/// The share of push-backs that is usual, whatever the limit.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Background {
    calls: f64,
    pushed: f64,
}

impl Background {
    /// Takes in calls that speak for the background.
    pub(super) fn learn(&mut self, tally: &Tally) {
        self.calls += as_f64(tally.calls());
        self.pushed += as_f64(tally.pushed);
        if self.calls > MEMORY {
            self.pushed *= MEMORY / self.calls;
            self.calls = MEMORY;
        }
    }

    fn share(&self) -> f64 {
        ((self.pushed + 0.5) / (self.calls + 1.0)).min(MOST)
    }

    /// Whether so many push-backs of `started` calls are more than the background explains, even with bad luck.
    pub(super) fn is_exceeded(&self, pushed: usize, started: usize) -> bool {
        let (share, started) = (self.share(), as_f64(started));
        let chance = (share * (1.0 - share) * started).sqrt();
        as_f64(pushed) > share * started + DEVIATIONS * chance + 1.0
    }

    /// Whether they are more than the background leads to expect: perhaps by chance, perhaps not.
    pub(super) fn is_suspect(&self, pushed: usize, started: usize) -> bool {
        let (share, started) = (self.share(), as_f64(started));
        let chance = (share * (1.0 - share) * started).sqrt();
        pushed > 0 && as_f64(pushed) > share * started + chance
    }
}

pub(super) fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { as_f64(part) / as_f64(whole) }
}

#[allow(clippy::cast_precision_loss, reason = "counts of calls are far below 2^52")]
pub(super) const fn as_f64(count: usize) -> f64 {
    count as f64
}
