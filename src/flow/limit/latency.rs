//! Has latency risen, and is it our own doing?
//!
//! A round is told by its median: one call in a thousand that hangs for seconds moves a mean, not a
//! median. What is usual is an exponentially weighted mean of the medians of earlier rounds, with the
//! spread that they had about it.
//!
//! A usual latency that followed every round would also follow the queue that a growing limit builds,
//! one unnoticeable step at a time. So it rises only with rounds whose load it has already seen. An
//! endpoint that is slower from now on is told from one that is overloaded by an experiment: the limit
//! falls, and if latency does not fall along with it, then the limit was not the reason.

use std::time::Duration;

/// Longer latencies count as this one. Keeps sums of durations far from their end.
const LONGEST: Duration = Duration::from_secs(3600);

/// The weight of a new round in the mean is one part in so many.
const MEAN_WEIGHT: u32 = 8;

/// The same for the spread, which must widen sooner than the mean moves.
const SPREAD_WEIGHT: u32 = 4;

/// The same for a spread that narrows: latency that comes and goes is remembered for a while.
const CALM_WEIGHT: u32 = 32;

/// A rise of so many spreads is no chance.
const SPREADS: u32 = 4;

/// A rise below one part in so many of the mean is not worth a decrease.
const LEAST_SHARE: u32 = 4;

/// Nor is one below this, which a busy scheduler makes of nothing.
const LEAST_RISE: Duration = Duration::from_millis(2);

/// What a round's latencies come to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Latency {
    median: Duration,
    /// By how much the median may be off by chance: its standard error.
    error: Duration,
}

impl Latency {
    /// Of at least one call; sorts them.
    pub(super) fn of(calls: &mut [Duration]) -> Self {
        calls.sort_unstable();
        let count = calls.len();
        let at = |index: usize| calls.get(index).map_or(LONGEST, |latency| LONGEST.min(*latency));
        // The quarters stand for the spread, since they know as little of stragglers as the median.
        let quarters = at(count * 3 / 4).saturating_sub(at(count / 4));
        let root = u32::try_from(count.isqrt()).unwrap_or(u32::MAX).max(1);
        Self { median: at(count / 2), error: quarters / root }
    }
}

/// How a round's latency compares with what is usual.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trend {
    /// Within the usual.
    Holds,
    /// Beyond it.
    Risen,
    /// More than twice the usual.
    Doubled,
    /// Beyond it, and not because of the load, which was so much when the rise was seen.
    Cleared(usize),
}

/// What is usual.
#[derive(Debug)]
pub(super) struct Baseline {
    mean: Duration,
    spread: Duration,
    /// How many rounds the mean is of; it does not matter how many beyond its weight.
    rounds: u32,
    /// The most calls at a time under which latency was as usual.
    load: usize,
    rise: Rise,
}

/// How far a rise has been followed.
#[derive(Debug)]
enum Rise {
    None,
    /// Seen under this load, in a round in whose midst it may have begun, so that its median says no more.
    Begun(usize),
    /// A whole round since, from which the load must fall further.
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

    /// Compares a round with what is usual. After a rise the limit must have been lowered before the
    /// next round is judged.
    pub(super) fn judge(&mut self, round: Latency, load: usize) -> Trend {
        if round.median <= self.mean + self.usual_rise() {
            if !matches!(self.rise, Rise::None) {
                // It went with the load, so it was the load's doing, and what was usual belongs to a
                // lower load than was thought.
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
            // Enough of a step to tell a queue, whose wait shrinks with the load, from a slow endpoint.
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

    /// Gives up following a rise: the load was lowered for another reason.
    pub(super) fn drop_rise(&mut self) {
        self.rise = Rise::None;
    }

    /// Takes a round as the new usual. A rise like this one is within the spread from now on, or an
    /// endpoint whose latency comes and goes would be relieved each time.
    fn accept(&mut self, round: Latency, load: usize) {
        let rise = round.median.abs_diff(self.mean);
        let spread = weigh(self.spread, rise, SPREAD_WEIGHT);
        *self = Self { spread: spread.max(round.error), ..Self::new(round, load) };
    }

    /// Takes a round into what is usual, unless more load may be what made it slower.
    pub(super) fn follow(&mut self, round: Latency, load: usize) {
        self.rise = Rise::None;
        let mut deviation = round.error;
        if self.rounds < MEAN_WEIGHT || load <= self.load || round.median <= self.mean {
            deviation = deviation.max(round.median.abs_diff(self.mean));
            // While a mean that was higher comes down, a queue could grow under it unnoticed.
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

/// Whether latency stayed closer to where it was than to where the lower load would have brought a queue.
fn is_unmoved(median: Duration, load: usize, begun_median: Duration, begun_load: usize) -> bool {
    let (load, begun_load) = (load as u128, begun_load as u128);
    2 * median.as_nanos() * begun_load > begun_median.as_nanos() * (begun_load + load)
}

/// `load`, times one duration, by another.
fn share(load: usize, of: Duration, whole: Duration) -> usize {
    let part = (load as u128 * of.as_nanos()).checked_div(whole.as_nanos());
    part.and_then(|part| usize::try_from(part).ok()).unwrap_or(load)
}

fn weigh(old: Duration, new: Duration, weight: u32) -> Duration {
    (old * (weight - 1) + new) / weight
}
