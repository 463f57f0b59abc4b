//! The status of the flow for the log, for `/readyz`, and for the source of jobs.

use tokio::time::Instant;
use tracing::{info, warn};

use super::{circuit::Phase, dispatcher::Dispatcher};
use crate::ports::{Condition, Demand, SystemClock};

/// The status of the flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// Whether calls are made.
    pub phase: Phase,
    /// How many jobs the source should deliver.
    pub demand: Demand,
    /// How many clients are paused.
    pub clients_paused: usize,
    /// Whether jobs that wait for a call should leave, because they keep this replica from a share of the rate.
    pub stranded: bool,
}

impl Default for Status {
    fn default() -> Self {
        Self { phase: Phase::Running, demand: Demand::All, clients_paused: 0, stranded: false }
    }
}

impl Status {
    /// Logs one line for each change of the phase.
    pub(super) fn log_since(&self, before: &Self) {
        match (before.phase, self.phase) {
            (Phase::Running, Phase::Paused(pause) | Phase::Probing(pause)) => {
                warn!(reason = pause.reason(), "paused");
            }
            (Phase::Paused(_), Phase::Probing(_)) => info!("probing"),
            (Phase::Probing(_), Phase::Paused(pause)) => {
                let next = pause.next_probe.saturating_duration_since(Instant::now());
                info!(next_probe_in = ?next, reason = pause.reason(), "paused again: the probe failed");
            }
            (Phase::Paused(pause) | Phase::Probing(pause), Phase::Running) => {
                info!(paused_for = ?pause.since.elapsed(), "running again");
            }
            _ => {}
        }
    }
}

impl Dispatcher {
    /// The flow's condition for `/readyz` and the status page. A paused flow counts as waiting, which is healthy.
    #[must_use]
    pub fn condition(&self) -> Condition {
        let phase = self.status().borrow().phase;
        let (state, pause) = match phase {
            Phase::Running => return Condition::Ready,
            Phase::Paused(pause) => ("paused", pause),
            Phase::Probing(pause) => ("probing", pause),
        };
        Condition::Waiting {
            reason: format!("{state}: {}", pause.reason()),
            since: SystemClock.at(pause.since),
            // A probe that is due waits for a job.
            until: Some(SystemClock.at(pause.next_probe.max(Instant::now()))),
        }
    }
}
