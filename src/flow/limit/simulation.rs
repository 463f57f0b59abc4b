//! An endpoint and a backlog, simulated: events in the order of their time, and no clock.

use std::{cmp::Reverse, collections::BinaryHeap, time::Duration};

use fastrand::Rng;
use serde::Deserialize;

use super::{Limit, Sample};

/// How long the endpoint takes to refuse a call.
const REFUSAL_MS: u64 = 2;

const MICROS: u64 = 1000;

/// A stretch of time in which neither the endpoint nor the demand changes.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phase {
    /// How long it lasts.
    pub seconds: u64,
    /// An unloaded call takes from the first to the second, evenly spread.
    latency_ms: [u64; 2],
    /// Latency as a whole wanders up and down by this many per cent, with each second.
    #[serde(default)]
    wander_percent: u64,
    /// So many calls are handled in parallel.
    capacity: Option<usize>,
    /// What becomes of the calls beyond.
    #[serde(default)]
    beyond: Beyond,
    /// One call in so many takes ten seconds.
    straggler_one_in: Option<u64>,
    /// No more jobs than this are there at a time; without it, an endless backlog.
    demand: Option<usize>,
    /// What must hold in it.
    pub expect: Expect,
}

/// What becomes of calls beyond the capacity.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Beyond {
    /// Refused at once.
    #[default]
    Refuse,
    /// All share the capacity, and take longer.
    Queue,
}

/// What must hold from the settling of a phase to its end.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// The time to settle, from the start of the phase.
    #[serde(default)]
    pub after_ms: u64,
    /// The least and the greatest limit in all of that time.
    pub limit: [usize; 2],
    /// The fixed limit that does best here: nine tenths of its throughput are due.
    pub best_fixed: Option<usize>,
    /// Whether any call may be refused; a fixed share of them, then.
    #[serde(default)]
    pub refusals: bool,
}

/// What was seen from the settling of a phase to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The least and the greatest limit.
    pub limit: [usize; 2],
    /// Calls answered.
    pub answered: u64,
    /// Calls refused.
    pub refused: u64,
}

/// A call under way, ordered by its end.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Call {
    ends: u64,
    number: u64,
    began: u64,
    refused: bool,
}

/// Plays the phases one after another and tells what was seen in each.
pub fn play(phases: &[Phase], mut limit: Limit, seed: u64) -> Vec<Seen> {
    let mut rng = Rng::with_seed(seed);
    let mut under_way = BinaryHeap::<Reverse<Call>>::new();
    let mut served = 0;
    let mut now = 0;
    let mut phase_begins = 0;
    let mut seen = Vec::new();
    for phase in phases {
        let settled = phase_begins + phase.expect.after_ms * MICROS;
        let phase_ends = phase_begins + phase.seconds * 1000 * MICROS;
        let mut window = Seen { limit: [usize::MAX, 0], answered: 0, refused: 0 };
        while now < phase_ends {
            while under_way.len() < limit.current().min(phase.demand.unwrap_or(usize::MAX)) {
                let refused = phase.refuses(served);
                served += usize::from(!refused);
                let takes =
                    if refused { REFUSAL_MS * MICROS } else { phase.takes(served, now, &mut rng) };
                let number = limit.started(under_way.len() + 1);
                under_way.push(Reverse(Call { ends: now + takes, number, began: now, refused }));
            }
            let Some(Reverse(call)) = under_way.pop() else { break };
            now = call.ends;
            let sample = if call.refused {
                Sample::PushedBack
            } else {
                served -= 1;
                Sample::Answered { latency: Duration::from_micros(now - call.began) }
            };
            if now >= settled {
                let [least, most] = window.limit;
                window.limit = [least.min(limit.current()), most.max(limit.current())];
                window.answered += u64::from(!call.refused);
                window.refused += u64::from(call.refused);
            }
            limit.ended(call.number, sample);
        }
        phase_begins = phase_ends;
        seen.push(window);
    }
    seen
}

impl Phase {
    fn refuses(&self, served: usize) -> bool {
        matches!(self.beyond, Beyond::Refuse)
            && self.capacity.is_some_and(|capacity| served >= capacity)
    }

    /// The time that a call takes, in microseconds, with `served` calls under way.
    fn takes(&self, served: usize, now: u64, rng: &mut Rng) -> u64 {
        if self.straggler_one_in.is_some_and(|calls| rng.u64(0..calls) == 0) {
            return 10_000 * MICROS;
        }
        let [least, most] = self.latency_ms;
        let alone = rng.u64(least * MICROS..=most * MICROS);
        let swing = Rng::with_seed(now / (1000 * MICROS)).u64(0..=2 * self.wander_percent);
        let weather = alone * (100 + swing - self.wander_percent) / 100;
        let queued = self.capacity.map_or(1.0, |capacity| (served as f64 / capacity as f64).max(1.0));
        Duration::from_micros(weather).mul_f64(queued).as_micros() as u64
    }
}
