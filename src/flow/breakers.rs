//! Which calls are paused: those of one client, or all.
//!
//! The client is the unit of failure. A client whose calls fail while others are answered is paused and probed
//! alone. The worker pauses as a whole where failures span the clients that were tried, or where there is only
//! one. Calls are known only by their client and by what they showed; time comes in as an argument.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    call_outcome::CallOutcome,
    circuit::{Cause, Circuit, Pause, Phase},
    client::{Client, Totals},
    client_pause::ClientPause,
    settings::PauseSettings,
};
use crate::domain::ClientKey;

/// While one client fails and nobody else is answered, the others have to be found behind its jobs. So many of its
/// jobs are parked for that between two probes. An outage of everything must not park a whole backlog.
const MOST_PARKED: usize = 2048;

/// The circuit breakers of the worker and of its clients.
#[derive(Debug)]
pub struct Breakers {
    settings: PauseSettings,
    worker: Circuit,
    /// By their key.
    clients: Vec<Client>,
    /// Clients with a secret.
    known: usize,
    /// Clients that are paused.
    paused: usize,
    row: Row,
    totals: Totals,
    /// How many jobs of a paused client may still be parked, while nobody else is answered.
    may_park: usize,
    /// Clients that were paused, each with its pause, or resumed, since this was asked the last time.
    news: Vec<(ClientKey, Option<ClientPause>)>,
}

/// Calls that failed since the last answer to anybody.
#[derive(Debug, Default)]
struct Row {
    failures: u32,
    first: Option<ClientKey>,
    /// Of more than one client.
    several: bool,
    /// When the server wishes to be called again: the first probe respects it.
    not_before: Option<Instant>,
}

/// As what a call starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// As one of many.
    Free,
    /// As the probe of its client.
    ClientProbe,
    /// As the probe of the worker.
    WorkerProbe,
}

/// What the end of a call changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Changes {
    /// The worker resumed.
    pub resumed: bool,
    /// Its client was paused, or its probe failed: most of its waiting jobs should leave.
    pub stalled: bool,
    /// The failures of its client are found to be its own, from the call with this number on.
    pub own_since: Option<u64>,
}

impl Breakers {
    /// Everything runs; one client is known.
    #[must_use]
    pub fn new(settings: PauseSettings) -> Self {
        Self {
            settings,
            worker: Circuit::default(),
            clients: Vec::new(),
            known: 1,
            paused: 0,
            row: Row::default(),
            totals: Totals::default(),
            may_park: 0,
            news: Vec::new(),
        }
    }

    /// So many clients have a secret.
    pub const fn know(&mut self, clients: usize) {
        self.known = clients;
    }

    /// A client's secret is new: what its calls showed is forgotten, and its pause for rejections ends.
    pub fn renew(&mut self, key: ClientKey) {
        let client = self.client(key);
        client.renew();
        if client.circuit.pause().is_some_and(|pause| pause.cause != Cause::Failures) {
            self.resume(key);
        }
    }

    /// A client has no secret any more: no call of it can be made, and so its pause could never end.
    pub fn forget(&mut self, key: ClientKey) {
        self.resume(key);
        self.client(key).renew();
    }

    /// Rejections of a client for which nothing was revoked no longer pause it, until its secret is new.
    pub fn lift_guard(&mut self, key: ClientKey) {
        let client = self.client(key);
        client.proved = true;
        if client.circuit.pause().is_some_and(|pause| pause.cause == Cause::NothingRevoked) {
            self.resume(key);
        }
    }

