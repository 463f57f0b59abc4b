//! How many calls may run at a time: the least that keeps the endpoint busy, and no more than it bears.
//!
//! The limit is found as TCP finds a window: it doubles from the floor (fast start), then grows by one per
//! round, and after a calm stretch by a share of itself (as CUBIC leaves behind what once was too much). It
//! falls when latency rises further than its usual spread explains. It also falls when the endpoint pushes
//! back more often than usual, but only on trial: a lower limit that does not help is taken back.
//!
//! A round judges one limit by calls that began under it: as many answers, to calls that began since
//! the round did, as the limit allows calls. Calls that began before a decrease are not heard again:
//! they tell of a load that is gone, and a burst of refusals would otherwise crush the limit.
//!
//! A call that hangs while others are answered holds no place, as long as such calls are few.
//!
//! Two known designs were turned down. Vector's adaptive request concurrency takes each push-back for
//! congestion, so one backend of ten that answers 503 holds the limit at the floor. It also averages the
//! round-trip times of all answers, so one call that hangs lowers the limit for everybody. TCP Vegas and the
//! gradient limiters measure against the least or the long-term latency, and so either never accept that
//! an endpoint is slower from now on, or follow the queue that they build themselves without end.
//!
//! Pure: no clock, no lock, no I/O; whoever calls it measures and locks.

mod latency;
mod pushback;
#[cfg(test)]
mod simulation;
mod stragglers;
#[cfg(test)]
mod tests;
mod trial;

use std::{collections::VecDeque, time::Duration};

use latency::{Baseline, Latency, Trend};
use pushback::{Background, Tally};
use stragglers::Stragglers;
use trial::{Lowering, Trial};

/// A moderate rise of latency takes one part in so many off the limit.
const DECREASE: usize = 10;

/// Fewer answers than this are not judged by their latency: their median is still mostly luck.
const LEAST_SAMPLES: usize = 16;

/// So many answers at least before a limit is tried at which the endpoint pushed back the last time.
/// Every such try costs a refusal, and with a low limit a round is over after a handful of calls.
const PATIENCE: usize = 100;

/// After so many rounds in a row that spoke for more, the limit grows by a share of itself. One more per
/// round alone would need minutes to a limit of a thousand, if a hiccup ended fast start early.
const CALM_ROUNDS: usize = 8;

/// That share: one part in so many. No more than a decrease takes off, so that one decrease takes a leap
/// back whole; latency may need three leaps to tell.
const LEAP: usize = DECREASE;

/// A round with more push-backs than expected is up to so many times as long before the limit grows.
const SUSPECT_ROUNDS: usize = 3;

/// What the end of a call tells about the endpoint's load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sample {
    /// The endpoint answered, whatever the answer was.
    Answered {
        /// From the start of the call to the end of the answer.
        latency: Duration,
    },
    /// The endpoint asked for less (429, 503) or did not keep up (a time-out).
    PushedBack {
        /// From the start of the call to its end.
        after: Duration,
    },
    /// The call failed in a way that is no evidence of load, or was given up by this side.
    Unknown,
}

/// The limit of parallel calls, between a floor and a ceiling.
#[derive(Debug)]
pub struct Limit {
    min: usize,
    max: usize,
    adaptive: bool,
    current: usize,
    /// Fast start: the limit doubles, until something speaks against it for the first time.
    starting: bool,
    /// Latency rose in the last round of fast start. A doubling opens as many connections, and that alone can be slow:
    /// one more round under the same limit tells.
    doubted: bool,
    /// The number of the next call to start.
    next: u64,
    stragglers: Stragglers,
    /// The first call since the last decrease.
    decreased: u64,
    round: Round,
    /// Of calls that began in this round; in fast start, of rounds too small to be judged as well.
    latencies: Vec<Duration>,
    baseline: Option<Baseline>,
    /// The share of push-backs that does not depend on the limit.
    background: Background,
    /// A lower limit on trial, for push-backs beyond that share.
    trial: Option<Trial>,
    /// The latest lowerings for push-backs, the oldest first.
    lowerings: VecDeque<Lowering>,
    /// The limit in force when the endpoint pushed back the last time.
    refused_at: Option<usize>,
    /// What lowered the limit the last time.
    lowered_by: Option<LoweredBy>,
    /// So many rounds in a row spoke for more: since the last decrease, the last round that did not reach
    /// the limit, and the last time that the limit was where the endpoint pushed back.
    calm: usize,
}

