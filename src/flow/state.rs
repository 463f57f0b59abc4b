//! What the dispatcher knows, behind its lock: who waits, what runs, what may start. Time comes in as an argument.

use std::time::Duration;

use tokio::{sync::oneshot, time::Instant};

use super::{
    breakers::{Breakers, Start},
    call_outcome::CallOutcome,
    early::Early,
    fleet::Fleet,
    lanes::{Lanes, Turn},
    limit::{Limit, Sample},
    limit_state::{LimitLog, LimitState},
    pauses::Pauses,
    permit::{Admission, Call},
    settings::{RateScope, Settings},
};
use crate::{
    domain::{ClientKey, Lane, Rate},
    ports::Demand,
};

/// So many jobs of a paused client wait in each lane for its next probe; the others wait in a retry queue.
const STALLED_ROOM: usize = 64;

/// So many once it has been paused for long.
const STALLED_ROOM_LATER: usize = 2;

/// A client that was paused for this long is paused for long.
const LONG: Duration = Duration::from_secs(60);

/// The longest that a job waits elsewhere for its client: afterwards its turn comes within this time.
const LONGEST_ASIDE: Duration = Duration::from_secs(300);

/// Who waits, what runs, what may start.
#[derive(Debug)]
pub(super) struct State {
    pub(super) limit: Limit,
    pub(super) breakers: Breakers,
    pub(super) lanes: Lanes<oneshot::Sender<Admission>>,
    pub(super) held: bool,
    pub(super) pauses: Pauses,
    pub(super) limit_log: LimitLog,
    pub(super) latest_probe: Option<u64>,
    /// Whose job it was.
    last_probed: Option<ClientKey>,
    pub(super) wake_at: Option<Instant>,
    /// The limit that was told last.
    pub(super) told_limit: usize,
    /// Whether it was told last that every call may start.
    pub(super) told_calm: bool,
    /// What is known of the other replicas, where the rate is that of all.
    pub(super) fleet: Option<Fleet>,
    early: Early,
    rate: Option<Rate>,
    running: usize,
}

impl State {
    pub(super) fn new(settings: &Settings, now: Instant) -> Self {
        let shared = settings.rate.is_some() && settings.rate_scope == RateScope::Fleet;
        Self {
            limit: Limit::new(
                settings.concurrency_min,
                settings.concurrency_max,
                settings.adaptive,
            ),
            breakers: Breakers::new(settings.pause),
            lanes: Lanes::new(settings.bulk_min_share),
            held: false,
            pauses: Pauses::new(now),
            limit_log: LimitLog::default(),
            latest_probe: None,
            last_probed: None,
            wake_at: None,
            told_limit: 0,
            told_calm: false,
            fleet: shared.then(Fleet::default),
            early: Early::new(now),
            rate: settings.rate.and_then(Rate::per_second),
            running: 0,
        }
    }

    /// The limit, and why it is what it is.
    pub(super) const fn limit_state(&self) -> LimitState {
        let limit = &self.limit;
        LimitState { limit: limit.current(), ceiling: limit.ceiling(), reason: limit.reason() }
    }

    /// Whether nothing keeps calls from starting but the limit and the rate.
    pub(super) fn is_calm(&self) -> bool {
        !self.held && self.fleet.is_none() && self.breakers.is_calm()
    }

    /// Notes that something changes by itself at that time.
    pub(super) fn wake(&mut self, at: Instant) {
        self.wake_at = Some(self.wake_at.map_or(at, |before| before.min(at)));
    }

    /// Whose turn it is, of those whose calls may start.
    ///
    /// A probe is of another client than the last one, if a job of another waits in either lane: one client that
    /// fails must not keep the worker paused for the others.
    pub(super) fn next(&mut self, now: Instant) -> Option<Turn> {
        let Self { lanes, breakers, fleet, last_probed, .. } = self;
        let probed = last_probed.filter(|_| breakers.pause().is_some());
        let has_share = fleet.as_ref().is_none_or(|fleet| fleet.share(now) > 0.0);
        let mut may = |client| {
            // A probe must not wait behind jobs that have no share of the rate.
            breakers.may_start(client, now).is_some_and(|start| has_share || start != Start::Free)
        };
        let other = probed.and_then(|last| lanes.next(|client| client != last && may(client)));
        other.or_else(|| lanes.next(may))
    }

    /// Whether a probe is due for which no job waits.
    pub(super) fn wants_probe(&mut self, now: Instant) -> bool {
        self.next(now).is_none() && self.breakers.may_probe(now)
    }

    /// Whether a job of a client that is paused has to wait elsewhere, and for how long.
    pub(super) fn has_no_room(
        &mut self,
        lane: Lane,
        client: ClientKey,
        now: Instant,
    ) -> Option<Duration> {
        let (room, wait) = self.stalled(client, now)?;
        if self.lanes.lane(lane).waiting(client) < room {
            return None;
        }
        self.breakers.parked();
        Some(wait)
    }

    /// How many jobs of a client that is paused may wait, and for how long the others should wait elsewhere.
    fn stalled(&self, client: ClientKey, now: Instant) -> Option<(usize, Duration)> {
        if let Some(since) = self.breakers.stuck_since(client, now) {
            let wait = now.saturating_duration_since(since).min(LONGEST_ASIDE);
            return Some((STALLED_ROOM, wait));
        }
        let pause = self.breakers.stalled(client)?;
        let long = now.saturating_duration_since(pause.since) >= LONG;
        let room = if long { STALLED_ROOM_LATER } else { STALLED_ROOM };
        // As long as the pause has lasted so far, or jobs of a client that stays broken would go round and round.
        let wait = now.saturating_duration_since(pause.since).min(LONGEST_ASIDE);
        Some((room, wait.max(pause.next_probe.saturating_duration_since(now))))
    }

