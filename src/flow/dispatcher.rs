//! The dispatcher: between what has arrived and what may be called.
//!
//! It decides whether a call may start now and for which lane, and then takes everything that the call
//! needs at once: it is not paused, there is room under the limit, the rate allows it. What it hands
//! out is one [`Permit`]. A semaphore would do for the limit alone, but its queue knows no lanes, and
//! whoever holds one thing while waiting for another wastes it.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use tokio::{
    sync::{Notify, oneshot, watch},
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    evidence::Evidence,
    lanes::Lanes,
    limit::{Limit, Sample},
    pause::{Phase, Weather},
    rate::Rate,
    settings::Settings,
    status::Status,
};
use crate::{domain::Lane, metrics::Metrics, ports::Intake};

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
}

#[derive(Debug)]
struct State {
    limit: Limit,
    weather: Weather,
    rate: Option<Rate>,
    lanes: Lanes<oneshot::Sender<Permit>>,
    running: usize,
    held: bool,
    latest_probe: Option<u64>,
    wake_at: Option<Instant>,
}

impl Dispatcher {
    /// A dispatcher with these limits. It needs [`Dispatcher::run`] beside it.
    #[must_use]
    pub fn new(settings: &Settings, metrics: Arc<Metrics>) -> Self {
        let limit =
            Limit::new(settings.concurrency_min, settings.concurrency_max, settings.adaptive);
        metrics.concurrency_limit(limit.current());
        let state = State {
            limit,
            weather: Weather::new(settings.pause.clone()),
            rate: settings.rate.and_then(Rate::per_second),
            lanes: Lanes::new(settings.bulk_min_share),
            running: 0,
            held: false,
            latest_probe: None,
            wake_at: None,
        };
        Self {
            state: Mutex::new(state),
            answers: AtomicU64::new(0),
            status: watch::Sender::new(Status::default()),
            changed: Notify::new(),
            rescheduled: Notify::new(),
            metrics,
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

    /// Waits until a call of `lane` may start. Dropping the future leaves the queue.
    pub async fn start(self: &Arc<Self>, lane: Lane) -> Permit {
        let granted = {
            let mut state = self.state();
            if state.lanes.is_empty()
                && let Some(permit) = self.begin(&mut state, Instant::now())
            {
                if permit.call.probe {
                    self.publish(&mut state, permit.call.began);
                }
                return permit;
            }
            let (grant, granted) = oneshot::channel();
            state.lanes.join(lane, grant);
            // A probe that was to be taken fresh has come.
            self.publish(&mut state, Instant::now());
            granted
        };
        match granted.await {
            Ok(permit) => permit,
            // A grant is dropped only with the dispatcher, which this borrow keeps alive.
            Err(_) => std::future::pending().await,
        }
    }

    /// Whether no probe began after the one of that number.
    #[must_use]
    pub fn is_latest_probe(&self, number: u64) -> bool {
        self.state().latest_probe == Some(number)
    }

    /// How many calls may run at a time now, but for those that hang while others are answered.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.state().limit.current()
    }

    /// Holds all starts, or lets them go on. Calls that run are left alone.
    pub fn hold(self: &Arc<Self>, held: bool) {
        let mut state = self.state();
        state.held = held;
        self.dispatch(&mut state);
    }

    /// Waits until calls are not made freely, but paused or probed for.
    pub async fn not_running(&self) {
        loop {
            let changed = self.changed.notified();
            if self.status.borrow().phase != Phase::Running {
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

    /// Hands permits to those who wait, for as long as calls may start.
    fn dispatch(self: &Arc<Self>, state: &mut State) {
        let now = Instant::now();
        state.wake_at = None;
        loop {
            // Nothing is taken for those who have left.
            state.lanes.leave(oneshot::Sender::is_closed);
            if state.lanes.is_empty() {
                break;
            }
            let Some(permit) = self.begin(state, now) else { break };
            let contested = state.lanes.contested();
            let Some((lane, grant)) = state.lanes.next() else { break };
            match grant.send(permit) {
                Ok(()) => state.lanes.served(lane, contested),
                // Whoever waited left just now. The permit must not end itself: the lock is held.
                Err(unused) => {
                    let ended = unused.disarm();
                    state.end(&ended, None, now);
                }
            }
        }
        self.publish(state, now);
    }

    /// Takes everything that a call needs, or nothing.
    fn begin(self: &Arc<Self>, state: &mut State, now: Instant) -> Option<Permit> {
        if state.held || state.running >= state.limit.allowed() || !state.weather.may_start(now) {
            return None;
        }
        // Last, so that nobody holds a token of the rate while waiting for something else.
        if let Some(Err(wait)) = state.rate.as_ref().map(Rate::take) {
            state.wake(now + wait);
            self.rescheduled.notify_one();
            return None;
        }
        state.running += 1;
        let call = Call {
            number: state.limit.started(state.running),
            began: now,
            probe: state.weather.started(),
        };
        if call.probe {
            state.latest_probe = Some(call.number);
        }
        let mark = self.answers.load(Ordering::Relaxed);
        Some(Permit { dispatcher: Some(Arc::clone(self)), call, mark })
    }

    /// Ends a call: `None` if it was never made or nobody knows how it went.
    fn end(self: &Arc<Self>, call: &Call, evidence: Option<Evidence>) {
        if evidence.is_some_and(|evidence| evidence.is_answer()) {
            self.answers.fetch_add(1, Ordering::Relaxed);
        }
        let mut state = self.state();
        state.end(call, evidence, Instant::now());
        self.dispatch(&mut state);
    }

    /// Tells whoever watches what changed.
    fn publish(&self, state: &mut State, now: Instant) {
        let phase = state.weather.phase(now);
        if let Phase::Paused(pause) = phase {
            state.wake(pause.next_probe);
        }
        if state.wake_at.is_some() {
            self.rescheduled.notify_one();
        }
        self.metrics.concurrency_limit(state.limit.current());
        self.metrics.paused(phase != Phase::Running);
        let intake = match phase {
            // What is held can only wait, and would wait in flight.
            Phase::Running if state.held => Intake::Closed,
            Phase::Running => Intake::Open,
            Phase::Probing(_) if state.weather.may_start(now) && state.lanes.is_empty() => {
                Intake::One
            }
            Phase::Paused(_) | Phase::Probing(_) => Intake::Closed,
        };
        let status = Status { phase, intake };
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

    fn state(&self) -> MutexGuard<'_, State> {
        // Counters and queues, changed in steps that do not panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn wake(&mut self, at: Instant) {
        self.wake_at = Some(self.wake_at.map_or(at, |before| before.min(at)));
    }

    fn end(&mut self, call: &Call, evidence: Option<Evidence>, now: Instant) {
        self.running -= 1;
        let sample = match evidence {
            Some(Evidence::Revoked | Evidence::Rejected) => {
                Sample::Answered { latency: now.saturating_duration_since(call.began) }
            }
            Some(Evidence::Failed { overload: true, .. }) => Sample::PushedBack,
            Some(Evidence::Failed { .. }) | None => Sample::Unknown,
        };
        self.limit.ended(call.number, sample);
        // One of an earlier pause, ending when another probe runs, is a call like any other.
        let probe = call.probe && self.latest_probe == Some(call.number);
        let overshot = matches!(evidence, Some(Evidence::Failed { busy: true, .. }))
            && self.running > self.limit.stragglers()
            && !probe;
        if overshot {
            // A fast start or a leap ends in a burst of refusals, faster than any answer: the limit's affair.
            return;
        }
        match evidence {
            Some(evidence) if self.weather.saw(&evidence, probe, now) => self.limit.resume(),
            None if probe => self.weather.probe_unused(),
            Some(_) | None => {}
        }
    }
}

/// A call that was permitted.
#[derive(Debug, Clone, Copy)]
struct Call {
    number: u64,
    began: Instant,
    probe: bool,
}

/// The right to make one call. Dropped, it gives back what it took, as if no call had been made.
#[derive(Debug)]
#[must_use = "a dropped permit gives its place back at once"]
pub struct Permit {
    dispatcher: Option<Arc<Dispatcher>>,
    call: Call,
    mark: u64,
}

impl Permit {
    /// The call ended, and showed this.
    pub fn finish(mut self, evidence: Evidence) {
        if let Some(dispatcher) = self.dispatcher.take() {
            dispatcher.end(&self.call, Some(evidence));
        }
    }

    /// The number of the call, if it is a probe.
    #[must_use]
    pub fn probe(&self) -> Option<u64> {
        self.call.probe.then_some(self.call.number)
    }

    /// Whether the endpoint answered another call since this one was permitted.
    #[must_use]
    pub fn others_answered(&self) -> bool {
        self.dispatcher
            .as_ref()
            .is_some_and(|dispatcher| dispatcher.answers.load(Ordering::Relaxed) != self.mark)
    }

    fn disarm(mut self) -> Call {
        self.dispatcher = None;
        self.call
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(dispatcher) = self.dispatcher.take() {
            dispatcher.end(&self.call, None);
        }
    }
}

#[cfg(test)]
mod tests;
