//! The dispatcher: between what has arrived and what may be called.
//!
//! It decides whether a call may start now and for which lane, and hands out everything that the call
//! needs at once, as one [`Permit`]. A semaphore would do for the limit, but its queue knows no lanes:
//! a freed permit must go to a waiting interactive job first.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::oneshot;

use super::settings::Settings;
use crate::domain::{Lane, PerLane};

/// Decides which call may start now.
#[derive(Debug)]
pub struct Dispatcher {
    state: Mutex<State>,
    answers: AtomicU64,
}

#[derive(Debug)]
struct State {
    limit: usize,
    running: usize,
    held: bool,
    waiting: PerLane<VecDeque<oneshot::Sender<Permit>>>,
}

impl Dispatcher {
    /// A dispatcher with these limits.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        let state = State {
            limit: settings.concurrency_max,
            running: 0,
            held: false,
            waiting: PerLane::default(),
        };
        Self { state: Mutex::new(state), answers: AtomicU64::new(0) }
    }

    /// Waits until a call of `lane` may start. Dropping the future leaves the queue.
    pub async fn start(self: &Arc<Self>, lane: Lane) -> Permit {
        let granted = {
            let mut state = self.state();
            if state.free() && state.waiting.get(lane).is_empty() {
                state.running += 1;
                return self.permit();
            }
            let (grant, granted) = oneshot::channel();
            state.waiting.get_mut(lane).push_back(grant);
            granted
        };
        match granted.await {
            Ok(permit) => permit,
            // A grant is dropped only with the dispatcher, which this borrow keeps alive.
            Err(_) => std::future::pending().await,
        }
    }

    /// Holds all starts, or lets them go on. Calls that run are left alone.
    pub fn hold(self: &Arc<Self>, held: bool) {
        self.state().held = held;
        self.dispatch();
    }

    /// How many calls may run at a time.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.state().limit
    }

    /// Hands free permits to those who wait, interactive first.
    fn dispatch(self: &Arc<Self>) {
        let mut state = self.state();
        while state.free() {
            let Some(grant) = state.next() else { break };
            state.running += 1;
            if let Err(unused) = grant.send(self.permit()) {
                // Whoever waited has gone. The permit must not free itself: the lock is held here.
                unused.disarm();
                state.running -= 1;
            }
        }
    }

    fn permit(self: &Arc<Self>) -> Permit {
        let mark = self.answers.load(Ordering::Relaxed);
        Permit { dispatcher: Some(Arc::clone(self)), mark }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Counters and queues, changed in steps that do not panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    const fn free(&self) -> bool {
        !self.held && self.running < self.limit
    }

    fn next(&mut self) -> Option<oneshot::Sender<Permit>> {
        Lane::ALL.into_iter().find_map(|lane| self.waiting.get_mut(lane).pop_front())
    }
}

/// The right to make one call. Dropped, it frees its place.
#[derive(Debug)]
#[must_use = "a dropped permit frees its place at once"]
pub struct Permit {
    dispatcher: Option<Arc<Dispatcher>>,
    mark: u64,
}

impl Permit {
    /// The endpoint answered: revoked or rejected, by its own envelope.
    pub fn answered(self) {
        if let Some(dispatcher) = &self.dispatcher {
            dispatcher.answers.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether the endpoint answered another call since this one was permitted.
    #[must_use]
    pub fn others_answered(&self) -> bool {
        self.dispatcher
            .as_ref()
            .is_some_and(|dispatcher| dispatcher.answers.load(Ordering::Relaxed) != self.mark)
    }

    fn disarm(mut self) {
        self.dispatcher = None;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(dispatcher) = self.dispatcher.take() {
            dispatcher.state().running -= 1;
            dispatcher.dispatch();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt;

    use super::*;
    use crate::flow::PauseSettings;

    fn dispatcher(limit: usize) -> Arc<Dispatcher> {
        Arc::new(Dispatcher::new(&Settings {
            concurrency_min: 1,
            concurrency_max: limit,
            adaptive: false,
            rate: None,
            bulk_min_share: 0.0,
            pause: PauseSettings {
                after_failures: 20,
                probe_initial: Duration::from_secs(1),
                probe_max: Duration::from_secs(30),
                after_rejections: None,
            },
        }))
    }

    #[tokio::test]
    async fn no_more_calls_run_than_the_limit_allows() {
        let dispatcher = dispatcher(2);
        let first = dispatcher.start(Lane::Bulk).await;
        let _second = dispatcher.start(Lane::Bulk).await;
        let mut third = Box::pin(dispatcher.start(Lane::Bulk));
        assert!(third.as_mut().now_or_never().is_none());
        drop(first);
        assert!(third.now_or_never().is_some());
    }

    #[tokio::test]
    async fn a_freed_permit_goes_to_a_waiting_interactive_job_first() {
        let dispatcher = dispatcher(1);
        let running = dispatcher.start(Lane::Bulk).await;
        let mut bulk = Box::pin(dispatcher.start(Lane::Bulk));
        let mut interactive = Box::pin(dispatcher.start(Lane::Interactive));
        assert!(bulk.as_mut().now_or_never().is_none());
        assert!(interactive.as_mut().now_or_never().is_none());
        drop(running);
        assert!(bulk.as_mut().now_or_never().is_none());
        drop(interactive.now_or_never().unwrap());
        assert!(bulk.now_or_never().is_some());
    }

    #[tokio::test]
    async fn whoever_stops_waiting_takes_no_permit_along() {
        let dispatcher = dispatcher(1);
        let running = dispatcher.start(Lane::Bulk).await;
        let mut gone = Box::pin(dispatcher.start(Lane::Bulk));
        let mut granted = Box::pin(dispatcher.start(Lane::Bulk));
        assert!(gone.as_mut().now_or_never().is_none());
        assert!(granted.as_mut().now_or_never().is_none());
        drop(gone);
        drop(running);
        // Granted and dropped before it was looked at.
        drop(granted);
        assert!(dispatcher.start(Lane::Bulk).now_or_never().is_some());
    }

    #[tokio::test]
    async fn nothing_starts_while_held() {
        let dispatcher = dispatcher(1);
        dispatcher.hold(true);
        let mut waiting = Box::pin(dispatcher.start(Lane::Interactive));
        assert!(waiting.as_mut().now_or_never().is_none());
        dispatcher.hold(false);
        assert!(waiting.now_or_never().is_some());
    }

    #[tokio::test]
    async fn an_answer_to_another_call_is_seen() {
        let dispatcher = dispatcher(2);
        dispatcher.start(Lane::Bulk).await.answered();
        let own = dispatcher.start(Lane::Bulk).await;
        assert!(!own.others_answered(), "answered before it began");
        dispatcher.start(Lane::Bulk).await.answered();
        assert!(own.others_answered());
    }
}
