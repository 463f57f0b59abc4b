//! The rules of settlements: one for each delivery, and none without its reason.

use revoker::{
    domain::{History, Outcome},
    ports::Settled,
};
use tokio::time::Instant;

use super::{Number, State, Witness, record::Decided};
use crate::plan::LONGEST_CALL;

/// The longest that a delivery stays in flight while it waits.
const MAX_IN_FLIGHT: std::time::Duration = std::time::Duration::from_secs(600);

/// The least time that a settlement is given.
const SETTLE_AT_LEAST: std::time::Duration = std::time::Duration::from_secs(60);

/// The extra time that the simulation may add to that.
const SLACK: std::time::Duration = std::time::Duration::from_secs(2);

/// A settlement in progress. If it is dropped before its end, it is given up, and the delivery is requeued.
pub struct Watched<'a> {
    witness: &'a Witness,
    number: Number,
    over: bool,
}

impl Witness {
    /// Records the worker's decision about a delivery.
    pub fn settling(&self, number: Number, outcome: &Outcome, history: &History) -> Watched<'_> {
        self.note(|| format!("{number}: {outcome:?}, {history:?}"));
        let decided = decided(outcome);
        let mut state = self.state();
        state.takes(number);
        let faults = if state.is_dead(number) {
            Vec::new()
        } else {
            let mut faults =
                state.faults_of_outcome(number, outcome, history, &self.plan, &self.clock);
            let record = state.record(number);
            if record.decided.is_some() {
                faults.push(format!("{number}: settled twice"));
            }
            faults
        };
        state.record(number).decided = Some((decided, Instant::now()));
        state.leave(number);
        drop(state);
        self.all_violated(faults);
        Watched { witness: self, number, over: false }
    }
}

impl Watched<'_> {
    /// Records the end of the settlement.
    pub fn settled(mut self, settled: Settled) -> Settled {
        self.over = true;
        self.witness.note(|| format!("{}: settled: {settled:?}", self.number));
        let mut state = self.witness.state();
        let record = state.record(self.number);
        record.settled = true;
        let decided = record.decided.map_or(Decided::Requeued, |(decided, _)| decided);
        let lane = record.lane;
        state.life(self.number).books.settled(lane, decided, &settled);
        state.count("settlement", name(decided, &settled));
        let faults = state.faults_of_stay(self.number);
        drop(state);
        self.witness.all_violated(faults);
        settled
    }
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        self.witness.note(|| format!("{}: its settlement is given up", self.number));
        let mut state = self.witness.state();
        let record = state.record(self.number);
        record.settled = true;
        record.given_up = true;
        let lane = record.lane;
        let waited = record.decided.map(|(_, at)| at.elapsed()).unwrap_or_default();
        state.count("settlement", "given up");
        let life = state.life(self.number);
        life.books.settled(lane, Decided::Requeued, &Settled::Requeued);
        let early = !life.dead && !life.cut_off && waited < SETTLE_AT_LEAST;
        let mut faults = state.faults_of_stay(self.number);
        if early {
            faults.push(format!("{}: its settlement was given up early", self.number));
        }
        drop(state);
        self.witness.all_violated(faults);
    }
}

impl State {
    /// Checks that no delivery stays in flight beyond the broker's limit.
    fn faults_of_stay(&mut self, number: Number) -> Vec<String> {
        let stayed = self.record(number).at.elapsed();
        let most = MAX_IN_FLIGHT + SETTLE_AT_LEAST + LONGEST_CALL + SLACK;
        if self.is_dead(number) || stayed <= most {
            return Vec::new();
        }
        vec![format!("{number}: in flight for {stayed:?}")]
    }
}

/// A name for the end of a delivery.
fn name(decided: Decided, settled: &Settled) -> &'static str {
    match (settled, decided) {
        (Settled::LeftToBroker(_), _) => "left to the broker",
        (Settled::Abandoned, _) => "abandoned",
        (Settled::Requeued, _) | (Settled::Done, Decided::Requeued) => "requeued",
        (Settled::Done, Decided::Parked) => "parked",
        (Settled::Done, Decided::Dead(reason)) => reason.as_str(),
        (Settled::Done, Decided::Done(ending)) => ending.as_str(),
    }
}

fn decided(outcome: &Outcome) -> Decided {
    match outcome {
        Outcome::Done(completion) => Decided::Done(*completion),
        Outcome::DeadLettered(letter) => Decided::Dead(letter.reason),
        Outcome::Parked(_) => Decided::Parked,
        Outcome::Requeued => Decided::Requeued,
    }
}
