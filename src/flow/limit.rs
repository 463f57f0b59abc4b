//! The adaptive limit of concurrent calls: as high as possible without an overload of the endpoint.
//!
//! The limit starts at its floor and doubles ("fast start"), as TCP does with its window. The first sign of
//! overload ends the fast start. From then on the limit grows by one per round, and after several good
//! rounds by a tenth. Two signs lower it:
//!
//! - **Latency** rises by more than its usual variation. See `latency`.
//! - **Overload responses** (429, 503, time-outs) are more frequent than usual. See `overload`. This
//!   decrease is a trial: if the lower limit does not help, the old limit returns. See `trial`.
//!
//! A *round* judges one limit. It ends after as many answers as the limit allows calls. Only calls that
//! began in the round count. Calls from before a decrease are ignored, because they measured the earlier
//! load. Otherwise one burst of refusals would lower the limit many times.
//!
//! A call that hangs while others are answered (a *straggler*) does not count against the limit, as long as
//! such calls are few. See `stragglers`.
//!
//! Two known designs were turned down. Vector's adaptive request concurrency treats each overload response as
//! congestion. So one backend of ten that answers 503 keeps the limit at the floor. It also averages all latencies, so
//! one call that hangs lowers the limit for everyone. TCP Vegas and the gradient limiters compare with the minimum or
//! the long-term latency. So they never accept that an endpoint is slower from now on, or they follow the queue that
//! they build themselves without end.
//!
//! Pure: no clock, no lock, no I/O. The caller measures and locks.

mod latency;
mod overload;
mod round;
#[cfg(test)]
mod simulation;
mod stragglers;
#[cfg(test)]
mod tests;
mod trial;

use std::{collections::VecDeque, time::Duration};

use latency::Baseline;
use overload::{BackgroundRate, CallTally};
use stragglers::Stragglers;
use trial::{PastDecrease, Trial};

/// A moderate rise of latency lowers the limit by one part in this many.
const DECREASE: usize = 10;

/// With fewer answers the latency is not judged: their median is mostly luck.
const LEAST_SAMPLES: usize = 16;

/// At least this many answers come before the limit returns to a value at which the endpoint was overloaded.
/// Each such try costs a refused call, and with a low limit a round ends after a few calls.
const PATIENCE: usize = 100;

/// After this many good rounds in a row the limit grows by a share of itself. If fast start ends early, growth
/// by one would need minutes to reach a limit of a thousand.
const CALM_ROUNDS: usize = 8;

/// That share: one part in this many. It is no more than a decrease, so that one decrease undoes the leap.
/// Latency may need three leaps to show a rise.
const LEAP: usize = DECREASE;

/// A round with more overload responses than usual may last this many times as long before the limit grows.
const SUSPECT_ROUNDS: usize = 3;

/// The effect of a call on the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sample {
    /// The endpoint answered, with any answer.
    Answered {
        /// From the start of the call to the end of the answer.
        latency: Duration,
    },
    /// The endpoint asked for less (429, 503) or did not keep up (a time-out).
    Overload {
        /// From the start of the call to its end.
        after: Duration,
    },
    /// The call shows nothing about the load: another failure, or it was not made.
    Unknown,
}

/// The limit of concurrent calls, between a floor and a ceiling.
#[derive(Debug)]
pub(super) struct ConcurrencyLimit {
    min: usize,
    max: usize,
    adaptive: bool,
    current: usize,
    /// Fast start: the limit doubles until the first sign of overload.
    starting: bool,
    /// Latency rose in the last round of fast start. Opening the new connections may be the cause, so one more
    /// round under the same limit decides.
    doubted: bool,
    /// The number of the next call to start.
    next: u64,
    stragglers: Stragglers,
    /// The first call since the last decrease.
    decreased: u64,
    round: LimitRound,
    /// The latencies of calls that began in this round. In fast start also of earlier rounds that were too small
    /// to judge.
    latencies: Vec<Duration>,
    baseline: Option<Baseline>,
    /// The share of overload responses that does not depend on the limit.
    background: BackgroundRate,
    /// The trial of a lower limit, for more overload responses than that.
    trial: Option<Trial>,
    /// The latest decreases for overload responses, the oldest first.
    past_decreases: VecDeque<PastDecrease>,
    /// The limit at the last overload.
    refused_at: Option<usize>,
    /// The reason for the last decrease, or that there was none.
    lowered_by: LimitReason,
    /// How many good rounds in a row there were. A decrease, a round that did not reach the limit, and a limit at
    /// which the endpoint was overloaded reset it.
    calm: usize,
}

