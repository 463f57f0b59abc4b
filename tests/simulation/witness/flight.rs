//! The deliveries in flight of one worker with the same call.

use revoker::domain::Lane;
use tokio::time::Instant;

use super::{LifeNumber, Number, State, record::Conclusion};
use crate::plan::{Key, Plan};

/// More remembered tokens than any schedule has, so none is evicted.
const ROOMY: usize = 1000;

/// Deliveries that share the next verdict.
#[derive(Default)]
pub struct Flight {
    members: Vec<Number>,
    /// Whether an attempt of theirs may have worked.
    pub ambiguous: bool,
    pub calling: Option<Number>,
    /// The lane of its first delivery.
    lane: Option<Lane>,
    /// Whether a delivery of the other lane was among them. The call may wait in that lane, even after the delivery has
    /// left.
    lent: bool,
    /// When a member last left without a verdict.
    left: Option<Instant>,
}

impl Flight {
    /// Whether it is a single delivery, in its own lane.
    pub fn is_single(&self) -> bool {
        self.members.len() == 1 && !self.lent
    }

    /// Whether a member leaves at this moment. The next one has waited for it, and not for a place.
    pub fn passes_on(&self) -> bool {
        self.left == Some(Instant::now())
    }
}

impl State {
    /// Adds a delivery to those with its key.
    pub fn enter(&mut self, number: Number, key: Key, plan: &Plan) {
        let life = self.record(number).life;
        let settings = &plan.worker.pipeline;
        let fresh =
            self.proofs.get(&(life, key)).is_some_and(|at| at.elapsed() < settings.remember);
        let record = self.record(number);
        record.remembered = fresh;
        let (knows, lane) = (record.may_have_worked, record.lane);
        let flight = self.flights.entry((life, key)).or_default();
        flight.lent |= *flight.lane.get_or_insert(lane) != lane;
        flight.members.push(number);
        // The ambiguity of one of them applies to all of them.
        flight.ambiguous |= knows;
    }

    /// Whether a call is redundant, because the worker must remember that the token is revoked.
    pub fn must_remember(&mut self, number: Number, plan: &Plan) -> bool {
        plan.worker.pipeline.remember_capacity >= ROOMY && self.record(number).remembered
    }

    pub fn flight(&mut self, number: Number) -> Option<&mut Flight> {
        let record = self.record(number);
        let key = (record.life, record.key?);
        self.flights.get_mut(&key)
    }

    /// Removes a delivery, with or without a verdict.
    pub fn leave(&mut self, number: Number) {
        let record = self.record(number);
        let Some(key) = record.key else { return };
        let key = (record.life, key);
        if let Some(flight) = self.flights.get_mut(&key) {
            flight.members.retain(|member| *member != number);
            flight.left = Some(Instant::now());
            if flight.members.is_empty() {
                self.flights.remove(&key);
            }
        }
    }

    /// Records an ambiguous attempt.
    pub fn suspect(&mut self, number: Number) {
        if let Some(key) = self.record(number).key {
            self.ambiguous.insert(key);
        }
        if let Some(flight) = self.flight(number) {
            flight.ambiguous = true;
        }
        self.record(number).may_have_worked = true;
    }

    /// Applies the endpoint's own answer to every member. Later deliveries start a new flight.
    pub fn conclude(&mut self, number: Number, conclusion: Conclusion) {
        let record = self.record(number);
        record.own = true;
        let Some(key) = record.key else { return };
        let life: LifeNumber = record.life;
        if conclusion == Conclusion::Revoked {
            self.proofs.insert((life, key), Instant::now());
        }
        let Some(flight) = self.flights.remove(&(life, key)) else { return };
        for member in flight.members {
            let record = self.record(member);
            record.verdict = Some(conclusion);
            record.may_have_worked |= flight.ambiguous;
        }
    }
}
