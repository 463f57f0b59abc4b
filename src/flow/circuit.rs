//! One circuit breaker: running, paused, probing. "Open" and "closed" mean opposite things to different readers.

use std::time::Duration;

use tokio::time::Instant;

/// What may be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Every call, within the limits.
    Running,
    /// No call until the next probe is due.
    Paused(Pause),
    /// One call, the probe: it runs, or is due.
    Probing(Pause),
}

/// A pause under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pause {
    /// When it began.
    pub since: Instant,
    /// Why.
    pub cause: Cause,
    /// When the next probe may start.
    pub next_probe: Instant,
}

/// Why calls are paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// `flow.pause.after_failures` calls in a row failed, with no answer between.
    Failures,
    /// `flow.pause.after_rejections` jobs in a row were rejected, with none revoked between.
    Rejections,
    /// The first `flow.guard.first_rejections` answers since the client's secret was read were all rejections.
    NothingRevoked,
}

/// A circuit breaker. Time comes in as an argument.
#[derive(Debug)]
pub struct Circuit {
    phase: Phase,
    interval: Duration,
    probe_runs: bool,
}

impl Default for Circuit {
    fn default() -> Self {
        Self { phase: Phase::Running, interval: Duration::ZERO, probe_runs: false }
    }
}

impl Circuit {
    /// The phase at `now`: a pause whose probe is due is probing.
    pub fn phase(&mut self, now: Instant) -> Phase {
        if let Phase::Paused(pause) = self.phase
            && pause.next_probe <= now
        {
            self.phase = Phase::Probing(pause);
        }
        self.phase
    }

    /// The pause under way, if there is one.
    pub const fn pause(&self) -> Option<Pause> {
        match self.phase {
            Phase::Running => None,
            Phase::Paused(pause) | Phase::Probing(pause) => Some(pause),
        }
    }

    /// Whether a probe is due and none runs.
    pub fn may_probe(&mut self, now: Instant) -> bool {
        matches!(self.phase(now), Phase::Probing(_)) && !self.probe_runs
    }

    /// The probe starts.
    pub const fn probe_started(&mut self) {
        self.probe_runs = true;
    }

    /// The probe ended without having been called: the next one is due at once.
    pub const fn probe_unused(&mut self) {
        self.probe_runs = false;
    }

    /// Pauses. The first probe is due after `interval`, and not before `not_before`.
    pub fn open(
        &mut self,
        cause: Cause,
        interval: Duration,
        not_before: Option<Instant>,
        now: Instant,
    ) {
        self.interval = interval;
        let next_probe = (now + interval).max(not_before.unwrap_or(now));
        self.phase = Phase::Paused(Pause { since: now, cause, next_probe });
        self.probe_runs = false;
    }

    /// The probe failed: the next one is due after twice the interval, `longest` at most.
    pub fn probe_failed(&mut self, longest: Duration, not_before: Option<Instant>, now: Instant) {
        self.probe_runs = false;
        if let Some(pause) = self.pause() {
            self.interval = (self.interval * 2).min(longest);
            let next_probe = (now + self.interval).max(not_before.unwrap_or(now));
            self.phase = Phase::Paused(Pause { next_probe, ..pause });
        }
    }

    /// Ends a pause; `None` if there was none.
    pub fn resume(&mut self) -> Option<Pause> {
        let pause = self.pause();
        *self = Self::default();
        pause
    }
}
