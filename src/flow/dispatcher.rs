//! The dispatcher, which decides when a call may start, and for which lane and client.
//!
//! It takes everything that a call needs at once: no pause, room under the limit, a start of the rate. The job gets
//! one [`Permit`]. A semaphore would suffice for the limit alone, but its queue knows neither lanes nor clients. Jobs
//! that hold one resource while they wait for another would waste it.

mod publish;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Notify, oneshot, watch},
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;
use tracing::info;

use publish::PauseListener;

use super::{
    call_outcome::CallOutcome,
    circuit::{ClientPause, Phase},
    fleet::Fleet,
    limit_state::LimitState,
    permit::{Admission, Permit, PermittedCall},
    settings::Settings,
    state::DispatcherState,
    status::Status,
};
use crate::{
    domain::{ClientKey, Lane, Symptom},
    metrics::Metrics,
    ports::Consumers,
};

/// Decides which call may start now.
#[derive(Debug)]
pub struct Dispatcher {
    state: Mutex<DispatcherState>,
    answers: AtomicU64,
    status: watch::Sender<Status>,
    /// Wakes waiting jobs in their order, which the watch does not: jobs that leave in a pause are requeued
    /// in the order of their deliveries.
    changed: Notify,
    /// The time of the next dispatch has changed.
    rescheduled: Notify,
    metrics: Arc<Metrics>,
    shares_rate: bool,
    /// The last logged share of the fleet's rate, as the bits of a float.
    share: AtomicU64,
    listener: OnceLock<PauseListener>,
}

impl Dispatcher {
    /// A dispatcher with these limits. [`Dispatcher::run`] has to run beside it.
    #[must_use]
    pub fn new(settings: &Settings, metrics: Arc<Metrics>) -> Self {
        let state = DispatcherState::new(settings, Instant::now());
        metrics.concurrency_limit(state.limit.current());
        Self {
            shares_rate: state.fleet.is_some(),
            share: AtomicU64::new(0.0_f64.to_bits()),
            state: Mutex::new(state),
            answers: AtomicU64::new(0),
            status: watch::Sender::new(Status::default()),
            changed: Notify::new(),
            rescheduled: Notify::new(),
            metrics,
            listener: OnceLock::new(),
        }
    }

    /// Starts calls that become due: a probe, or the next call that the rate allows. Ends with `shutdown`.
    pub async fn run(self: Arc<Self>, shutdown: CancellationToken) {
        loop {
            let wake_at = self.state().wake_at;
            let due = async {
                match wake_at {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            // Biased, so that the same calls at the same times give the same starts.
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                () = due => self.dispatch(&mut self.state()),
                () = self.rescheduled.notified() => {}
            }
        }
    }

    /// Waits until a call of `client` in `lane` may start, or until the job should wait elsewhere because its client is
    /// paused. Dropping the future leaves the queue.
    pub async fn start(self: &Arc<Self>, lane: Lane, client: ClientKey) -> Admission {
        let admitted = {
            let mut state = self.state();
            let now = Instant::now();
            if state.has_room(now)
                && state.next(now).is_none()
                && let Some(permit) = self.begin(&mut state, lane, client, now)
            {
                if permit.is_probe() {
                    self.publish(&mut state, now);
                }
                return Admission::Granted(permit);
            }
            if let Some(wait) = state.has_no_room(lane, client, now) {
                self.publish(&mut state, now);
                return Admission::WaitElsewhere(wait);
            }
            let (admit, admitted) = oneshot::channel();
            state.lanes.lane(lane).join(client, admit);
            // The source may have delivered this job as a probe.
            self.publish(&mut state, now);
            admitted
        };
        match admitted.await {
            Ok(admission) => admission,
            // The sender is dropped only with the dispatcher, which this borrow keeps alive.
            Err(_) => std::future::pending().await,
        }
    }

    /// Sets the listener that is called for each client that is paused (with its pause) or resumes (`None`). Only the
    /// first one is kept. It runs under the lock, so it must neither wait nor call the dispatcher.
    pub fn tell_of_clients(
        &self,
        listener: impl Fn(ClientKey, Option<&ClientPause>) + Send + Sync + 'static,
    ) {
        let _ = self.listener.set(PauseListener(Box::new(listener)));
    }

    /// Lets a client's calls start although nothing was revoked for it, until its secret is replaced.
    pub fn lift_guard(self: &Arc<Self>, client: ClientKey) {
        let mut state = self.state();
        state.breakers.lift_guard(client);
        self.dispatch(&mut state);
    }

    /// Sets how many clients have a secret.
    pub fn know(self: &Arc<Self>, clients: usize) {
        self.know_anew(clients, &[], &[]);
    }

    /// Sets how many clients have a secret. Clients in `renewed` have a new secret,
    /// clients in `withdrawn` have none any more.
    pub fn know_anew(
        self: &Arc<Self>,
        clients: usize,
        renewed: &[ClientKey],
        withdrawn: &[ClientKey],
    ) {
        let mut state = self.state();
        state.breakers.know(clients);
        for client in renewed {
            state.breakers.renew(*client);
        }
        for client in withdrawn {
            state.breakers.forget(*client);
        }
        self.dispatch(&mut state);
    }

    /// The paused clients.
    #[must_use]
    pub fn pauses(&self) -> Vec<ClientPause> {
        self.state().breakers.pauses().collect()
    }

    /// How long calls of a client were paused within the `last` time, by its own pauses and the worker's. Time in which
    /// starts were held counts as well, and so does the time before this dispatcher.
    #[must_use]
    pub fn paused_within(&self, client: ClientKey, last: Duration) -> Duration {
        self.state().pauses.within(client, last, Instant::now())
    }

    /// How many calls may be in flight now, without stragglers.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.state().limit.current()
    }

