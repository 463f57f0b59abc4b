//! Weather: when nothing should be called but a probe now and then.
//!
//! *Running*, *paused*, *probing*: a circuit breaker by other names, because "open" and "closed" mean
//! opposite things to different readers. It knows calls only by what they showed; time comes in as an
//! argument.

use std::time::Duration;

use tokio::time::Instant;

use super::{evidence::Evidence, settings::PauseSettings};

/// What may be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Everything, within the limits.
    Running,
    /// Nothing, until the next probe.
    Paused(Pause),
    /// One call, whose end is waited for or that still has to begin.
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
    /// So many calls failed in a row that it is weather.
    Failures,
    /// So many jobs were rejected in a row that it is a wrong secret or environment.
    Rejections,
}

/// Decides between the phases.
#[derive(Debug)]
pub struct Weather {
    settings: PauseSettings,
    phase: Phase,
    failures: u32,
    rejections: u32,
    interval: Duration,
    /// The server's wish, from the failures in the row: the first probe respects it.
    not_before: Option<Instant>,
    probe_runs: bool,
}

impl Weather {
    /// Fair weather.
    #[must_use]
    pub const fn new(settings: PauseSettings) -> Self {
        Self {
            settings,
            phase: Phase::Running,
            failures: 0,
            rejections: 0,
            interval: Duration::ZERO,
            not_before: None,
            probe_runs: false,
        }
    }

    /// The phase at `now`: a pause whose time has come is a probe.
    pub fn phase(&mut self, now: Instant) -> Phase {
        if let Phase::Paused(pause) = self.phase
            && pause.next_probe <= now
        {
            self.phase = Phase::Probing(pause);
        }
        self.phase
    }

    /// Whether a call may start now; while probing only the one probe.
    pub fn may_start(&mut self, now: Instant) -> bool {
        match self.phase(now) {
            Phase::Running => true,
            Phase::Paused(_) => false,
            Phase::Probing(_) => !self.probe_runs,
        }
    }

    /// A call starts; says whether it is the probe.
    pub const fn started(&mut self) -> bool {
        self.probe_runs = matches!(self.phase, Phase::Probing(_));
        self.probe_runs
    }

    /// A probe ended without having been called: the next one takes its turn at once.
    pub const fn probe_unused(&mut self) {
        self.probe_runs = false;
    }

    /// A call showed something. `true` if that ended a pause.
    pub fn saw(&mut self, evidence: &Evidence, probe: bool, now: Instant) -> bool {
        if probe {
            self.probe_runs = false;
        }
        match evidence {
            Evidence::Revoked => {
                (self.failures, self.rejections, self.not_before) = (0, 0, None);
                self.resume()
            }
            Evidence::Rejected => {
                (self.failures, self.not_before) = (0, None);
                self.rejections = self.rejections.saturating_add(1);
                self.rejected(probe, now)
            }
            Evidence::Failed { own_trouble: true, .. } => {
                // The job's own trouble says nothing of the weather, not even on a probe.
                if probe {
                    self.retry_probe(now);
                }
                false
            }
            Evidence::Failed { retry_after, .. } => {
                self.failures = self.failures.saturating_add(1);
                self.not_before = self.not_before.max(retry_after.map(|wish| now + wish));
                if probe {
                    self.retry_probe(now);
                } else if self.failures >= self.settings.after_failures {
                    self.pause(Cause::Failures, now);
                }
                false
            }
        }
    }

    /// A rejection is an answer: it ends a pause for failures. It never ends one for rejections.
    fn rejected(&mut self, probe: bool, now: Instant) -> bool {
        match self.phase {
            Phase::Running => {
                if self.settings.after_rejections.is_some_and(|limit| self.rejections >= limit) {
                    self.pause(Cause::Rejections, now);
                }
                false
            }
            Phase::Paused(pause) | Phase::Probing(pause) => match pause.cause {
                Cause::Failures => self.resume(),
                Cause::Rejections => {
                    if probe {
                        self.retry_probe(now);
                    }
                    false
                }
            },
        }
    }

    fn pause(&mut self, cause: Cause, now: Instant) {
        if self.phase != Phase::Running {
            return;
        }
        self.interval = self.settings.probe_initial;
        let next_probe = (now + self.interval).max(self.not_before.unwrap_or(now));
        self.phase = Phase::Paused(Pause { since: now, cause, next_probe });
    }

    fn retry_probe(&mut self, now: Instant) {
        if let Phase::Paused(pause) | Phase::Probing(pause) = self.phase {
            self.interval = (self.interval * 2).min(self.settings.probe_max);
            let next_probe = (now + self.interval).max(self.not_before.unwrap_or(now));
            self.phase = Phase::Paused(Pause { next_probe, ..pause });
        }
    }

    fn resume(&mut self) -> bool {
        let paused = self.phase != Phase::Running;
        self.phase = Phase::Running;
        self.probe_runs = false;
        paused
    }
}

#[cfg(test)]
mod tests;
