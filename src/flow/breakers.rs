//! The circuit breakers, which pause the calls of one client or all calls.
//!
//! The client is the unit of failure. If the calls of one client fail while the endpoint answers others,
//! that client alone is paused and probed. If the failures span several clients, or there is only one, the
//! worker pauses as a whole. A pause ends when a probe, or an earlier call, is answered.
//!
//! This file answers questions about the pauses; `call_ended` decides when one begins and ends. The breakers see only
//! the client and the outcome of a call. Time is an argument.

mod call_ended;

use tokio::time::Instant;

use super::{
    call_outcome::CallOutcome,
    circuit::{CircuitBreaker, ClientPause, Pause, PauseCause, Phase},
    client::{CallTotals, ClientState},
    settings::PauseSettings,
};
use crate::domain::{ClientKey, Symptom};

/// How many jobs of paused clients may be parked between two probes, while no other client is answered.
/// Parking them makes other clients' jobs visible behind them. The bound keeps an outage of everything from
/// parking a whole backlog.
const MOST_PARKED: usize = 2048;

/// The circuit breakers of the worker and of its clients.
#[derive(Debug)]
pub(super) struct Breakers {
    settings: PauseSettings,
    worker: CircuitBreaker,
    /// Indexed by the client's key.
    clients: Vec<ClientState>,
    /// How many clients have a secret.
    known: usize,
    /// How many clients are paused.
    paused: usize,
    streak: FailureStreak,
    totals: CallTotals,
    /// How many jobs of paused clients may still be parked, while no other client is answered.
    may_park: usize,
    /// The clients that were paused (with the pause) or resumed (`None`) since the last call of
    /// `take_changes`.
    changes: Vec<(ClientKey, Option<ClientPause>)>,
}

/// The calls that failed since the last answer to any client.
#[derive(Debug, Default)]
struct FailureStreak {
    failures: u32,
    first: Option<ClientKey>,
    /// Whether they belong to more than one client.
    several: bool,
    /// The first probe is not before this, as the server asked for.
    not_before: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CallRole {
    /// A regular call.
    Regular,
    ClientProbe,
    WorkerProbe,
}

/// The changes at the end of a call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct BreakerChanges {
    /// The worker resumes.
    pub resumed: bool,
    /// The client is paused, or its probe failed: most of its waiting jobs should leave.
    pub stalled: bool,
    /// The client is found to fail while others are answered, since the call with this number.
    pub own_since: Option<u64>,
}

impl Breakers {
    /// Nothing is paused; one client is known.
    pub(super) fn new(settings: PauseSettings) -> Self {
        Self {
            settings,
            worker: CircuitBreaker::default(),
            clients: Vec::new(),
            known: 1,
            paused: 0,
            streak: FailureStreak::default(),
            totals: CallTotals::default(),
            may_park: 0,
            changes: Vec::new(),
        }
    }

    /// Sets how many clients have a secret.
    pub(super) const fn know(&mut self, clients: usize) {
        self.known = clients;
    }

    /// The client's secret was replaced: its rejections are forgotten, and a pause for them ends.
    pub(super) fn renew(&mut self, key: ClientKey) {
        let client = self.client(key);
        client.renew();
        if client.circuit.pause().is_some_and(|pause| pause.cause != PauseCause::Failures) {
            self.resume(key);
        }
    }

    /// The client's secret was removed. Its pause ends, because no probe could end it any more.
    pub(super) fn forget(&mut self, key: ClientKey) {
        self.resume(key);
        self.client(key).renew();
    }

    /// Lets the client make calls although nothing was revoked for it, until its secret is replaced.
    pub(super) fn lift_guard(&mut self, key: ClientKey) {
        let client = self.client(key);
        client.proved = true;
        if client.circuit.pause().is_some_and(|pause| pause.cause == PauseCause::NothingRevoked) {
            self.resume(key);
        }
    }

    /// The phase of the worker. If every client is paused, it is the phase of the client with the next probe.
    pub(super) fn phase(&mut self, now: Instant) -> Phase {
        let phase = self.worker.phase(now);
        if phase != Phase::Running || self.paused == 0 || self.paused < self.known {
            return phase;
        }
        let next = self
            .clients
            .iter_mut()
            .filter(|client| client.circuit.pause().is_some())
            .min_by_key(|client| client.circuit.pause().map(|pause| pause.next_probe));
        next.map_or(Phase::Running, |client| client.circuit.phase(now))
    }

    /// The clients that were paused (with the pause) or resumed (`None`) since the last call.
    pub(super) fn take_changes(&mut self) -> Vec<(ClientKey, Option<ClientPause>)> {
        std::mem::take(&mut self.changes)
    }

    /// How many clients are paused.
    pub(super) const fn paused(&self) -> usize {
        self.paused
    }

    /// The clients that are paused.
    pub(super) fn pauses(&self) -> impl Iterator<Item = ClientPause> {
        (0..).zip(&self.clients).filter_map(|(key, client)| client.pause_report(ClientKey(key)))
    }