    /// Whether there is room for one more call.
    pub(super) fn has_room(&mut self, now: Instant) -> bool {
        let (allowed, ceiling) = (self.limit.allowed(), self.limit.ceiling());
        if self.held || self.running >= ceiling {
            return false;
        }
        if self.running < allowed || self.running < allowed + self.early.beyond(allowed, now) {
            return true;
        }
        // In the past, it is over: all that may hang beyond the limit do. To wake for it would be to wake without end.
        if let Some(at) = self.early.next(allowed).filter(|at| *at > now) {
            self.wake(at);
        }
        false
    }

    /// Takes everything that a call needs, or nothing. There has to be room for it.
    pub(super) fn begin(&mut self, lane: Lane, client: ClientKey, now: Instant) -> Option<Call> {
        let start = self.breakers.may_start(client, now)?;
        // Last, so that nobody holds a token of the rate while waiting for something else.
        if !self.rate_allows(start, now) {
            return None;
        }
        self.running += 1;
        self.early.started(now, self.running > self.limit.allowed());
        self.breakers.started(client, start, now);
        self.lanes.lane(lane).started(client);
        let number = self.limit.started(self.running);
        if start == Start::WorkerProbe {
            self.latest_probe = Some(number);
        }
        Some(Call { number, began: now, lane, client, start })
    }

    /// Whether the rate lets a call start now; if not, notes when it may. A replica without a share of the fleet's
    /// rate still probes: without an answer its consumers would not come back.
    fn rate_allows(&mut self, start: Start, now: Instant) -> bool {
        let Some(rate) = &mut self.rate else { return true };
        if let Some(fleet) = &self.fleet {
            let share = fleet.share(now);
            rate.share(share, now.into_std());
            if share <= 0.0 {
                return start != Start::Free;
            }
        }
        match rate.take(now.into_std()) {
            Ok(()) => true,
            Err(wait) => {
                self.wake(now + wait);
                false
            }
        }
    }

    /// Whether jobs that wait have no share of the fleet's rate and are in the way of getting one: a lane consumes
    /// again only with room in flight, and until then the broker does not count it.
    pub(super) fn is_stranded(&self, demand: Demand) -> bool {
        let Some(fleet) = &self.fleet else { return false };
        self.held || demand == Demand::All && !fleet.consumes()
    }

    /// A call ended without having been made.
    pub(super) fn unused(&mut self, call: &Call) {
        self.leave(call, Sample::Unknown);
        self.breakers.unused(call.client, self.role(call));
    }

    /// A call ended.
    pub(super) fn ended(&mut self, call: &Call, outcome: &CallOutcome, now: Instant) {
        let took = now.saturating_duration_since(call.began);
        let sample = match outcome {
            CallOutcome::Revoked | CallOutcome::Rejected => Sample::Answered { latency: took },
            // Failures of one client alone, and its probes, tell of that client.
            CallOutcome::Failed { overload: true, .. }
                if call.start != Start::ClientProbe && !self.breakers.fails_alone(call.client) =>
            {
                Sample::PushedBack { after: took }
            }
            CallOutcome::Failed { .. } => Sample::Unknown,
        };
        self.leave(call, sample);
        if outcome.is_answer() {
            self.early.answered(now, took, self.running, self.limit.next_number());
        }
        let role = self.role(call);
        if role == Start::WorkerProbe {
            self.last_probed = Some(call.client);
        }
        // Fast start ends in a burst of refusals, faster than any answer. That is the limit's affair.
        let busy = matches!(outcome, CallOutcome::Failed { busy: true, .. })
            && self.running > self.limit.stragglers()
            && role == Start::Free;
        let changes = self.breakers.saw((call.client, role, call.number), took, outcome, busy, now);
        if let Some(number) = changes.own_since {
            self.limit.forget_since(number);
        }
        if changes.resumed {
            self.limit.resume();
            self.early = Early::new(now);
        }
        if changes.stalled {
            self.send_away(call.client, now);
        }
    }

    fn leave(&mut self, call: &Call, sample: Sample) {
        self.running -= 1;
        self.lanes.lane(call.lane).ended(call.client);
        self.limit.ended(call.number, sample);
        self.early.ended(call.number);
    }

    /// As what a call ends. A probe of an earlier pause, ending when another probe runs, is a call like any other.
    fn role(&self, call: &Call) -> Start {
        match call.start {
            Start::WorkerProbe if self.latest_probe != Some(call.number) => Start::Free,
            start => start,
        }
    }

    /// Lets most jobs of a paused client wait elsewhere, so that they take no room from others.
    fn send_away(&mut self, client: ClientKey, now: Instant) {
        let Some((room, wait)) = self.stalled(client, now) else { return };
        for lane in Lane::ALL {
            for job in self.lanes.lane(lane).take_beyond(client, room) {
                // One that cannot be told has left.
                if job.send(Admission::Stalled(wait)).is_ok() {
                    self.breakers.parked();
                }
            }
        }
    }
}
