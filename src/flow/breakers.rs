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
    client_pause::ClientPause,
    settings::PauseSettings,
};
use crate::domain::ClientKey;

/// While one client fails and nobody else is answered, the others have to be found behind its jobs. So many of its
/// jobs are parked for that between two probes. An outage of everything must not park a whole backlog.
const MOST_PARKED: usize = 2048;

/// So many calls of a client in a row have to fail before the failures can be its own.
const OWN_FAILURES: u32 = 4;

/// They are, if others were answered so many times as often as their calls failed meanwhile.
const OTHERS_ANSWERED: u64 = 4;

/// A client is stuck if none of its calls is answered for so many times as long as an answer usually takes, and for
/// [`LEAST_SILENCE`], while others get [`OTHERS_MEANWHILE`] answers.
const SILENCE: u32 = 4;
const LEAST_SILENCE: Duration = Duration::from_secs(2);
const OTHERS_MEANWHILE: u64 = 20;

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
    /// Calls that were answered, and that failed, of all clients.
    answers: u64,
    failures: u64,
    /// How long an answer takes, on average.
    latency: Duration,
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

/// What is known of one client.
#[derive(Debug, Default)]
struct Client {
    circuit: Circuit,
    /// Calls that failed since its last answer, and since when.
    failures: u32,
    failing_since: Option<Instant>,
    /// The first of them, by its number, and how many calls were answered and had failed before.
    first_failure: Failing,
    not_before: Option<Instant>,
    /// Rejections since its last success, and since when.
    rejections: u32,
    rejected_since: Option<Instant>,
    /// Whether anything was revoked for it since its secret was read, or the guard was lifted.
    proved: bool,
    /// Calls under way.
    running: u32,
    /// Since when it has calls under way of which none was answered, and how many answers there were before.
    silent_since: Option<(Instant, u64)>,
    /// How long its answers take, on average.
    latency: Duration,
}