    /// The limit, its ceiling and its reason.
    #[must_use]
    pub fn limit_state(&self) -> LimitState {
        self.state().limit_state()
    }

    /// Holds all starts, or releases them. Running calls continue.
    pub fn hold(self: &Arc<Self>, held: bool) {
        let mut state = self.state();
        state.held = held;
        self.dispatch(&mut state);
    }

    /// Whether all replicas share the rate. Then jobs must not wait here in a pause.
    #[must_use]
    pub const fn shares_rate(&self) -> bool {
        self.shares_rate
    }

    /// Waits until calls are paused or probed, or until waiting jobs keep this replica from a share of the rate.
    pub async fn not_running(&self) {
        loop {
            let changed = self.changed.notified();
            let status = *self.status.borrow();
            if status.phase != Phase::Running || status.stranded {
                return;
            }
            changed.await;
        }
    }

    /// The status of the flow.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// Whether the count of answers differs from `mark`.
    pub(super) fn answered_since(&self, mark: u64) -> bool {
        self.answers.load(Ordering::Relaxed) != mark
    }

    /// Grants permits to waiting jobs while calls may start.
    fn dispatch(self: &Arc<Self>, state: &mut DispatcherState) {
        let now = Instant::now();
        state.wake_at = None;
        while state.has_room(now)
            && let Some(turn) = state.next(now)
        {
            // Jobs that have left get no permit.
            state.lanes.lane(turn.lane).forget(turn.client, oneshot::Sender::is_closed);
            if state.lanes.lane(turn.lane).waiting(turn.client) == 0 {
                continue;
            }
            let Some(permit) = self.begin(state, turn.lane, turn.client, now) else { break };
            let Some(admit) = state.lanes.lane(turn.lane).take(turn.client) else { break };
            match admit.send(Admission::Granted(permit)) {
                Ok(()) => state.lanes.served(turn),
                // The job left just now. The permit must not return itself: the lock is held.
                Err(Admission::Granted(unused)) => state.unused(&unused.disarm()),
                Err(Admission::WaitElsewhere(_)) => {}
            }
        }
        self.publish(state, now);
    }

    /// Reserves all resources of a call, or none.
    fn begin(
        self: &Arc<Self>,
        state: &mut DispatcherState,
        lane: Lane,
        client: ClientKey,
        now: Instant,
    ) -> Option<Permit> {
        let call = state.begin(lane, client, now)?;
        let mark = self.answers.load(Ordering::Relaxed);
        Some(Permit::new(Arc::clone(self), call, mark))
    }

    /// Keeps the symptom of a failed call, which is about to end, for the text of a pause.
    pub(super) fn note(&self, call: &PermittedCall, outcome: &CallOutcome, symptom: Symptom) {
        self.state().breakers.note(call.client, outcome, symptom);
    }

    /// Ends a call; `None` if it was not made or its outcome is unknown.
    pub(super) fn end(self: &Arc<Self>, call: &PermittedCall, outcome: Option<CallOutcome>) {
        let mut state = self.state();
        match outcome {
            None => state.unused(call),
            Some(outcome) => {
                if outcome.is_answer() {
                    self.answers.fetch_add(1, Ordering::Relaxed);
                }
                let now = Instant::now();
                state.ended(call, &outcome, now);
                let limit = state.limit_state();
                state.limit_log.call_ended(limit, now);
            }
        }
        self.dispatch(&mut state);
    }

    /// Updates the share of the fleet's rate, then dispatches.
    fn fleet(self: &Arc<Self>, note: impl FnOnce(&mut Fleet)) {
        let mut state = self.state();
        let Some(fleet) = &mut state.fleet else { return };
        note(fleet);
        let (share, before) = (fleet.share(Instant::now()), self.share.load(Ordering::Relaxed));
        self.share.store(share.to_bits(), Ordering::Relaxed);
        if share.to_bits() != before {
            info!(share, "share of the fleet's rate changed");
        }
        self.dispatch(&mut state);
    }

    fn state(&self) -> MutexGuard<'_, DispatcherState> {
        // A poisoned lock is usable: counters and queues change in steps that do not panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Consumers for Arc<Dispatcher> {
    fn counted(&self, lane: Lane, asked: Instant, consumers: u32) {
        self.fleet(|fleet| fleet.counted(lane, asked, consumers));
    }

    fn absent(&self, lane: Lane) {
        self.fleet(|fleet| fleet.absent(lane));
    }
}

#[cfg(test)]
mod tests;
