//! The state of the dispatcher, behind its lock. Time is an argument.

use std::time::Duration;

use tokio::{sync::oneshot, time::Instant};

use super::{
    breakers::{Breakers, CallRole},
    call_outcome::CallOutcome,
    extra_calls::ExtraCalls,
    fleet::Fleet,
    lanes::{LaneTurn, Lanes},
    limit::{ConcurrencyLimit, Sample},
    limit_state::{LimitLog, LimitState},
    pauses::Pauses,
    permit::{Admission, PermittedCall},
    settings::{RateScope, Settings},
};
use crate::{
    domain::{ClientKey, Lane, Rate},
    ports::Demand,
};

/// How many jobs of a paused client wait in each lane for its next probe. The others wait in a retry queue.
const STALLED_ROOM: usize = 64;

/// How many wait once the client has been paused for [`LONG`].
const STALLED_ROOM_LATER: usize = 2;

const LONG: Duration = Duration::from_secs(60);

/// A job of a paused client waits elsewhere for at most this long.
const LONGEST_ASIDE: Duration = Duration::from_secs(300);

/// The waiting jobs, the running calls, and their limits.
#[derive(Debug)]
pub(super) struct DispatcherState {
    pub(super) limit: ConcurrencyLimit,
    pub(super) breakers: Breakers,
    pub(super) lanes: Lanes<oneshot::Sender<Admission>>,
    pub(super) held: bool,
    pub(super) pauses: Pauses,
    pub(super) limit_log: LimitLog,
    pub(super) latest_probe: Option<u64>,
    /// The client of the last worker probe.
    last_probed: Option<ClientKey>,
    pub(super) wake_at: Option<Instant>,
    /// The limit that the metric shows.
    pub(super) shown_limit: usize,
    /// Whether the published status lets every call start.
    pub(super) published_calm: bool,
    /// The share of the rate, if all replicas share it.
    pub(super) fleet: Option<Fleet>,
    extra: ExtraCalls,
    rate: Option<Rate>,
    running: usize,
}

