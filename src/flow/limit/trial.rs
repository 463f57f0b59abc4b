//! A lower limit on trial: does it make push-backs rarer?
//!
//! If the endpoint has a capacity, a lower limit brings the push-backs to an end, or at least costs no
//! throughput. If it does neither, the push-backs are not the limit's doing: the lowering is taken back, and
//! their share becomes the background.

use super::{
    Limit, LoweredBy,
    pushback::{Tally, as_f64, ratio},
};

/// Push-backs beyond the background take one part in so many off the limit, on trial.
const YIELD: usize = 20;

/// A limit on trial under which so large a share is pushed back is lowered again, without further proof.
const MOST_BORNE: f64 = 0.5;

/// By one part in so many for the first time, by half from then on.
const FIRST_CUT: usize = 8;

/// Of at least so many push-backs.
const LEAST_PUSHED: usize = 8;

/// A trial looks for a share that is smaller by this factor.
const FACTOR: f64 = 4.0;

/// The logarithm of the likelihood ratio that ends a trial: wrong once in 20 trials.
const EVIDENCE: f64 = 3.0;

/// The most calls of a trial that stays without a clear result.
const LONGEST_TRIAL: usize = 600;

/// A lower limit on trial: does it make push-backs rarer?
#[derive(Debug)]
pub(super) struct Trial {
    /// The limit before it was lowered.
    from: usize,
    /// The first call that counts as made under that limit.
    first: u64,
    /// Calls under the limit before.
    before: Tally,
    /// Calls under the lower limit.
    after: Tally,
    /// How often the limit was lowered further since.
    cuts: u32,
    /// Whether the limit was in fast start.
    starting: bool,
    /// What had lowered the limit before.
    lowered_by: Option<LoweredBy>,
}

/// So many lowerings are remembered.
const LOWERINGS: usize = 8;

/// A limit that was lowered for push-backs: what it was, and from which call on it is lower.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lowering {
    number: u64,
    from: usize,
    starting: bool,
    lowered_by: Option<LoweredBy>,
}

/// What a trial has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Finding {
    /// Nothing yet.
    Open,
    /// Push-backs became rarer, or cost no throughput: the lower limit stays.
    Helped,
    /// Push-backs are as frequent as before: the limit was not the reason.
    InVain,
}

impl Trial {
    /// What the trial of the limit `current` has shown.
    fn finding(&self, current: usize) -> Finding {
        // Cautious where they are few: a trial begins when chance has made them many.
        let before = ratio(self.before.pushed, self.before.calls() + 2).clamp(0.001, 0.9);
        let rarer = before / FACTOR;
        let evidence = as_f64(self.after.pushed) * (before / rarer).ln()
            + as_f64(self.after.answered) * ((1.0 - before) / (1.0 - rarer)).ln();
        // Push-backs come at once, answers only after a call's time: before every place was used once, push-backs
        // seem more frequent than they are.
        let enough = self.after.answered >= current;
        if evidence <= -EVIDENCE || (enough && self.is_free(current)) {
            Finding::Helped
        } else if enough && (evidence >= EVIDENCE || self.after.calls() >= LONGEST_TRIAL) {
            Finding::InVain
        } else {
            Finding::Open
        }
    }

    /// Whether fewer places are used so much better that throughput is nearly what it was: those that were
    /// taken away had served no call that was answered.
    fn is_free(&self, current: usize) -> bool {
        if self.before.answered == 0 || self.before.pushed == 0 {
            return false;
        }
        let lowered = ratio(self.from, current);
        self.after.used() > self.before.used() * lowered.sqrt()
    }
}

impl Limit {
    /// Where a call counts while a lower limit is on trial.
    pub(super) fn tried(&mut self, number: u64) -> Option<&mut Tally> {
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

    /// Lowers the limit for push-backs beyond the background, on trial.
    pub(super) fn try_less(&mut self) {
        if let Some(baseline) = &mut self.baseline {
            baseline.drop_rise();
        }
        let (from, first, before) = (self.current, self.round.first, self.round.tally);
        let (starting, lowered_by) = (self.starting, self.lowered_by);
        self.decrease(YIELD, LoweredBy::PushBacks);
        if self.current == from {
            // At the floor there is nothing to try.
            self.background.learn(&before);
            return;
        }
        if self.lowerings.len() == LOWERINGS {
            self.lowerings.pop_front();
        }
        self.lowerings.push_back(Lowering { number: self.decreased, from, starting, lowered_by });
        self.trial = Some(Trial {
            from,
            first,
            before,
            after: Tally::default(),
            cuts: 0,
            starting,
            lowered_by,
        });
    }

    /// Push-backs of calls from `number` on turned out to be one client's own: what they lowered is raised again.
    pub(crate) fn forget_since(&mut self, number: u64) {
        let first = self.lowerings.iter().position(|lowering| lowering.number > number);
        if let Some(lowering) = first.and_then(|first| self.lowerings.drain(first..).next()) {
            self.current = self.current.max(lowering.from);
            (self.starting, self.lowered_by) = (lowering.starting, lowering.lowered_by);
            self.refused_at = None;
        }
        self.trial = None;
        self.latencies.clear();
        self.next_round();
    }

    /// Looks at what the trial has shown so far.
    pub(super) fn weigh(&mut self) {
        let Some(trial) = &self.trial else { return };
        let after = trial.after;
        if after.pushed >= self.current.div_ceil(2).max(LEAST_PUSHED) && after.share() >= MOST_BORNE
        {
            // Most are turned away: there is no need to know more.
            let before = self.current;
            // The excess may be one call that is refused again and again, or nearly all of them.
            let parts = if trial.cuts == 0 { FIRST_CUT } else { 2 };
            self.decrease(parts, LoweredBy::PushBacks);
            if let Some(trial) = &mut self.trial
                && self.current < before
            {
                trial.after = Tally::default();
                trial.cuts += 1;
                return;
            }
            self.trial = None;
            return;
        }
        match trial.finding(self.current) {
            Finding::Open => {}
            Finding::Helped => {
                self.refused_at = Some(trial.from);
                self.trial = None;
                self.next_round();
            }
            Finding::InVain => {
                self.background.learn(&trial.before);
                self.background.learn(&after);
                (self.current, self.starting) = (trial.from, trial.starting);
                self.lowered_by = trial.lowered_by;
                self.trial = None;
                self.next_round();
            }
        }
    }
}