/// What lowered the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LoweredBy {
    PushBacks,
    Latency,
}

/// Why the limit is what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitReason {
    /// It does not adapt.
    Fixed,
    /// It is at its ceiling.
    Ceiling,
    /// It grows, and nothing has lowered it yet.
    Climbing,
    /// The endpoint pushed back (429, 503, time-outs).
    PushBacks,
    /// The endpoint became slower under load.
    Latency,
}

#[derive(Debug, Default)]
struct Round {
    /// The first call that began in it.
    first: u64,
    /// How many of its calls began.
    started: usize,
    /// How they ended.
    tally: Tally,
    /// The most calls under way when one of its calls began, stragglers not counted.
    peak: usize,
    /// Whether there was no room for one more.
    reached: bool,
}

impl Limit {
    /// A limit between `min` and `max`. An adaptive one begins at `min`, in fast start; any other one
    /// stays at `max`. A `min` of zero counts as one, a `max` below `min` as `min`.
    #[must_use]
    pub fn new(min: usize, max: usize, adaptive: bool) -> Self {
        let min = min.max(1);
        let max = max.max(min);
        Self {
            min,
            max,
            adaptive,
            current: if adaptive { min } else { max },
            starting: true,
            doubted: false,
            next: 0,
            stragglers: Stragglers::default(),
            decreased: 0,
            round: Round::default(),
            latencies: Vec::new(),
            baseline: None,
            background: Background::default(),
            trial: None,
            lowerings: VecDeque::new(),
            refused_at: None,
            lowered_by: None,
            calm: 0,
        }
    }

    /// The limit: how many calls may run at a time, stragglers not counted.
    #[must_use]
    pub const fn current(&self) -> usize {
        self.current
    }

    /// Why the limit is what it is.
    #[must_use]
    pub const fn reason(&self) -> LimitReason {
        match self.lowered_by {
            _ if !self.adaptive => LimitReason::Fixed,
            _ if self.current == self.max => LimitReason::Ceiling,
            None => LimitReason::Climbing,
            Some(LoweredBy::PushBacks) => LimitReason::PushBacks,
            Some(LoweredBy::Latency) => LimitReason::Latency,
        }
    }

    /// The ceiling.
    #[must_use]
    pub const fn ceiling(&self) -> usize {
        self.max
    }

    /// How many calls may run at a time, stragglers among them: never more than the ceiling.
    #[must_use]
    pub fn allowed(&self) -> usize {
        self.current.saturating_add(self.stragglers.count()).min(self.max)
    }

    /// The number of the next call to start.
    #[must_use]
    pub const fn next_number(&self) -> u64 {
        self.next
    }

    /// How many calls under way hang while others are answered.
    #[must_use]
    pub const fn stragglers(&self) -> usize {
        self.stragglers.count()
    }

    /// A call starts while `running` calls, this one among them, are under way. Returns its number,
    /// which comes back with its sample. A call may also end without one.
    pub fn started(&mut self, running: usize) -> u64 {
        if self.adaptive {
            self.stragglers.began(running);
            let load = running.saturating_sub(self.stragglers.count());
            self.round.peak = self.round.peak.max(load);
            self.round.reached |= running >= self.allowed();
            self.round.started += 1;
        }
        let number = self.next;
        self.next += 1;
        number
    }

    /// The call of that number ended.
    pub fn ended(&mut self, number: u64, sample: Sample) {
        if !self.adaptive {
            return;
        }
        self.stragglers.ended(number, matches!(sample, Sample::Answered { .. }));
        match sample {
            Sample::PushedBack { after } => self.pushed_back(number, after),
            Sample::Answered { latency } => self.answered(number, latency),
            Sample::Unknown => {}
        }
    }

    fn pushed_back(&mut self, number: u64, after: Duration) {
        if let Some(tally) = self.tried(number) {
            tally.push(after);
            return self.weigh();
        }
        if number < self.round.first {
            return;
        }
        self.round.tally.push(after);
        if self.background.is_exceeded(self.round.tally.pushed, self.round.started) {
            self.try_less();
        }
    }