impl DispatcherState {
    pub(super) fn new(settings: &Settings, now: Instant) -> Self {
        let shared = settings.rate.is_some() && settings.rate_scope == RateScope::Fleet;
        Self {
            limit: ConcurrencyLimit::new(
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
            shown_limit: 0,
            published_calm: false,
            fleet: shared.then(Fleet::default),
            extra: ExtraCalls::new(now),
            rate: settings.rate.and_then(Rate::per_second),
            running: 0,
        }
    }

    pub(super) const fn limit_state(&self) -> LimitState {
        let limit = &self.limit;
        LimitState { limit: limit.current(), ceiling: limit.ceiling(), reason: limit.reason() }
    }

    /// Whether only the limit and the rate keep calls from starting.
    pub(super) fn is_calm(&self) -> bool {
        !self.held && self.fleet.is_none() && self.breakers.is_calm()
    }

    /// Schedules a dispatch at that time.
    pub(super) fn wake(&mut self, at: Instant) {
        self.wake_at = Some(self.wake_at.map_or(at, |before| before.min(at)));
    }

    /// The lane and client of the next call, among those whose calls may start.
    ///
    /// A worker probe belongs to another client than the last one, if a job of another waits. One client that fails
    /// must not keep the worker paused for the others.
    pub(super) fn next(&mut self, now: Instant) -> Option<LaneTurn> {
        let Self { lanes, breakers, fleet, last_probed, .. } = self;
        let probed = last_probed.filter(|_| breakers.pause().is_some());
        let has_share = fleet.as_ref().is_none_or(|fleet| fleet.share(now) > 0.0);
        let mut may = |client| {
            // A probe must not wait behind jobs that have no share of the rate.
            breakers
                .may_start(client, now)
                .is_some_and(|role| has_share || role != CallRole::Regular)
        };
        let other = probed.and_then(|last| lanes.next(|client| client != last && may(client)));
        other.or_else(|| lanes.next(may))
    }

    /// Whether a probe is due and no job waits for it.
    pub(super) fn wants_probe(&mut self, now: Instant) -> bool {
        self.next(now).is_none() && self.breakers.may_probe(now)
    }

    /// How long a job of this client has to wait elsewhere; `None` if it may wait here.
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

    /// For a paused client: how many of its jobs may wait here, and how long the others should wait elsewhere.
    fn stalled(&self, client: ClientKey, now: Instant) -> Option<(usize, Duration)> {
        if let Some(since) = self.breakers.stuck_since(client, now) {
            let wait = now.saturating_duration_since(since).min(LONGEST_ASIDE);
            return Some((STALLED_ROOM, wait));
        }
        let pause = self.breakers.stalled(client)?;
        let long = now.saturating_duration_since(pause.since) >= LONG;
        let room = if long { STALLED_ROOM_LATER } else { STALLED_ROOM };
        // The wait equals the pause so far. With a shorter wait, jobs of a broken client would return repeatedly.
        let wait = now.saturating_duration_since(pause.since).min(LONGEST_ASIDE);
        Some((room, wait.max(pause.next_probe.saturating_duration_since(now))))
    }

    /// Whether there is room for one more call.
    pub(super) fn has_room(&mut self, now: Instant) -> bool {
        let (allowed, ceiling) = (self.limit.allowed(), self.limit.ceiling());
        if self.held || self.running >= ceiling {
            return false;
        }
        if self.running < allowed || self.running < allowed + self.extra.beyond(allowed, now) {
            return true;
        }
        // A time in the past means that all extra calls are in flight: waking for it would never end.
        if let Some(at) = self.extra.next(allowed).filter(|at| *at > now) {
            self.wake(at);
        }
        false
    }

    /// Reserves all resources of a call, or none. The caller has checked that there is room.
    pub(super) fn begin(
        &mut self,
        lane: Lane,
        client: ClientKey,
        now: Instant,
    ) -> Option<PermittedCall> {
        let role = self.breakers.may_start(client, now)?;
        // Last, so that no job takes a start of the rate and then waits for something else.
        if !self.rate_allows(role, now) {
            return None;
        }
        self.running += 1;
        self.extra.started(now, self.running > self.limit.allowed());
        self.breakers.started(client, role, now);
        self.lanes.lane(lane).started(client);
        let number = self.limit.started(self.running);
        if role == CallRole::WorkerProbe {
            self.latest_probe = Some(number);
        }
        Some(PermittedCall { number, began: now, lane, client, role })
    }

    /// Whether the rate allows a start now; if not, schedules the next dispatch. A replica without a share of the
    /// fleet's rate still probes: without an answer it would never consume again.
    fn rate_allows(&mut self, role: CallRole, now: Instant) -> bool {
        let Some(rate) = &mut self.rate else { return true };
        if let Some(fleet) = &self.fleet {
            let share = fleet.share(now);
            rate.share(share, now.into_std());
            if share <= 0.0 {
                return role != CallRole::Regular;
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

    /// Whether waiting jobs keep this replica from a share of the fleet's rate. A lane consumes again only with room in
    /// flight, and until then the broker does not count its consumer.
    pub(super) fn is_stranded(&self, demand: Demand) -> bool {
        let Some(fleet) = &self.fleet else { return false };
        self.held || demand == Demand::All && !fleet.consumes()
    }

    /// Notes that a permitted call was not made.
    pub(super) fn unused(&mut self, call: &PermittedCall) {
        self.leave(call, Sample::Unknown);
        self.breakers.unused(call.client, self.role(call));
    }

    pub(super) fn ended(&mut self, call: &PermittedCall, outcome: &CallOutcome, now: Instant) {
        let took = now.saturating_duration_since(call.began);
        let sample = match outcome {
            CallOutcome::Revoked | CallOutcome::Rejected | CallOutcome::RejectedAsExpected => {
                Sample::Answered { latency: took }
            }
            // Failures of one client alone, and its probes, say nothing about the endpoint.
            CallOutcome::Failed { overload: true, .. }
                if call.role != CallRole::ClientProbe
                    && !self.breakers.fails_alone(call.client) =>
            {
                Sample::Overload { after: took }
            }
            CallOutcome::Refused | CallOutcome::NoAccess | CallOutcome::Failed { .. } => {
                Sample::Unknown
            }
        };
        self.leave(call, sample);
        if outcome.is_answer() {
            self.extra.answered(now, took, self.running, self.limit.next_number());
        }
        let role = self.role(call);
        if role == CallRole::WorkerProbe {
            self.last_probed = Some(call.client);
        }
        // Fast start ends in a burst of refusals, faster than any answer. The limit handles that.
        let busy = matches!(outcome, CallOutcome::Failed { busy: true, .. })
            && self.running > self.limit.stragglers()
            && role == CallRole::Regular;
        let changes =
            self.breakers.call_ended((call.client, role, call.number), took, outcome, busy, now);
        if let Some(number) = changes.own_since {
            self.limit.forget_since(number);
        }
        if changes.resumed {
            self.limit.resume();
            self.extra = ExtraCalls::new(now);
        }
        if changes.stalled {
            self.send_away(call.client, now);
        }
    }

    fn leave(&mut self, call: &PermittedCall, sample: Sample) {
        self.running -= 1;
        self.lanes.lane(call.lane).ended(call.client);
        self.limit.ended(call.number, sample);
        self.extra.ended(call.number);
    }

    /// The role in which a call ends. A probe of an earlier pause is a regular call by now.
    fn role(&self, call: &PermittedCall) -> CallRole {
        match call.role {
            CallRole::WorkerProbe if self.latest_probe != Some(call.number) => CallRole::Regular,
            role => role,
        }
    }

    /// Sends most jobs of a paused client elsewhere, so that they take no room from others.
    fn send_away(&mut self, client: ClientKey, now: Instant) {
        let Some((room, wait)) = self.stalled(client, now) else { return };
        for lane in Lane::ALL {
            for job in self.lanes.lane(lane).take_beyond(client, room) {
                // A job that does not receive this has left.
                if job.send(Admission::WaitElsewhere(wait)).is_ok() {
                    self.breakers.parked();
                }
            }
        }
    }
}