/// The reason for the current limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitReason {
    /// The limit is fixed.
    Fixed,
    /// The limit is at its ceiling.
    Ceiling,
    /// The limit grows, and nothing has lowered it yet.
    Climbing,
    /// The endpoint was overloaded (429, 503, time-outs).
    Overload,
    /// The endpoint became slower under load.
    Latency,
}

#[derive(Debug, Default)]
struct LimitRound {
    /// The number of its first call.
    first: u64,
    /// How many calls began in it.
    started: usize,
    /// How they ended so far.
    tally: CallTally,
    /// The most calls in flight when one of its calls began, without stragglers.
    peak: usize,
    /// Whether the calls in flight reached the limit.
    reached: bool,
}

impl ConcurrencyLimit {
    /// A limit between `min` and `max`. An adaptive limit begins at `min`, in fast start; any other stays at
    /// `max`. A `min` of zero counts as one, and a `max` below `min` as `min`.
    pub(super) fn new(min: usize, max: usize, adaptive: bool) -> Self {
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
            round: LimitRound::default(),
            latencies: Vec::new(),
            baseline: None,
            background: BackgroundRate::default(),
            trial: None,
            past_decreases: VecDeque::new(),
            refused_at: None,
            lowered_by: LimitReason::Climbing,
            calm: 0,
        }
    }

    /// The limit: how many calls may be in flight, without stragglers.
    pub(super) const fn current(&self) -> usize {
        self.current
    }

    /// The reason for the current limit.
    pub(super) const fn reason(&self) -> LimitReason {
        if !self.adaptive {
            LimitReason::Fixed
        } else if self.current == self.max {
            LimitReason::Ceiling
        } else {
            self.lowered_by
        }
    }

    pub(super) const fn ceiling(&self) -> usize {
        self.max
    }

    /// How many calls may be in flight, stragglers included: never more than the ceiling.
    pub(super) fn allowed(&self) -> usize {
        self.current.saturating_add(self.stragglers.count()).min(self.max)
    }

    /// The number of the next call to start.
    pub(super) const fn next_number(&self) -> u64 {
        self.next
    }

    /// How many calls in flight are stragglers.
    pub(super) const fn stragglers(&self) -> usize {
        self.stragglers.count()
    }

    /// Notes that a call starts; `running` calls are in flight, this one included. Returns the number of the call, to
    /// be passed back at its end.
    pub(super) fn started(&mut self, running: usize) -> u64 {
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

    /// Notes the end of the call with this number.
    pub(super) fn ended(&mut self, number: u64, sample: Sample) {
        if !self.adaptive {
            return;
        }
        self.stragglers.ended(number, matches!(sample, Sample::Answered { .. }));
        match sample {
            Sample::Overload { after } => self.overloaded(number, after),
            Sample::Answered { latency } => self.answered(number, latency),
            Sample::Unknown => {}
        }
    }

    fn overloaded(&mut self, number: u64, after: Duration) {
        if let Some(tally) = self.tried(number) {
            tally.overload(after);
            return self.evaluate_trial();
        }
        if number < self.round.first {
            return;
        }
        self.round.tally.overload(after);
        if self.background.is_exceeded(self.round.tally.overloaded, self.round.started) {
            self.try_less();
        }
    }

    fn answered(&mut self, number: u64, latency: Duration) {
        if let Some(tally) = self.tried(number) {
            tally.answer(latency);
            return self.evaluate_trial();
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

    /// Starts again after a pause: from the floor, in fast start. Everything learned is forgotten, because a different
    /// server may have come back.
    pub(super) fn resume(&mut self) {
        let mut latencies = std::mem::take(&mut self.latencies);
        latencies.clear();
        *self = Self {
            next: self.next,
            stragglers: std::mem::take(&mut self.stragglers),
            decreased: self.next,
            round: LimitRound { first: self.next, ..LimitRound::default() },
            latencies,
            ..Self::new(self.min, self.max, self.adaptive)
        };
    }
}
