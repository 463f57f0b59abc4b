//! One circuit breaker. Its phases are running, paused and probing, because "open" and "closed" mean
//! opposite things to different readers.

use std::time::Duration;

use tokio::time::Instant;

use crate::domain::{ClientKey, Symptom, named};

/// The phase, which determines the permitted calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// All calls, within the limits.
    Running,
    /// No call, until the next probe is due.
    Paused(Pause),
    /// One call: the probe runs or is due.
    Probing(Pause),
}

/// The current pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pause {
    /// When it began.
    pub since: Instant,
    /// Why calls are paused.
    pub cause: PauseCause,
    /// When the next probe may start.
    pub next_probe: Instant,
    /// The symptom of the last call that failed, where failures are the cause.
    pub symptom: Option<Symptom>,
}

impl Pause {
    /// Why calls are paused, as a sentence for a person.
    #[must_use]
    pub fn reason(&self) -> String {
        match (self.cause, self.symptom) {
            (PauseCause::Failures, Some(symptom)) => symptom.to_string(),
            (
                PauseCause::Refused | PauseCause::NoAccess,
                Some(Symptom { http_status: Some(status), .. }),
            ) => format!("{} (last HTTP status {status})", self.cause),
            (cause, _) => cause.to_string(),
        }
    }
}

/// The pause of one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientPause {
    /// The client.
    pub client: ClientKey,
    /// The pause.
    pub pause: Pause,
    /// When the first rejection since the last revocation came; `None` without one.
    pub rejected_since: Option<Instant>,
}

named! {
    /// Why calls are paused.
    pub enum PauseCause {
        /// `flow.pause.after_failures` calls in a row failed, with no answer between.
        Failures = "calls fail",
        /// `flow.pause.after_rejections` jobs in a row were rejected, with none revoked between.
        Rejections = "the endpoint rejects every job",
        /// The first `flow.guard.first_rejections` answers since the client's secret was read were rejections.
        NothingRevoked = "nothing was revoked since the client's secret was read",
        /// The endpoint refused the client several times in a row.
        Refused = "the endpoint refuses the client: its secret or its rights are wrong",
        /// The client got no access token several times in a row.
        NoAccess = "the client gets no access token: check endpoint.auth.token_url and its secret",
    }
}

/// A circuit breaker. Time is an argument.
#[derive(Debug)]
pub(super) struct CircuitBreaker {
    phase: Phase,
    interval: Duration,
    probe_runs: bool,
    /// The symptom of the last failed call.
    symptom: Option<Symptom>,
}

impl Default for CircuitBreaker {
    fn default() -> Self {
        Self { phase: Phase::Running, interval: Duration::ZERO, probe_runs: false, symptom: None }
    }
}

impl CircuitBreaker {
    /// The phase at `now`. A paused breaker whose probe is due is probing.
    pub(super) fn phase(&mut self, now: Instant) -> Phase {
        if let Phase::Paused(pause) = self.phase
            && pause.next_probe <= now
        {
            self.phase = Phase::Probing(pause);
        }
        self.phase
    }

    /// The current pause, if there is one.
    pub(super) const fn pause(&self) -> Option<Pause> {
        match self.phase {
            Phase::Running => None,
            Phase::Paused(pause) | Phase::Probing(pause) => Some(pause),
        }
    }

    /// Whether a probe is due and none runs.
    pub(super) fn may_probe(&mut self, now: Instant) -> bool {
        matches!(self.phase(now), Phase::Probing(_)) && !self.probe_runs
    }

    pub(super) const fn probe_started(&mut self) {
        self.probe_runs = true;
    }

    /// Notes that the probe was not called. The next one is due at once.
    pub(super) const fn probe_unused(&mut self) {
        self.probe_runs = false;
    }

    /// Starts a pause. The first probe is due after `interval`, and not before `not_before`.
    pub(super) fn start_pause(
        &mut self,
        cause: PauseCause,
        interval: Duration,
        not_before: Option<Instant>,
        now: Instant,
    ) {
        self.interval = interval;
        let next_probe = (now + interval).max(not_before.unwrap_or(now));
        self.phase = Phase::Paused(Pause { since: now, cause, next_probe, symptom: self.symptom });
        self.probe_runs = false;
    }

    /// Keeps the symptom of a failed call. The last one explains the pause.
    pub(super) const fn note(&mut self, symptom: Symptom) {
        self.symptom = Some(symptom);
        if let Phase::Paused(pause) | Phase::Probing(pause) = &mut self.phase {
            pause.symptom = Some(symptom);
        }
    }

    /// Notes that the probe failed. The next one is due after twice the interval, at most `longest`.
    pub(super) fn probe_failed(
        &mut self,
        longest: Duration,
        not_before: Option<Instant>,
        now: Instant,
    ) {
        self.probe_runs = false;
        if let Some(pause) = self.pause() {
            self.interval = (self.interval * 2).min(longest);
            let next_probe = (now + self.interval).max(not_before.unwrap_or(now));
            self.phase = Phase::Paused(Pause { next_probe, ..pause });
        }
    }

    /// Ends the pause and returns it; `None` if there was none.
    pub(super) fn resume(&mut self) -> Option<Pause> {
        let pause = self.pause();
        *self = Self::default();
        pause
    }
}
