//! Overload responses (429, 503, time-outs): how many are usual under any limit.
//!
//! One bad backend of ten fails one call in ten under any limit. That share is the *background rate*. A lower
//! limit would not change it and would only cost throughput, so a single overload response proves nothing.

use std::time::Duration;

/// The background rate is a mean over about this many calls.
const MEMORY: f64 = 1000.0;

/// The highest background rate. An endpoint that refuses most calls wants fewer of them.
const MOST: f64 = 0.5;

/// A share above the background rate by this many standard deviations is not chance.
const DEVIATIONS: f64 = 3.0;

/// How calls under one limit ended.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct CallTally {
    /// How many were answered.
    pub(super) answered: usize,
    /// How many ended in overload.
    pub(super) overloaded: usize,
    /// How long answered calls held a place, in sum.
    useful: Duration,
    /// How long the others held a place, in sum.
    wasted: Duration,
}

impl CallTally {
    /// Counts an answer after `took`.
    pub(super) fn answer(&mut self, took: Duration) {
        self.answered += 1;
        self.useful = self.useful.saturating_add(took);
    }

    /// Counts an overload response after `took`.
    pub(super) fn overload(&mut self, took: Duration) {
        self.overloaded += 1;
        self.wasted = self.wasted.saturating_add(took);
    }

    pub(super) const fn calls(&self) -> usize {
        self.answered + self.overloaded
    }

    /// The share of calls that ended in overload.
    pub(super) fn share(&self) -> f64 {
        ratio(self.overloaded, self.calls())
    }

    /// The share of the places' time that answered calls used.
    pub(super) fn used(&self) -> f64 {
        let whole = self.useful.saturating_add(self.wasted);
        if whole.is_zero() { 1.0 } else { self.useful.as_secs_f64() / whole.as_secs_f64() }
    }
}

/// The share of overload responses that is usual under any limit.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct BackgroundRate {
    calls: f64,
    overloaded: f64,
}

impl BackgroundRate {
    /// Adds calls whose overload responses do not depend on the limit.
    pub(super) fn learn(&mut self, tally: &CallTally) {
        self.calls += as_f64(tally.calls());
        self.overloaded += as_f64(tally.overloaded);
        if self.calls > MEMORY {
            self.overloaded *= MEMORY / self.calls;
            self.calls = MEMORY;
        }
    }

    fn share(&self) -> f64 {
        ((self.overloaded + 0.5) / (self.calls + 1.0)).min(MOST)
    }

    /// Whether `overloaded` of `started` calls are more than the background rate and chance explain.
    pub(super) fn is_exceeded(&self, overloaded: usize, started: usize) -> bool {
        let (share, started) = (self.share(), as_f64(started));
        let chance = (share * (1.0 - share) * started).sqrt();
        as_f64(overloaded) > share * started + DEVIATIONS * chance + 1.0
    }

    /// Whether they are more than the background rate predicts, though chance may explain them.
    pub(super) fn is_suspect(&self, overloaded: usize, started: usize) -> bool {
        let (share, started) = (self.share(), as_f64(started));
        let chance = (share * (1.0 - share) * started).sqrt();
        overloaded > 0 && as_f64(overloaded) > share * started + chance
    }
}

pub(super) fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { as_f64(part) / as_f64(whole) }
}

#[allow(clippy::cast_precision_loss, reason = "counts of calls are far below 2^52")]
pub(super) const fn as_f64(count: usize) -> f64 {
    count as f64
}
