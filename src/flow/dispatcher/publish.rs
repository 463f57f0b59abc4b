//! Publishes the dispatcher's state after each change.

use std::fmt;

use tokio::time::Instant;

use super::Dispatcher;
use crate::{
    domain::ClientKey,
    flow::{
        circuit::{ClientPause, Phase},
        state::DispatcherState,
        status::Status,
    },
    ports::Demand,
};

/// Is called for each client that is paused or resumes.
pub(super) struct PauseListener(pub(super) Box<OnPause>);

type OnPause = dyn Fn(ClientKey, Option<&ClientPause>) + Send + Sync;

impl fmt::Debug for PauseListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PauseListener")
    }
}

impl Dispatcher {
    /// Publishes the changed metrics, status and pauses.
    pub(super) fn publish(&self, state: &mut DispatcherState, now: Instant) {
        let phase = state.breakers.phase(now);
        if let Some(at) = state.breakers.next_probe(now) {
            state.wake(at);
        }
        if state.wake_at.is_some() {
            self.rescheduled.notify_one();
        }
        let limit = state.limit.current();
        if limit != std::mem::replace(&mut state.shown_limit, limit) {
            self.metrics.concurrency_limit(limit);
        }
        if phase == Phase::Running && state.is_calm() && state.published_calm {
            // The usual case: nothing has changed.
            return;
        }
        for (client, pause) in state.breakers.take_changes() {
            state.pauses.client(client, pause.is_some(), now);
            if let Some(PauseListener(tell)) = self.listener.get() {
                tell(client, pause.as_ref());
            }
        }
        state.pauses.worker(phase != Phase::Running || state.held, now);
        let paused = state.breakers.paused();
        self.metrics.paused(phase != Phase::Running);
        self.metrics.clients_paused(paused);
        let demand = match phase {
            // While starts are held, new jobs could only wait in flight.
            Phase::Running if state.held => Demand::None,
            // Jobs of a failing client are parked to reach others behind them, up to a bound.
            Phase::Running if paused == 0 || state.breakers.may_take_in() => Demand::All,
            // Jobs that wait for the probe leave after a while. The probe then needs another job.
            Phase::Running | Phase::Probing(_) if state.wants_probe(now) => Demand::One,
            Phase::Running | Phase::Paused(_) | Phase::Probing(_) => Demand::None,
        };
        let stranded = state.is_stranded(demand);
        let status = Status { phase, demand, clients_paused: paused, stranded };
        state.published_calm = status == Status::default();
        let changed = self.status.send_if_modified(|before| {
            let changed = *before != status;
            if changed {
                status.log_since(before);
                *before = status;
            }
            changed
        });
        if changed {
            self.changed.notify_waiters();
        }
    }
}