    /// The pause of this client, if it is paused while others are served.
    pub(super) fn stalled(&self, key: ClientKey) -> Option<Pause> {
        let alone = self.worker.pause().is_none() && self.paused < self.known;
        self.at(key).filter(|_| alone).and_then(|client| client.circuit.pause())
    }

    /// Since when the calls of this client hang while others are answered; `None` if they do not. Such a client
    /// gets no more places. Otherwise its calls would take all places before the first one times out.
    pub(super) fn stuck_since(&self, key: ClientKey, now: Instant) -> Option<Instant> {
        self.at(key)?.stuck_since(&self.totals, now)
    }

    /// Keeps the symptom of a failed call for the pauses that it can explain. A failure of one job explains none.
    pub(super) fn note(&mut self, key: ClientKey, outcome: &CallOutcome, symptom: Symptom) {
        match outcome {
            CallOutcome::Failed { job_fault: false, .. } => {
                self.worker.note(symptom);
                self.client(key).circuit.note(symptom);
            }
            CallOutcome::Refused | CallOutcome::NoAccess => self.client(key).circuit.note(symptom),
            CallOutcome::Revoked
            | CallOutcome::Rejected
            | CallOutcome::RejectedAsExpected
            | CallOutcome::Failed { .. } => {}
        }
    }

    /// Whether a probe of the worker or of any client is due.
    pub(super) fn may_probe(&mut self, now: Instant) -> bool {
        if self.worker.pause().is_some() {
            return self.worker.may_probe(now);
        }
        self.clients.iter_mut().any(|client| client.circuit.may_probe(now))
    }

    /// Whether no client is paused, and no change is left to report.
    pub(super) const fn is_calm(&self) -> bool {
        self.paused == 0 && self.changes.is_empty()
    }

    /// The pause of the worker as a whole.
    pub(super) const fn pause(&self) -> Option<Pause> {
        self.worker.pause()
    }

    /// Whether more jobs may be taken in, although one client fails and no other was answered since.
    pub(super) const fn may_take_in(&self) -> bool {
        self.may_park > 0 || self.streak.failures < self.settings.after_failures
    }

    /// Notes that a job of a paused client is parked.
    pub(super) const fn parked(&mut self) {
        self.may_park = self.may_park.saturating_sub(1);
    }

    /// When the next probe is due, of the worker or of any client.
    pub(super) fn next_probe(&self, now: Instant) -> Option<Instant> {
        let pauses = self.clients.iter().filter_map(|client| client.circuit.pause());
        let pause = self.worker.pause();
        pause
            .into_iter()
            .chain(pauses.filter(|_| pause.is_none()))
            .map(|pause| pause.next_probe)
            .filter(|at| *at > now)
            .min()
    }

    /// The role in which a call of this client may start now; `None` if it may not.
    pub(super) fn may_start(&mut self, key: ClientKey, now: Instant) -> Option<CallRole> {
        match self.worker.phase(now) {
            Phase::Running => {}
            Phase::Paused(_) => return None,
            Phase::Probing(_) => {
                return self.worker.may_probe(now).then_some(CallRole::WorkerProbe);
            }
        }
        let (guard, totals) = (self.settings.first_rejections, self.totals);
        let client = self.client(key);
        match client.circuit.phase(now) {
            Phase::Running => {
                let waits = client.is_at_risk(guard) || client.stuck_since(&totals, now).is_some();
                (!waits).then_some(CallRole::Regular)
            }
            Phase::Paused(_) => None,
            // Earlier calls may still hang, and may do so for long after the client has recovered.
            Phase::Probing(_) => client.circuit.may_probe(now).then_some(CallRole::ClientProbe),
        }
    }

    pub(super) fn started(&mut self, key: ClientKey, role: CallRole, now: Instant) {
        let totals = self.totals;
        let client = self.client(key);
        client.started(&totals, now);
        match role {
            CallRole::Regular => {}
            CallRole::ClientProbe => client.circuit.probe_started(),
            CallRole::WorkerProbe => self.worker.probe_started(),
        }
    }

    /// Notes that a permitted call was not made.
    pub(super) fn unused(&mut self, key: ClientKey, role: CallRole) {
        let client = self.client(key);
        client.ended();
        match role {
            CallRole::Regular => {}
            CallRole::ClientProbe => client.circuit.probe_unused(),
            CallRole::WorkerProbe => self.worker.probe_unused(),
        }
    }

    /// Whether this client was found to fail while others are answered.
    pub(super) fn fails_alone(&self, key: ClientKey) -> bool {
        self.at(key).is_some_and(ClientState::fails_alone)
    }

    fn at(&self, ClientKey(key): ClientKey) -> Option<&ClientState> {
        self.clients.get(key as usize)
    }

    fn client(&mut self, ClientKey(key): ClientKey) -> &mut ClientState {
        let index = key as usize;
        if index >= self.clients.len() {
            self.clients.resize_with(index + 1, ClientState::default);
        }
        &mut self.clients[index]
    }
}

#[cfg(test)]
mod tests;
