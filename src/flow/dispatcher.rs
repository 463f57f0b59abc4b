//! The dispatcher: between what has arrived and what may be called.
//!
//! It decides whether a call may start now, for which lane and client, and takes everything that the call needs at
//! once: it is not paused, there is room under the limit, the rate allows it. What it hands out is one [`Permit`].
//! A semaphore would do for the limit alone, but its queue knows neither lanes nor clients, and whoever holds one
//! thing while waiting for another wastes it.

use std::{
    fmt,
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

use super::{
    call_outcome::CallOutcome,
    circuit::Phase,
    client_pause::ClientPause,
    fleet::Fleet,
    limit_state::LimitState,
    permit::{Admission, Call, Permit},
    settings::Settings,
    state::State,
    status::Status,
};
use crate::{
    domain::{ClientKey, Lane},
    metrics::Metrics,
    ports::{Consumers, Demand},
};

/// Who is told of clients that are paused or resume.
struct Listener(Box<Tell>);

type Tell = dyn Fn(ClientKey, Option<&ClientPause>) + Send + Sync;

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listener")
    }
}

/// Decides which call may start now.
#[derive(Debug)]
pub struct Dispatcher {
    state: Mutex<State>,
    answers: AtomicU64,
    status: watch::Sender<Status>,
    /// Beside the watch, which wakes those who wait in any order: jobs that leave in a pause go back
    /// in the order in which they came.
    changed: Notify,
    /// The time of the next change by itself is another one.
    rescheduled: Notify,
    metrics: Arc<Metrics>,
    shares_rate: bool,
    /// The share of the fleet's rate that the log was told of, as bits.
    share: AtomicU64,
    listener: OnceLock<Listener>,
}