    /// The phase of the worker as a whole. Where every client is paused it is that of the one whose probe is next.
    pub fn phase(&mut self, now: Instant) -> Phase {
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

    /// The clients that were paused, each with its pause, or resumed, since this was asked the last time.
    pub fn news(&mut self) -> Vec<(ClientKey, Option<ClientPause>)> {
        std::mem::take(&mut self.news)
    }

    /// How many clients are paused.
    #[must_use]
    pub const fn paused(&self) -> usize {
        self.paused
    }

    /// The clients that are paused.
    pub fn pauses(&self) -> impl Iterator<Item = ClientPause> {
        (0..).zip(&self.clients).filter_map(|(key, client)| client.told(ClientKey(key)))
    }

    /// The pause of this client, if it is paused while others are served.
    #[must_use]
    pub fn stalled(&self, key: ClientKey) -> Option<Pause> {
        let alone = self.worker.pause().is_none() && self.paused < self.known;
        self.at(key).filter(|_| alone).and_then(|client| client.circuit.pause())
    }

    /// Since when the calls of this client hang while others are answered, if they do. Such a client gets no more
    /// places: without a bound its calls would fill all of them before the first one has timed out.
    #[must_use]
    pub fn stuck_since(&self, key: ClientKey, now: Instant) -> Option<Instant> {
        self.at(key)?.stuck_since(&self.totals, now)
    }

    /// Whether a probe is due that any job, or any of some client, could be.
    pub fn may_probe(&mut self, now: Instant) -> bool {
        if self.worker.pause().is_some() {
            return self.worker.may_probe(now);
        }
        self.clients.iter_mut().any(|client| client.circuit.may_probe(now))
    }

    /// Whether no client is paused, and there is nothing to tell of one.
    #[must_use]
    pub const fn is_calm(&self) -> bool {
        self.paused == 0 && self.news.is_empty()
    }

    /// The pause of the worker as a whole.
    #[must_use]
    pub const fn pause(&self) -> Option<Pause> {
        self.worker.pause()
    }

    /// Whether more jobs may be taken in, though one client fails and nobody else has been answered since.
    #[must_use]
    pub const fn may_take_in(&self) -> bool {
        self.may_park > 0 || self.row.failures < self.settings.after_failures
    }

    /// A job of a paused client is parked.
    pub const fn parked(&mut self) {
        self.may_park = self.may_park.saturating_sub(1);
    }

    /// When the next probe is due, of the worker or of any client.
    #[must_use]
    pub fn next_probe(&self, now: Instant) -> Option<Instant> {
        let pauses = self.clients.iter().filter_map(|client| client.circuit.pause());
        let pause = self.worker.pause();
        pause
            .into_iter()
            .chain(pauses.filter(|_| pause.is_none()))
            .map(|pause| pause.next_probe)
            .filter(|at| *at > now)
            .min()
    }

    /// As what a call of this client may start now, if it may.
    pub fn may_start(&mut self, key: ClientKey, now: Instant) -> Option<Start> {
        match self.worker.phase(now) {
            Phase::Running => {}
            Phase::Paused(_) => return None,
            Phase::Probing(_) => return self.worker.may_probe(now).then_some(Start::WorkerProbe),
        }
        let (guard, totals) = (self.settings.first_rejections, self.totals);
        let client = self.client(key);
        match client.phase(now) {
            Phase::Running => {
                let waits = client.is_at_risk(guard) || client.stuck_since(&totals, now).is_some();
                (!waits).then_some(Start::Free)
            }
            Phase::Paused(_) => None,
            // Also while earlier calls hang: they may do so for long after it recovered.
            Phase::Probing(_) => client.circuit.may_probe(now).then_some(Start::ClientProbe),
        }
    }

    /// A call starts.
    pub fn started(&mut self, key: ClientKey, start: Start, now: Instant) {
        let totals = self.totals;
        let client = self.client(key);
        client.started(&totals, now);
        match start {
            Start::Free => {}
            Start::ClientProbe => client.circuit.probe_started(),
            Start::WorkerProbe => self.worker.probe_started(),
        }
    }

    /// A call ended without having been made.
    pub fn unused(&mut self, key: ClientKey, start: Start) {
        let client = self.client(key);
        client.ended();
        match start {
            Start::Free => {}
            Start::ClientProbe => client.circuit.probe_unused(),
            Start::WorkerProbe => self.worker.probe_unused(),
        }
    }

    /// Whether the failures of this client were found to be its own: others are answered meanwhile.
    #[must_use]
    pub fn fails_alone(&self, key: ClientKey) -> bool {
        self.at(key).is_some_and(Client::fails_alone)
    }

    /// A call ended. `busy` says that it was refused for want of room which other calls of ours fill: that proves
    /// nothing of the endpoint as a whole.
    pub fn saw(
        &mut self,
        (key, start, number): (ClientKey, Start, u64),
        took: Duration,
        outcome: &CallOutcome,
        busy: bool,
        now: Instant,
    ) -> Changes {
        self.client(key).ended();
        if outcome.is_answer() {
            self.totals.answered(took);
            self.client(key).answered(took);
        }
        match outcome {
            CallOutcome::Revoked => self.answered(key, true, start, now),
            CallOutcome::Rejected => self.answered(key, false, start, now),
            // It says nothing of others, not even on a probe.
            CallOutcome::Failed { own_trouble: true, .. } => self.probe_failed(key, start, now),
            CallOutcome::Failed { retry_after, .. } => {
                let not_before = retry_after.map(|wish| now + wish);
                self.totals.failures += 1;
                let totals = self.totals;
                let own_since = self.client(key).failed(number, &totals, not_before, now);
                if !busy {
                    self.row.note(key, not_before);
                }
                let changes = match start {
                    Start::Free => self.judge(key, busy, now),
                    Start::ClientProbe | Start::WorkerProbe => self.probe_failed(key, start, now),
                };
                Changes { own_since, ..changes }
            }
        }
    }

    /// An answer ends every pause for failures that it speaks against. Only a success ends one for rejections.
    fn answered(&mut self, key: ClientKey, revoked: bool, start: Start, now: Instant) -> Changes {
        self.row = Row::default();
        let resumed = self.worker.resume().is_some();
        if revoked {
            self.client(key).revoked();
            self.resume(key);
            return Changes { resumed, ..Changes::default() };
        }
        self.client(key).rejected(now);
        let cause = self.client(key).circuit.pause().map(|pause| pause.cause);
        let stalled = match cause {
            None | Some(Cause::Failures) => {
                // What it failed for is over. Its rejections may be too many by now.
                self.resume(key);
                self.too_many_rejections(key).is_some_and(|cause| self.open(key, cause, now))
            }
            Some(Cause::Rejections | Cause::NothingRevoked) => {
                start != Start::Free && self.probe_failed(key, Start::ClientProbe, now).stalled
            }
        };
        Changes { resumed, stalled, own_since: None }
    }

    /// Why a client that was rejected just now has to be paused, if it has.
    fn too_many_rejections(&self, key: ClientKey) -> Option<Cause> {
        let PauseSettings { first_rejections: first, after_rejections, .. } = self.settings;
        let Client { rejections, proved, .. } = self.at(key)?;
        if first > 0 && !proved && *rejections >= first {
            Some(Cause::NothingRevoked)
        } else if after_rejections.is_some_and(|most| *rejections >= most) {
            Some(Cause::Rejections)
        } else {
            None
        }
    }

    /// Whether a failure pauses, and whom.
    fn judge(&mut self, key: ClientKey, busy: bool, now: Instant) -> Changes {
        let settings = self.settings;
        let many = self.row.failures >= settings.after_failures;
        let client = self.client(key);
        if client.circuit.pause().is_some() {
            return Changes::default();
        }
        // A burst of refusals beyond a capacity is over after one call's time.
        let lasts = !busy
            || client.failing_since.is_some_and(|since| now - since >= settings.probe_initial);
        let fails = client.failures >= settings.after_failures && lasts;
        let nobody_else = self.paused + 1 >= self.known;
        if self.worker.pause().is_some() {
            return Changes::default();
        }
        if many && (self.row.several || nobody_else) || fails && nobody_else {
            self.worker.open(Cause::Failures, settings.probe_initial, self.row.not_before, now);
        } else if fails {
            let stalled = self.open(key, Cause::Failures, now);
            return Changes { stalled, ..Changes::default() };
        }
        Changes::default()
    }

    /// Pauses a client.
    fn open(&mut self, key: ClientKey, cause: Cause, now: Instant) -> bool {
        let first = self.settings.probe_initial;
        let client = self.client(key);
        client.circuit.open(cause, first, client.not_before, now);
        let told = client.told(key);
        self.paused += 1;
        self.may_park = MOST_PARKED;
        self.news.push((key, told));
        true
    }

    /// Ends the pause of a client, if there is one.
    fn resume(&mut self, key: ClientKey) {
        let paused = self.client(key).circuit.resume().is_some();
        if paused {
            self.paused -= 1;
            self.news.push((key, None));
        }
    }

    fn probe_failed(&mut self, key: ClientKey, start: Start, now: Instant) -> Changes {
        let longest = self.settings.probe_max;
        match start {
            Start::Free => Changes::default(),
            Start::WorkerProbe => {
                self.worker.probe_failed(longest, self.row.not_before, now);
                Changes::default()
            }
            Start::ClientProbe => {
                let client = self.client(key);
                client.circuit.probe_failed(longest, client.not_before, now);
                self.may_park = MOST_PARKED;
                Changes { stalled: true, ..Changes::default() }
            }
        }
    }

    fn at(&self, ClientKey(key): ClientKey) -> Option<&Client> {
        self.clients.get(key as usize)
    }

    fn client(&mut self, ClientKey(key): ClientKey) -> &mut Client {
        let index = key as usize;
        if index >= self.clients.len() {
            self.clients.resize_with(index + 1, Client::default);
        }
        &mut self.clients[index]
    }
}

impl Row {
    fn note(&mut self, key: ClientKey, not_before: Option<Instant>) {
        self.failures = self.failures.saturating_add(1);
        self.several |= *self.first.get_or_insert(key) != key;
        self.not_before = self.not_before.max(not_before);
    }
}

#[cfg(test)]
mod tests;
