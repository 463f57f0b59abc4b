//! The witness: observes all events at the ports, and checks them against the rules.
//!
//! It never panics, because the pipeline treats a panic as its own fault and continues. Violations are recorded, and
//! the schedule fails at its end.

mod books;
mod calls;
mod endings;
mod flight;
mod mail;
mod pauses;
mod record;
mod settling;
mod sharing;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use revoker::domain::{ClientKey, History, Lane, MessageMetadata, TraceContext};
use tokio::time::Instant;

use crate::{
    broker::Message,
    clock::WallClock,
    plan::{Key, Plan},
    world::lock,
};
use books::Books;
use flight::Flight;
use pauses::Pauses;
use record::Record;

/// One life of a worker.
pub type LifeNumber = usize;

/// One delivery, counted over a whole schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Number(u64);

/// The trace that identifies a delivery's calls.
pub fn trace_of(number: Number) -> String {
    format!("00-{:032x}-{:016x}-01", number.0, 1)
}

/// The delivery whose trace this is.
pub fn number_of(trace: &TraceContext) -> Option<Number> {
    u64::from_str_radix(trace.trace_id(), 16).ok().map(Number)
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "delivery {}", self.0)
    }
}

/// The witness of one schedule.
pub struct Witness {
    plan: Arc<Plan>,
    clock: Arc<WallClock>,
    recording: bool,
    state: Mutex<State>,
}

/// The observations so far.
#[derive(Default)]
struct State {
    lives: Vec<LifeRecord>,
    /// The deliveries by number, from 1.
    records: Vec<Record>,
    flights: BTreeMap<(LifeNumber, Key), Flight>,
    /// The time at which a worker got the proof that a token is revoked.
    proofs: BTreeMap<(LifeNumber, Key), Instant>,
    /// The keys of ambiguous calls.
    ambiguous: BTreeSet<Key>,
    /// How often each job ended, by its number in the plan.
    ended: BTreeMap<usize, usize>,
    report: Report,
}

/// The observations of one life of a worker.
#[derive(Default)]
struct LifeRecord {
    dead: bool,
    draining: Option<Instant>,
    cut_off: bool,
    /// Calls in flight.
    calling: usize,
    /// The latest probe, and the start of its pause.
    probing: Option<(Number, Instant)>,
    /// The client of the latest probe, and the start of its pause.
    probed: Option<(ClientKey, Instant)>,
    /// The clients whose calls failed since the last answer.
    failing: BTreeSet<ClientKey>,
    starts: Vec<Instant>,
    answers: Vec<(Instant, Number)>,
    pauses: Pauses,
    books: Books,
}

/// The result of a schedule.
#[derive(Default)]
pub struct Report {
    pub violations: Vec<String>,
    /// The events line by line, if they were recorded.
    pub notes: Vec<String>,
    /// The counts of events.
    pub tally: Tally,
}

/// The counts of events, by kind.
pub type Tally = BTreeMap<(&'static str, &'static str), u64>;

impl Witness {
    pub fn new(plan: Arc<Plan>, clock: Arc<WallClock>, recording: bool) -> Self {
        Self { plan, clock, recording, state: Mutex::default() }
    }

    /// Records a line about an event.
    pub fn note(&self, line: impl FnOnce() -> String) {
        if self.recording {
            self.state().note(self.clock.elapsed(), &line());
        }
    }

    /// Counts an event.
    pub fn count(&self, kind: &'static str, what: &'static str) {
        self.state().count(kind, what);
        self.note(|| format!("{kind}: {what}"));
    }

    /// Records a violated rule.
    pub fn violated(&self, rule: String) {
        self.note(|| format!("VIOLATED: {rule}"));
        self.state().report.violations.push(rule);
    }

    fn all_violated(&self, rules: Vec<String>) {
        for rule in rules {
            self.violated(rule);
        }
    }

    pub fn is_violated(&self) -> bool {
        !self.state().report.violations.is_empty()
    }

    /// The number of ended messages so far, counting each copy of a job.
    pub fn ended(&self) -> usize {
        self.state().ended.values().sum()
    }

    /// Records the start of a worker.
    pub fn born(&self) -> LifeNumber {
        let mut state = self.state();
        state.lives.push(LifeRecord::default());
        state.count("worker", "started");
        state.lives.len() - 1
    }