impl Dispatcher {
    /// A dispatcher with these limits. It needs [`Dispatcher::run`] beside it.
    #[must_use]
    pub fn new(settings: &Settings, metrics: Arc<Metrics>) -> Self {
        let state = State::new(settings, Instant::now());
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

    /// Lets starts happen whose time has come: a probe's, or the rate's next. Ends with `shutdown`.
    pub async fn run(self: Arc<Self>, shutdown: CancellationToken) {
        loop {
            let wake_at = self.state().wake_at;
            let due = async {
                match wake_at {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            // In a fixed order: the same calls at the same times give the same starts.
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                () = due => self.dispatch(&mut self.state()),
                () = self.rescheduled.notified() => {}
            }
        }
    }

    /// Waits until a call of `client` in `lane` may start, or until its client is paused for long enough that the job
    /// should wait elsewhere. Dropping the future leaves the queue.
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
                return Admission::Stalled(wait);
            }
            let (admit, admitted) = oneshot::channel();
            state.lanes.lane(lane).join(client, admit);
            // A probe that was to be taken fresh has come.
            self.publish(&mut state, now);
            admitted
        };
        match admitted.await {
            Ok(admission) => admission,
            // A grant is dropped only with the dispatcher, which this borrow keeps alive.
            Err(_) => std::future::pending().await,
        }
    }

    /// Has each client told that is paused, with its pause, or that resumes. The first listener stays. It is called
    /// under the lock, so it must neither wait nor call the dispatcher.
    pub fn tell_of_clients(
        &self,
        listener: impl Fn(ClientKey, Option<&ClientPause>) + Send + Sync + 'static,
    ) {
        let _ = self.listener.set(Listener(Box::new(listener)));
    }

    /// Lets a client's calls start though nothing was revoked for it, until its secret is new.
    pub fn lift_guard(self: &Arc<Self>, client: ClientKey) {
        let mut state = self.state();
        state.breakers.lift_guard(client);
        self.dispatch(&mut state);
    }

    /// So many clients have a secret.
    pub fn know(self: &Arc<Self>, clients: usize) {
        self.know_anew(clients, &[], &[]);
    }

    /// So many clients have a secret; those of `renewed` have a new one, those of `withdrawn` none any more.
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

    /// The clients that are paused, and why.
    #[must_use]
    pub fn pauses(&self) -> Vec<ClientPause> {
        self.state().breakers.pauses().collect()
    }

    /// How long calls of a client were paused within the `last` time, by its pauses and the worker's, with those
    /// under way. Time in which starts were held counts as well, and so does the time before the dispatcher was made.
    #[must_use]
    pub fn paused_within(&self, client: ClientKey, last: Duration) -> Duration {
        self.state().pauses.within(client, last, Instant::now())
    }

    /// How many calls may run at a time now, but for those that hang while others are answered.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.state().limit.current()
    }

    /// The limit, its ceiling, and why it is what it is.
    #[must_use]
    pub fn limit_state(&self) -> LimitState {
        self.state().limit_state()
    }

    /// Holds all starts, or lets them go on. Calls that run are left alone.
    pub fn hold(self: &Arc<Self>, held: bool) {
        let mut state = self.state();
        state.held = held;
        self.dispatch(&mut state);
    }

    /// Whether the rate is that of all replicas: then jobs must not wait here while calls are not made freely.
    #[must_use]
    pub const fn shares_rate(&self) -> bool {
        self.shares_rate
    }

    /// Waits until calls are not made freely, but paused or probed for, or jobs keep this replica from its share of
    /// the rate.
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

    /// What the flow does, and what it wants of the source.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// Whether the endpoint answered more often than `mark` says.
    pub(super) fn answered_since(&self, mark: u64) -> bool {
        self.answers.load(Ordering::Relaxed) != mark
    }

    /// Hands permits to those who wait, for as long as calls may start.
    fn dispatch(self: &Arc<Self>, state: &mut State) {
        let now = Instant::now();
        state.wake_at = None;
        while state.has_room(now)
            && let Some(turn) = state.next(now)
        {
            // Nothing is taken for those who have left.
            state.lanes.lane(turn.lane).forget(turn.client, oneshot::Sender::is_closed);
            if state.lanes.lane(turn.lane).waiting(turn.client) == 0 {
                continue;
            }
            let Some(permit) = self.begin(state, turn.lane, turn.client, now) else { break };
            let Some(admit) = state.lanes.lane(turn.lane).take(turn.client) else { break };
            match admit.send(Admission::Granted(permit)) {
                Ok(()) => state.lanes.served(turn),
                // Whoever waited left just now. The permit must not end itself: the lock is held.
                Err(Admission::Granted(unused)) => state.unused(&unused.disarm()),
                Err(Admission::Stalled(_)) => {}
            }
        }
        self.publish(state, now);
    }

    /// Takes everything that a call needs, or nothing.
    fn begin(
        self: &Arc<Self>,
        state: &mut State,
        lane: Lane,
        client: ClientKey,
        now: Instant,
    ) -> Option<Permit> {
        let call = state.begin(lane, client, now)?;
        let mark = self.answers.load(Ordering::Relaxed);
        Some(Permit::new(Arc::clone(self), call, mark))
    }

    /// Ends a call: `None` if it was never made or nobody knows how it went.
    pub(super) fn end(self: &Arc<Self>, call: &Call, outcome: Option<CallOutcome>) {
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

    /// Tells whoever watches what changed.
    fn publish(&self, state: &mut State, now: Instant) {
        let phase = state.breakers.phase(now);
        if let Some(at) = state.breakers.next_probe(now) {
            state.wake(at);
        }
        if state.wake_at.is_some() {
            self.rescheduled.notify_one();
        }
        let limit = state.limit.current();
        if limit != std::mem::replace(&mut state.told_limit, limit) {
            self.metrics.concurrency_limit(limit);
        }
        if phase == Phase::Running && state.is_calm() && state.told_calm {
            // After most calls nothing has changed.
            return;
        }
        for (client, pause) in state.breakers.news() {
            state.pauses.client(client, pause.is_some(), now);
            if let Some(Listener(tell)) = self.listener.get() {
                tell(client, pause.as_ref());
            }
        }
        state.pauses.worker(phase != Phase::Running || state.held, now);
        let paused = state.breakers.paused();
        self.metrics.paused(phase != Phase::Running);
        self.metrics.clients_paused(paused);
        let demand = match phase {
            // What is held can only wait, and would wait in flight.
            Phase::Running if state.held => Demand::None,
            // Jobs of a client that fails are parked to find others behind them, but not without end.
            Phase::Running if paused == 0 || state.breakers.may_take_in() => Demand::All,
            // Jobs that wait for the probe leave after a while. Without another one there would be no probe.
            Phase::Running | Phase::Probing(_) if state.wants_probe(now) => Demand::One,
            Phase::Running | Phase::Paused(_) | Phase::Probing(_) => Demand::None,
        };
        let stranded = state.is_stranded(demand);
        let status = Status { phase, demand, clients_paused: paused, stranded };
        state.told_calm = status == Status::default();
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

    /// Notes something of the fleet, and lets start what may start now.
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

    fn state(&self) -> MutexGuard<'_, State> {
        // Counters and queues, changed in steps that do not panic.
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
