//! Detects a rise of latency, and whether our own load is the cause.
//!
//! The latency of a round is its median: one call in a thousand that hangs for seconds moves a mean, but
//! not a median. The usual latency (the *baseline*) is an exponentially weighted mean of the medians of
//! earlier rounds, with their usual spread.
//!
//! A baseline that followed every round would also follow the queue that a growing limit builds in small
//! steps. So it rises only with rounds whose load it has seen before. An experiment separates an endpoint
//! that has become slower from one that is overloaded: the limit is lowered. If the latency stays, the limit
//! is not the cause.

use std::time::Duration;

/// Longer latencies count as this one, so that sums of durations do not overflow.
const LONGEST: Duration = Duration::from_secs(3600);

/// A new round weighs one part in this many in the mean.
const MEAN_WEIGHT: u32 = 8;

/// The same for a spread that widens. It must widen before the mean moves.
const SPREAD_WEIGHT: u32 = 4;

/// The same for a spread that narrows, so that latency that comes and goes is remembered for a while.
const CALM_WEIGHT: u32 = 32;

/// A rise by more than this many spreads is not chance.
const SPREADS: u32 = 4;

/// A rise below one part in this many of the mean is not worth a decrease.
const LEAST_SHARE: u32 = 4;

/// Nor is a rise below this: a busy scheduler alone can cause it.
const LEAST_RISE: Duration = Duration::from_millis(2);

#[derive(Debug, Clone, Copy)]
pub(super) struct Latency {
    median: Duration,
    /// The standard error of the median.
    error: Duration,
}

impl Latency {
    /// The latency of at least one call. Sorts the calls.
    pub(super) fn of(calls: &mut [Duration]) -> Self {
        calls.sort_unstable();
        let count = calls.len();
        let at = |index: usize| calls.get(index).map_or(LONGEST, |latency| LONGEST.min(*latency));
        // The quartiles measure the spread: like the median, they ignore stragglers.
        let quarters = at(count * 3 / 4).saturating_sub(at(count / 4));
        let root = u32::try_from(count.isqrt()).unwrap_or(u32::MAX).max(1);
        Self { median: at(count / 2), error: quarters / root }
    }
}

/// How a round's latency compares with the baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trend {
    /// Within the usual range.
    Holds,
    /// Above it.
    Risen,
    /// More than twice the baseline.
    Doubled,
    /// Above it, but not because of the load. The value is the load at which the rise began.
    Cleared(usize),
}

/// The usual latency.
#[derive(Debug)]
pub(super) struct Baseline {
    mean: Duration,
    spread: Duration,
    /// How many rounds are in the mean, counted up to its weight.
    rounds: u32,
    /// The most concurrent calls under which latency was as usual.
    load: usize,
    rise: Rise,
}

/// How far a rise has been examined.
#[derive(Debug)]
enum Rise {
    None,
    /// Seen under this load. It may have begun in the middle of the round, so the median is not used.
    Begun(usize),
    /// Measured over a whole round. The load must fall further.
    Measured {
        load: usize,
        median: Duration,
        begun: usize,
    },
}

impl Baseline {
    pub(super) const fn new(first: Latency, load: usize) -> Self {
        Self { mean: first.median, spread: first.error, rounds: 1, load, rise: Rise::None }
    }

    /// Compares a round with the baseline. After a rise, the caller must lower the limit before it judges the
    /// next round.
    pub(super) fn judge(&mut self, round: Latency, load: usize) -> Trend {
        if round.median <= self.mean + self.usual_rise() {
            if !matches!(self.rise, Rise::None) {
                // The rise ended with the load, so the load caused it. The baseline belongs to a lower load.
                self.load = share(load, self.mean, round.median.max(self.mean));
            }
            self.follow(round, load);
            return Trend::Holds;
        }
        match self.rise {
            Rise::None => {
                self.rise = Rise::Begun(load);
                return Trend::Risen;
            }
            Rise::Begun(begun) => {
                self.rise = Rise::Measured { load, median: round.median, begun };
            }
            // Enough of a step to separate a queue, which shrinks with the load, from a slow endpoint.
            Rise::Measured { load: before, median, begun } if load <= before - before / 4 => {
                if is_unmoved(round.median, load, median, before) {
                    self.accept(round, load);
                    return Trend::Cleared(begun);
                }
                self.rise = Rise::Measured { load, median: round.median, begun: load };
            }
            Rise::Measured { .. } => {}
        }
        if round.median > self.mean * 2 { Trend::Doubled } else { Trend::Risen }
    }

    /// Stops examining a rise: the load was lowered for another reason.
    pub(super) fn drop_rise(&mut self) {
        self.rise = Rise::None;
    }

    /// Takes the round as the new baseline. From now on such a rise is within the spread. Otherwise latency that
    /// comes and goes would lower the limit each time.
    fn accept(&mut self, round: Latency, load: usize) {
        let rise = round.median.abs_diff(self.mean);
        let spread = weigh(self.spread, rise, SPREAD_WEIGHT);
        *self = Self { spread: spread.max(round.error), ..Self::new(round, load) };
    }

    /// Adds the round to the baseline, unless a higher load may have made it slower.
    pub(super) fn follow(&mut self, round: Latency, load: usize) {
        self.rise = Rise::None;
        let mut deviation = round.error;
        if self.rounds < MEAN_WEIGHT || load <= self.load || round.median <= self.mean {
            deviation = deviation.max(round.median.abs_diff(self.mean));
            // While a higher mean comes down, a queue could grow below it unnoticed.
            if round.median + self.usual_rise() >= self.mean {
                self.load = self.load.max(load);
            }
            self.rounds = (self.rounds + 1).min(MEAN_WEIGHT);
            self.mean = weigh(self.mean, round.median, self.rounds);
        }
        let weight = if deviation > self.spread { SPREAD_WEIGHT } else { CALM_WEIGHT };
        self.spread = weigh(self.spread, deviation, weight);
    }

    fn usual_rise(&self) -> Duration {
        (self.spread * SPREADS).max(self.mean / LEAST_SHARE).max(LEAST_RISE)
    }
}

/// Whether latency stayed closer to its old value than to the value of a queue under the lower load.
fn is_unmoved(median: Duration, load: usize, begun_median: Duration, begun_load: usize) -> bool {
    let (load, begun_load) = (load as u128, begun_load as u128);
    2 * median.as_nanos() * begun_load > begun_median.as_nanos() * (begun_load + load)
}

/// `load * of / whole`.
fn share(load: usize, of: Duration, whole: Duration) -> usize {
    let part = (load as u128 * of.as_nanos()).checked_div(whole.as_nanos());
    part.and_then(|part| usize::try_from(part).ok()).unwrap_or(load)
}

fn weigh(old: Duration, new: Duration, weight: u32) -> Duration {
    (old * (weight - 1) + new) / weight
}
