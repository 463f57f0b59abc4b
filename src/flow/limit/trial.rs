//! The trial of a lower limit, which tests whether overload responses become rarer.
//!
//! If the limit exceeds the endpoint's capacity, a lower one ends the overload responses, or at least costs
//! no throughput. Otherwise the limit is not their cause: the old limit returns, and their share becomes the
//! background rate.

use super::{
    ConcurrencyLimit, LimitReason,
    overload::{CallTally, as_f64, ratio},
};

/// The trial lowers the limit by one part in this many.
const YIELD: usize = 20;

/// If the share of overload responses is this large under the lower limit, the limit falls again at once.
const MOST_BORNE: f64 = 0.5;

/// The first further decrease is one part in this many; the next ones are by half.
const FIRST_CUT: usize = 8;

/// A further decrease needs at least this many overload responses.
const LEAST_OVERLOADED: usize = 8;

/// The trial tests for a share that is smaller by this factor.
const FACTOR: f64 = 4.0;

/// The logarithm of the likelihood ratio that ends a trial. It is wrong once in 20 trials.
const EVIDENCE: f64 = 3.0;

/// A trial without a clear result ends after this many calls.
const LONGEST_TRIAL: usize = 600;

/// The trial of a lower limit.
#[derive(Debug)]
pub(super) struct Trial {
    /// The decrease on trial.
    decrease: PastDecrease,
    /// The number of the first call that counts for the limit before it.
    first: u64,
    /// The calls under the limit before.
    before: CallTally,
    /// The calls under the lower limit.
    after: CallTally,
    /// How often the limit was lowered further.
    cuts: u32,
}

/// How many decreases are remembered.
const PAST_DECREASES: usize = 8;

/// A decrease for overload responses.
#[derive(Debug, Clone, Copy)]
pub(super) struct PastDecrease {
    /// The number of the first call after it.
    number: u64,
    /// The limit before it.
    from: usize,
    /// Whether the limit was in fast start.
    starting: bool,
    /// The reason of the decrease before.
    lowered_by: LimitReason,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TrialResult {
    /// Not known yet.
    Open,
    /// Overload responses became rarer, or throughput did not fall: the lower limit stays.
    Helped,
    /// Overload responses are as frequent as before: the limit is not the cause.
    InVain,
}

impl Trial {
    /// The result so far of the trial of the limit `current`.
    fn result(&self, current: usize) -> TrialResult {
        // Cautious with few calls: a trial begins when chance made overload responses frequent.
        let before = ratio(self.before.overloaded, self.before.calls() + 2).clamp(0.001, 0.9);
        let rarer = before / FACTOR;
        let evidence = as_f64(self.after.overloaded) * (before / rarer).ln()
            + as_f64(self.after.answered) * ((1.0 - before) / (1.0 - rarer)).ln();
        // Refusals are faster than answers. Before every place was used once, they seem more frequent than they are.
        let enough = self.after.answered >= current;
        if evidence <= -EVIDENCE || (enough && self.is_free(current)) {
            TrialResult::Helped
        } else if enough && (evidence >= EVIDENCE || self.after.calls() >= LONGEST_TRIAL) {
            TrialResult::InVain
        } else {
            TrialResult::Open
        }
    }

    /// Whether the fewer places are used so much better that throughput is nearly the same.
    fn is_free(&self, current: usize) -> bool {
        if self.before.answered == 0 || self.before.overloaded == 0 {
            return false;
        }
        let lowered = ratio(self.decrease.from, current);
        self.after.used() > self.before.used() * lowered.sqrt()
    }
}

impl ConcurrencyLimit {
    /// The tally that counts the call with this number, while a trial runs.
    pub(super) fn tried(&mut self, number: u64) -> Option<&mut CallTally> {
        let decreased = self.decreased;
        let trial = self.trial.as_mut()?;
        if number >= decreased {
            Some(&mut trial.after)
        } else if number >= trial.first {
            Some(&mut trial.before)
        } else {
            None
        }
    }

    /// Lowers the limit on trial, for more overload responses than the background rate.
    pub(super) fn try_less(&mut self) {
        if let Some(baseline) = &mut self.baseline {
            baseline.drop_rise();
        }
        let (from, first, before) = (self.current, self.round.first, self.round.tally);
        let (starting, lowered_by) = (self.starting, self.lowered_by);
        self.decrease(YIELD, LimitReason::Overload);
        if self.current == from {
            // At the floor there is no lower limit.
            self.background.learn(&before);
            return;
        }
        if self.past_decreases.len() == PAST_DECREASES {
            self.past_decreases.pop_front();
        }
        let decrease = PastDecrease { number: self.decreased, from, starting, lowered_by };
        self.past_decreases.push_back(decrease);
        self.trial = Some(Trial { decrease, first, before, after: CallTally::default(), cuts: 0 });
    }

    /// Undoes the decreases since the call with this number: the overload responses belong to one client alone.
    pub(in crate::flow) fn forget_since(&mut self, number: u64) {
        let first = self.past_decreases.iter().position(|decrease| decrease.number > number);
        if let Some(decrease) = first.and_then(|first| self.past_decreases.drain(first..).next()) {
            self.current = self.current.max(decrease.from);
            (self.starting, self.lowered_by) = (decrease.starting, decrease.lowered_by);
            self.refused_at = None;
        }
        self.trial = None;
        self.latencies.clear();
        self.next_round();
    }

    /// Ends the trial if its result is known.
    pub(super) fn evaluate_trial(&mut self) {
        let Some(trial) = &self.trial else { return };
        let after = trial.after;
        if after.overloaded >= self.current.div_ceil(2).max(LEAST_OVERLOADED)
            && after.share() >= MOST_BORNE
        {
            // Most calls are refused, so the result is clear.
            let before = self.current;
            // The excess may be a single call, or nearly all calls.
            let parts = if trial.cuts == 0 { FIRST_CUT } else { 2 };
            self.decrease(parts, LimitReason::Overload);
            if let Some(trial) = &mut self.trial
                && self.current < before
            {
                trial.after = CallTally::default();
                trial.cuts += 1;
                return;
            }
            self.trial = None;
            return;
        }
        match trial.result(self.current) {
            TrialResult::Open => {}
            TrialResult::Helped => {
                self.refused_at = Some(trial.decrease.from);
                self.trial = None;
                self.next_round();
            }
            TrialResult::InVain => {
                self.background.learn(&trial.before);
                self.background.learn(&after);
                let PastDecrease { from, starting, lowered_by, .. } = trial.decrease;
                (self.current, self.starting, self.lowered_by) = (from, starting, lowered_by);
                self.trial = None;
                self.next_round();
            }
        }
    }
}