    /// Records the end of a worker: later actions of its tasks have no effect.
    pub fn died(&self, life: LifeNumber) {
        self.note(|| format!("worker {life} is gone"));
        self.state().lives[life].dead = true;
    }

    /// Records that a worker requeues waiting jobs.
    pub fn draining(&self, life: LifeNumber) {
        self.note(|| format!("worker {life} drains"));
        self.state().lives[life].draining = Some(Instant::now());
    }

    /// Records that a worker requeues all jobs.
    pub fn cut_off(&self, life: LifeNumber) {
        self.count("worker", "cut off");
        self.state().lives[life].cut_off = true;
    }

    /// Records a delivery to a worker.
    pub fn delivered(&self, life: LifeNumber, lane: Lane, message: &Message) -> Number {
        let mut state = self.state();
        let number = Number(state.records.len() as u64 + 1);
        let key = self.plan.jobs[message.job].key();
        state.records.push(Record::new(life, lane, key, message));
        state.count("delivery", "delivered");
        drop(state);
        self.note(|| format!("{number} of job {} to worker {life}, {lane}, {key:?}", message.job));
        number
    }

    /// Checks the metadata that the worker read: it accepts only its own headers, from its own retry queues.
    pub fn arrived(&self, number: Number, metadata: &MessageMetadata) {
        let now = self.clock.now();
        let mut state = self.state();
        let record = state.record(number);
        let expected = record.parked.map_or_else(History::default, |parked| History {
            // Headers have whole seconds, and a future time is not accepted.
            first_failed_at: parked.first_failed_at.map(|first| whole_seconds(first).min(now)),
            // It comes from a retry queue, so it had at least one stay.
            stays: parked.stays.max(1),
            paused: History::paused_for(parked.paused_millis()),
            parked_at: parked.parked_at.map(|at| whole_seconds(at).min(now)),
            ..parked
        });
        record.arrived_with(metadata.history, now);
        let parked = record.parked.is_some();
        drop(state);
        if metadata.history != expected {
            let came = metadata.history;
            self.violated(format!("{number} came as {came:?}, parked ({parked}) as {expected:?}"));
        }
    }

    /// Records that the worker begins to read a delivery's body.
    pub fn entered(&self, number: Number) {
        let mut state = self.state();
        if state.takes(number)
            && let Some(key) = state.record(number).key
        {
            state.enter(number, key, &self.plan);
        }
    }

    /// The token of a delivery.
    pub fn token_of(&self, number: Number) -> usize {
        let job = self.state().record(number).job;
        self.plan.jobs[job].token
    }

    /// Ends the schedule, and checks that every job has ended.
    pub fn conclude(&self, published: usize) -> Report {
        for job in 0..published {
            if !self.state().ended.contains_key(&job) {
                self.violated(format!("job {job} is lost: {:?}", self.plan.jobs[job]));
            }
        }
        std::mem::take(&mut self.state().report)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
    fn record(&mut self, Number(number): Number) -> &mut Record {
        let index = usize::try_from(number - 1).expect("an index");
        &mut self.records[index]
    }

    fn life(&mut self, number: Number) -> &mut LifeRecord {
        let life = self.record(number).life;
        &mut self.lives[life]
    }

    fn is_dead(&mut self, number: Number) -> bool {
        self.life(number).dead
    }

    fn count(&mut self, kind: &'static str, what: &'static str) {
        *self.report.tally.entry((kind, what)).or_default() += 1;
    }

    fn note(&mut self, at: Duration, line: &str) {
        self.report.notes.push(format!("{:>12.3}  {line}", at.as_secs_f64()));
    }

    /// Records that the worker takes a delivery; `false` if it did so before.
    fn takes(&mut self, number: Number) -> bool {
        let record = self.record(number);
        let first = record.taken.is_none();
        if first {
            record.taken = Some(Instant::now());
            let (lane, redelivered) = (record.lane, record.redelivered);
            self.life(number).books.delivered(lane, redelivered);
        }
        first
    }
}

/// A time in whole seconds, as in a header.
fn whole_seconds(time: SystemTime) -> SystemTime {
    let since_epoch = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    UNIX_EPOCH + Duration::from_secs(since_epoch.as_secs())
}