/// Where the failures of a client began.
#[derive(Debug, Clone, Copy, Default)]
struct Failing {
    number: u64,
    answers: u64,
    failures: u64,
    /// Whether the failures were found to be the client's own.
    own: bool,
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
            answers: 0,
            failures: 0,
            latency: Duration::ZERO,
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
        (client.proved, client.rejections, client.rejected_since) = (false, 0, None);
        if client.circuit.pause().is_some_and(|pause| pause.cause != Cause::Failures) {
            self.resume(key);
        }
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
        let client = self.at(key).filter(|client| client.running >= OWN_FAILURES)?;
        let (since, answers) = client.silent_since?;
        if self.answers - answers < OTHERS_MEANWHILE {
            return None;
        }
        let usual = self.latency.max(client.latency).saturating_mul(SILENCE).max(LEAST_SILENCE);
        let silent = now.saturating_duration_since(since) > usual;
        silent.then_some(since)
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
        if self.stuck_since(key, now).is_some() {
            return None;
        }
        let guard = self.settings.first_rejections;
        let client = self.client(key);
        match client.circuit.phase(now) {
            // Each call under way could end as one more rejection.
            Phase::Running if guard > 0 && !client.proved => {
                (client.rejections + client.running < guard).then_some(Start::Free)
            }
            Phase::Running => Some(Start::Free),
            Phase::Paused(_) => None,
            Phase::Probing(_) => client.circuit.may_probe(now).then_some(Start::ClientProbe),
        }
    }

    /// A call starts.
    pub fn started(&mut self, key: ClientKey, start: Start, now: Instant) {
        let answers = self.answers;
        let client = self.client(key);
        if client.running == 0 {
            client.silent_since = None;
        }
        client.running += 1;
        client.silent_since.get_or_insert((now, answers));
        match start {
            Start::Free => {}
            Start::ClientProbe => client.circuit.probe_started(),
            Start::WorkerProbe => self.worker.probe_started(),
        }
    }

    /// A call ended without having been made.
    pub fn unused(&mut self, key: ClientKey, start: Start) {
        let client = self.client(key);
        client.running = client.running.saturating_sub(1);
        match start {
            Start::Free => {}
            Start::ClientProbe => client.circuit.probe_unused(),
            Start::WorkerProbe => self.worker.probe_unused(),
        }
    }

    /// Whether the failures of this client were found to be its own: others are answered meanwhile.
    #[must_use]
    pub fn fails_alone(&self, key: ClientKey) -> bool {
        self.at(key).is_some_and(|client| client.first_failure.own)
    }

    /// Notes a failed call with that number; says from which on the failures are found to be the client's own.
    fn note_failing(&mut self, key: ClientKey, number: u64) -> Option<u64> {
        self.failures += 1;
        let (answers, failures) = (self.answers, self.failures);
        let client = self.client(key);
        if client.failures == 1 {
            client.first_failure = Failing { number, answers, failures: failures - 1, own: false };
        }
        let before = client.first_failure;
        let answered = answers - before.answers;
        let failed = (failures - before.failures).saturating_sub(client.failures.into());
        let own = client.failures >= OWN_FAILURES && answered >= OTHERS_ANSWERED * failed.max(1);
        let found = own && !before.own;
        client.first_failure.own |= own;
        found.then_some(before.number)
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
        self.client(key).running = self.client(key).running.saturating_sub(1);
        if outcome.is_answer() {
            self.heard(key, took);
        }
        match outcome {
            CallOutcome::Revoked => self.answered(key, true, start, now),
            CallOutcome::Rejected => self.answered(key, false, start, now),
            // It says nothing of others, not even on a probe.
            CallOutcome::Failed { own_trouble: true, .. } => self.probe_failed(key, start, now),
            CallOutcome::Failed { retry_after, .. } => {
                let not_before = retry_after.map(|wish| now + wish);
                let client = self.client(key);
                client.failures = client.failures.saturating_add(1);
                client.failing_since.get_or_insert(now);
                client.not_before = client.not_before.max(not_before);
                let own_since = self.note_failing(key, number);
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

    /// Notes how long an answer took.
    fn heard(&mut self, key: ClientKey, took: Duration) {
        let alone = self.known <= 1;
        let client = self.client(key);
        client.silent_since = None;
        // Nobody is there to compare with.
        if !alone {
            average(&mut client.latency, took);
            average(&mut self.latency, took);
        }
    }

    /// An answer ends every pause for failures that it speaks against. Only a success ends one for rejections.
    fn answered(&mut self, key: ClientKey, revoked: bool, start: Start, now: Instant) -> Changes {
        self.row = Row::default();
        self.answers += 1;
        let resumed = self.worker.resume().is_some();
        let settings = self.settings;
        let client = self.client(key);
        (client.failures, client.failing_since, client.not_before) = (0, None, None);
        client.first_failure.own = false;
        if revoked {
            (client.rejections, client.rejected_since, client.proved) = (0, None, true);
            self.resume(key);
            return Changes { resumed, ..Changes::default() };
        }
        client.rejections = client.rejections.saturating_add(1);
        client.rejected_since.get_or_insert(now);
        let unproved = settings.first_rejections > 0
            && !client.proved
            && client.rejections >= settings.first_rejections;
        let many = settings.after_rejections.is_some_and(|limit| client.rejections >= limit);
        let stalled = match client.circuit.pause().map(|pause| pause.cause) {
            None if unproved => self.open(key, Cause::NothingRevoked, now),
            None if many => self.open(key, Cause::Rejections, now),
            None => false,
            Some(Cause::Failures) => {
                self.resume(key);
                false
            }
            Some(_) => {
                start != Start::Free && self.probe_failed(key, Start::ClientProbe, now).stalled
            }
        };
        Changes { resumed, stalled, own_since: None }
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

/// Moves an average by an eighth of the difference.
fn average(mean: &mut Duration, took: Duration) {
    let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    let (old, new) = (nanos(*mean), nanos(took));
    *mean = if old == 0 { took } else { Duration::from_nanos(old - old / 8 + new / 8) };
}

impl Client {
    fn told(&self, client: ClientKey) -> Option<ClientPause> {
        let pause = self.circuit.pause()?;
        Some(ClientPause { client, pause, rejected_since: self.rejected_since })
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