    fn answered(&mut self, number: u64, latency: Duration) {
        if let Some(tally) = self.tried(number) {
            tally.answer(latency);
            return self.weigh();
        }
        if number < self.round.first {
            return;
        }
        self.latencies.push(latency);
        self.round.tally.answer(latency);
        if self.round.tally.answered >= self.round_length() {
            self.end_round();
        }
    }

    /// Calls go on after a pause: from the lowest limit, in fast start. What was known of the endpoint
    /// is forgotten; the one that comes back need not be the one that went away.
    pub fn resume(&mut self) {
        let mut latencies = std::mem::take(&mut self.latencies);
        latencies.clear();
        *self = Self {
            next: self.next,
            stragglers: std::mem::take(&mut self.stragglers),
            decreased: self.next,
            round: Round { first: self.next, ..Round::default() },
            latencies,
            ..Self::new(self.min, self.max, self.adaptive)
        };
    }

    /// How many answers make the round.
    fn round_length(&self) -> usize {
        if self.starting {
            // As many calls as the last doubling let in. They began together, so a doubling takes as
            // long as one call; the other half begins only as earlier calls end.
            self.current.div_ceil(2)
        } else if self.refused_at == Some(self.current + 1) {
            self.current.max(PATIENCE)
        } else {
            self.current.max(LEAST_SAMPLES)
        }
    }

    /// As many calls were answered as make the round.
    fn end_round(&mut self) {
        let tally = self.round.tally;
        if self.round.reached
            && self.background.is_suspect(tally.pushed, self.round.started)
            && tally.answered < SUSPECT_ROUNDS * self.round_length()
        {
            return;
        }
        self.background.learn(&tally);
        if !self.round.reached {
            // A limit that was not reached has been neither proved nor disproved.
            self.calm = 0;
            self.latencies.clear();
            self.next_round();
            return;
        }
        match self.trend() {
            Trend::Doubled | Trend::Risen if self.starting && !self.doubted => {
                self.doubted = true;
                if let Some(baseline) = &mut self.baseline {
                    baseline.drop_rise();
                }
                self.next_round();
            }
            Trend::Doubled => self.decrease(2, LoweredBy::Latency),
            Trend::Risen => self.decrease(DECREASE, LoweredBy::Latency),
            Trend::Cleared(load) => {
                self.current = load.clamp(self.current, self.max);
                self.next_round();
            }
            // Until enough calls tell whether the doubt was right.
            Trend::Holds if self.starting && self.doubted => self.next_round(),
            Trend::Holds => {
                self.current = self.current.saturating_add(self.step()).min(self.max);
                let refused = self.refused_at == Some(self.current);
                self.calm = if refused { 0 } else { self.calm.saturating_add(1) };
                self.next_round();
            }
        }
    }

    /// By how much the limit grows after a round that speaks for more.
    fn step(&self) -> usize {
        if self.starting {
            return self.current;
        }
        let step = if self.calm < CALM_ROUNDS { 1 } else { (self.current / LEAP).max(1) };
        match self.refused_at {
            // Half of the way at most, and one by one in the end: what was too much is met by one call,
            // not by a burst.
            Some(refused) if self.current < refused => {
                step.min((refused - self.current) / 2).max(1)
            }
            _ => step,
        }
    }

    fn trend(&mut self) -> Trend {
        if self.latencies.len() < LEAST_SAMPLES {
            return Trend::Holds;
        }
        let latency = Latency::of(&mut self.latencies);
        self.latencies.clear();
        let load = self.round.peak;
        let baseline = self.baseline.get_or_insert_with(|| Baseline::new(latency, load));
        let trend = if self.current > self.min {
            baseline.judge(latency, load)
        } else {
            // Where the limit cannot be lowered, nothing can be tried out.
            baseline.follow(latency, load);
            Trend::Holds
        };
        self.doubted &= trend != Trend::Holds;
        trend
    }

    /// Takes one part in `parts` off the limit, and at least one call.
    fn decrease(&mut self, parts: usize, lowered_by: LoweredBy) {
        // Out of fast start the way leads back to the last limit that was good.
        let parts = if std::mem::take(&mut self.starting) { 2 } else { parts };
        self.current = (self.current - self.current.div_ceil(parts)).max(self.min);
        self.lowered_by = Some(lowered_by);
        self.decreased = self.next;
        self.calm = 0;
        self.latencies.clear();
        self.next_round();
    }

    fn next_round(&mut self) {
        self.round = Round { first: self.next, ..Round::default() };
    }
}
