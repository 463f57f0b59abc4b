//! The rules of sharing: the client whose call may begin while jobs of other clients wait.

use revoker::{
    domain::{ClientKey, Lane},
    flow::{PauseCause, Phase, Status},
};
use tokio::time::Instant;

use super::{LifeNumber, Number, State, flight::Flight, record::Record};
use crate::plan::{CLIENTS, Plan};

/// A client with this many hanging calls gets no more places.
const STUCK: usize = 4;

impl State {
    /// The violated rules if this call takes a place or a probe that belongs to another client.
    pub fn faults_of_sharing(
        &mut self,
        number: Number,
        plan: &Plan,
        status: &Status,
    ) -> Vec<String> {
        let (life, lane) = (self.record(number).life, self.record(number).lane);
        let client = plan.jobs[self.record(number).job].client();
        let others = self.waiting_others(number, client, plan);
        let index = usize::try_from(number.0 - 1).expect("an index");
        let mut faults = Vec::new();
        match status.phase {
            Phase::Running if status.clients_paused == 0 => {
                let own = self.calling(life, lane, client, plan);
                let less = |(other, of_lane): &(ClientKey, Lane)| {
                    let running = self.calling_at_most(life, *other, plan);
                    // With more calls that hang, it gets no more places.
                    *of_lane == lane && running < STUCK && running + 1 < own
                };
                // A shared call may use the lane of another delivery.
                if self.is_single(&self.records[index]) && others.iter().any(less) {
                    faults.push(format!("{number}: holds the place of a client that waits"));
                }
            }
            // If all clients are paused, each is probed separately.
            Phase::Probing(pause)
                if pause.cause == PauseCause::Failures && status.clients_paused < CLIENTS =>
            {
                let before = self.lives[life].probed.replace((client, pause.since));
                if before == Some((client, pause.since)) && !others.is_empty() {
                    faults.push(format!("{number}: the same client is probed again"));
                }
            }
            Phase::Probing(_) | Phase::Paused(_) | Phase::Running => {}
        }
        faults
    }

    /// The jobs of other clients that certainly wait for their first call, each with its lane.
    fn waiting_others(
        &self,
        Number(number): Number,
        client: ClientKey,
        plan: &Plan,
    ) -> Vec<(ClientKey, Lane)> {
        let index = usize::try_from(number - 1).expect("an index");
        let life = self.records[index].life;
        let now = Instant::now();
        let waits = |record: &&Record| {
            record.life == life
                && record.taken.is_some_and(|at| at < now)
                && self.is_single(record)
                && !self.follows(record)
                && record.calls == 0
                && !record.remembered
                && !record.refused
                && record.lost.is_none()
                && record.decided.is_none()
        };
        let of = |record: &Record| (plan.jobs[record.job].client(), record.lane);
        self.records.iter().filter(waits).map(of).filter(|(other, _)| *other != client).collect()
    }

    /// How many calls of a client are in flight in a lane. Calls that may be shared with a job of the other lane are
    /// not counted.
    fn calling(&self, life: LifeNumber, lane: Lane, client: ClientKey, plan: &Plan) -> usize {
        let of = |record: &&Record| {
            record.life == life
                && record.lane == lane
                && record.calling.is_some()
                && self.is_single(record)
                && plan.jobs[record.job].client() == client
        };
        self.records.iter().filter(of).count()
    }

    /// How many calls of a client are in flight, in either lane.
    fn calling_at_most(&self, life: LifeNumber, client: ClientKey, plan: &Plan) -> usize {
        let of = |record: &&Record| {
            record.life == life
                && record.calling.is_some()
                && plan.jobs[record.job].client() == client
        };
        self.records.iter().filter(of).count()
    }

    /// Whether it becomes the leader of another delivery's call at this moment.
    fn follows(&self, record: &Record) -> bool {
        let flight = record.key.and_then(|key| self.flights.get(&(record.life, key)));
        flight.is_some_and(Flight::passes_on)
    }

    /// Whether no other delivery shares the call, and none has changed its lane.
    fn is_single(&self, record: &Record) -> bool {
        let flight = record.key.and_then(|key| self.flights.get(&(record.life, key)));
        flight.is_some_and(Flight::is_single)
    }
}
