//! An endpoint and a backlog, simulated: events in the order of their time, and no clock.

use std::{cmp::Reverse, collections::BinaryHeap, time::Duration};

use fastrand::Rng;
use serde::Deserialize;

use super::{ConcurrencyLimit, Sample};

/// Time is counted in microseconds.
const MILLI: u64 = 1000;
const SECOND: u64 = 1000 * MILLI;

/// How long the endpoint takes to refuse a call.
const REFUSAL: u64 = 2 * MILLI;

/// How long a straggler takes.
pub const STRAGGLER: u64 = 10 * SECOND;

/// A period in which neither the endpoint nor the demand changes.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phase {
    /// How long it lasts.
    pub seconds: u64,
    /// The shortest and the longest unloaded call, in milliseconds, evenly distributed.
    latency_ms: [u64; 2],
    /// All latencies vary up and down by this many per cent, with each second.
    #[serde(default)]
    wander_percent: u64,
    /// The number of calls that are handled in parallel.
    capacity: Option<u64>,
    /// The handling of calls beyond the capacity.
    #[serde(default)]
    beyond: Beyond,
    /// The percentage of calls that end in overload under any load, after the duration of a call.
    #[serde(default)]
    noise_percent: u64,
    /// The same, at once.
    #[serde(default)]
    quick_noise_percent: u64,
    /// One call in this many takes ten seconds, and uses no capacity.
    straggler_one_in: Option<u64>,
    /// The most jobs at a time; `None` for an endless backlog.
    demand: Option<usize>,
    /// The expectations of the phase.
    pub expect: Expect,
}

/// The handling of calls beyond the capacity.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Beyond {
    /// Refused at once.
    #[default]
    Refuse,
    /// All share the capacity, and take longer.
    Queue,
}

/// The expectations from the settling of a phase to its end.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// The time to settle, from the start of the phase.
    #[serde(default)]
    pub after_ms: u64,
    /// The least and the greatest limit in all of that time.
    pub limit: [usize; 2],
    /// The limit falls at least to this at some time of the phase, settled or not.
    pub dips_to: Option<usize>,
    /// The best fixed limit of the phase: nearly its throughput is expected.
    pub best_fixed: Option<usize>,
}

/// The measurements of a phase. Fields count from the time when the phase has settled, unless they say otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// The least and the greatest limit.
    pub limit: [usize; 2],
    /// The least limit in all of the phase.
    pub dip: usize,
    /// Calls answered.
    pub answered: u64,
    /// Calls refused.
    pub refused: u64,
    /// The longest that an answer took.
    pub slowest: Duration,
}

/// A call in flight, ordered by its end.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Call {
    ends: u64,
    number: u64,
    began: u64,
    kind: Kind,
}

/// The endpoint's result of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Refused,
    Noise,
    Handled,
    Straggling,
}

/// Simulates the phases in order, and returns the measurements of each.
pub fn play(phases: &[Phase], mut limit: ConcurrencyLimit, rng_seed: u64) -> Vec<Seen> {
    let mut rng = Rng::with_seed(rng_seed);
    let mut under_way = BinaryHeap::<Reverse<Call>>::new();
    let mut served = 0;
    let mut now = 0;
    let mut phase_begins = 0;
    let mut seen = Vec::new();
    for phase in phases {
        let settled = phase_begins + phase.expect.after_ms * MILLI;
        let phase_ends = phase_begins + phase.seconds * SECOND;
        let mut window = Seen { limit: [usize::MAX, 0], dip: usize::MAX, ..Seen::default() };
        while now < phase_ends {
            while under_way.len() < limit.allowed().min(phase.demand.unwrap_or(usize::MAX)) {
                let (kind, takes) = phase.receives(&mut served, now, &mut rng);
                let number = limit.started(under_way.len() + 1);
                under_way.push(Reverse(Call { ends: now + takes, number, began: now, kind }));
            }
            let Some(Reverse(call)) = under_way.pop() else { break };
            now = call.ends;
            let latency = Duration::from_micros(now - call.began);
            served -= u64::from(call.kind == Kind::Handled);
            let sample = match call.kind {
                Kind::Refused | Kind::Noise => Sample::Overload { after: latency },
                Kind::Handled | Kind::Straggling => Sample::Answered { latency },
            };
            limit.ended(call.number, sample);
            window.note(limit.current(), (now >= settled).then_some(sample));
        }
        phase_begins = phase_ends;
        seen.push(window);
    }
    seen
}

impl Seen {
    fn note(&mut self, limit: usize, settled: Option<Sample>) {
        self.dip = self.dip.min(limit);
        let Some(sample) = settled else { return };
        let [least, most] = self.limit;
        self.limit = [least.min(limit), most.max(limit)];
        match sample {
            Sample::Answered { latency } => {
                self.answered += 1;
                self.slowest = self.slowest.max(latency);
            }
            Sample::Overload { .. } | Sample::Unknown => self.refused += 1,
        }
    }
}

impl Phase {
    /// Whether the result is the same for every seed.
    pub const fn is_certain(&self) -> bool {
        let [least, most] = self.latency_ms;
        least == most
            && self.wander_percent == 0
            && self.noise_percent + self.quick_noise_percent == 0
            && self.straggler_one_in.is_none()
    }

    /// Whether some calls take ten seconds.
    pub const fn has_stragglers(&self) -> bool {
        self.straggler_one_in.is_some()
    }

    /// Whether calls end in overload under any load.
    pub const fn has_noise(&self) -> bool {
        self.noise_percent + self.quick_noise_percent > 0
    }

    /// Whether calls beyond the capacity are refused.
    pub const fn has_refusals(&self) -> bool {
        matches!(self.beyond, Beyond::Refuse) && self.capacity.is_some()
    }

    /// The result and the duration of a call while `served` calls are handled.
    fn receives(&self, served: &mut u64, now: u64, rng: &mut Rng) -> (Kind, u64) {
        if self.has_refusals() && self.capacity.is_some_and(|capacity| *served >= capacity) {
            return (Kind::Refused, REFUSAL);
        }
        if self.quick_noise_percent > 0 && rng.u64(0..100) < self.quick_noise_percent {
            return (Kind::Noise, REFUSAL);
        }
        if self.noise_percent > 0 && rng.u64(0..100) < self.noise_percent {
            return (Kind::Noise, self.takes(*served, now, rng));
        }
        if self.straggler_one_in.is_some_and(|calls| rng.u64(0..calls) == 0) {
            return (Kind::Straggling, STRAGGLER);
        }
        *served += 1;
        (Kind::Handled, self.takes(*served, now, rng))
    }

    /// The time that a call takes while `served` calls, this one among them, are handled.
    fn takes(&self, served: u64, now: u64, rng: &mut Rng) -> u64 {
        let [least, most] = self.latency_ms;
        let alone = rng.u64(least * MILLI..=most * MILLI);
        let swing = Rng::with_seed(now / SECOND).u64(0..=2 * self.wander_percent);
        let base = alone * (100 + swing - self.wander_percent) / 100;
        self.capacity.map_or(base, |capacity| base * served.max(capacity) / capacity)
    }
}
