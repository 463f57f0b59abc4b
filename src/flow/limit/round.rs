//! Rounds: each judges one limit, then raises or lowers it.

use super::{
    CALM_ROUNDS, ConcurrencyLimit, DECREASE, LEAP, LEAST_SAMPLES, LimitReason, LimitRound,
    PATIENCE, SUSPECT_ROUNDS,
    latency::{Baseline, Latency, Trend},
};

impl ConcurrencyLimit {
    /// How many answers end the round.
    pub(super) fn round_length(&self) -> usize {
        if self.starting {
            // The calls that the last doubling admitted. They began together, so a doubling takes as long as
            // one call; the other half begins only when earlier calls end.
            self.current.div_ceil(2)
        } else if self.refused_at == Some(self.current + 1) {
            self.current.max(PATIENCE)
        } else {
            self.current.max(LEAST_SAMPLES)
        }
    }

    /// Judges the limit by the calls of the round, and begins the next round.
    pub(super) fn end_round(&mut self) {
        let tally = self.round.tally;
        if self.round.reached
            && self.background.is_suspect(tally.overloaded, self.round.started)
            && tally.answered < SUSPECT_ROUNDS * self.round_length()
        {
            return;
        }
        self.background.learn(&tally);
        if !self.round.reached {
            // A limit that was not reached cannot be judged.
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
            Trend::Doubled => self.decrease(2, LimitReason::Latency),
            Trend::Risen => self.decrease(DECREASE, LimitReason::Latency),
            Trend::Cleared(load) => {
                self.current = load.clamp(self.current, self.max);
                self.next_round();
            }
            // There are not enough calls yet to confirm the rise.
            Trend::Holds if self.starting && self.doubted => self.next_round(),
            Trend::Holds => {
                self.current = self.current.saturating_add(self.step()).min(self.max);
                let refused = self.refused_at == Some(self.current);
                self.calm = if refused { 0 } else { self.calm.saturating_add(1) };
                self.next_round();
            }
        }
    }

    /// The increase of the limit after a good round.
    fn step(&self) -> usize {
        if self.starting {
            return self.current;
        }
        let step = if self.calm < CALM_ROUNDS { 1 } else { (self.current / LEAP).max(1) };
        match self.refused_at {
            // At most half of the way, and one by one in the end: one call probes the overload, not a burst.
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
            // At the floor the limit cannot be lowered to find the cause.
            baseline.follow(latency, load);
            Trend::Holds
        };
        self.doubted &= trend != Trend::Holds;
        trend
    }

    /// Lowers the limit by one part in `parts`, and by at least one.
    pub(super) fn decrease(&mut self, parts: usize, lowered_by: LimitReason) {
        // After fast start the last good limit is half of this one.
        let parts = if std::mem::take(&mut self.starting) { 2 } else { parts };
        self.current = (self.current - self.current.div_ceil(parts)).max(self.min);
        self.lowered_by = lowered_by;
        self.decreased = self.next;
        self.calm = 0;
        self.latencies.clear();
        self.next_round();
    }

    pub(super) fn next_round(&mut self) {
        self.round = LimitRound { first: self.next, ..LimitRound::default() };
    }
}
