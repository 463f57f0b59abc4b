//! The endpoint's answer for each token, without a fault.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

use super::seed::mix;
use crate::harness::{Answer, Call, Gate, wait::HANG_GUARD};

/// One token in this many is always rejected.
const REJECTED_ONE_IN: u64 = 7;

/// The script of the endpoint. It rejects some tokens at every call. It revokes the others once and rejects
/// them afterwards, as the vendor's endpoint may do, so a second call is visible.
#[derive(Debug, Clone)]
pub struct EndpointScript(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    seed: u64,
    state: Mutex<State>,
    /// Calls held since the last hold, including those whose connection was lost meanwhile.
    waiting: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct State {
    calls: usize,
    revoked: HashSet<String>,
    /// The call from which on answers are held, and the gate that releases them.
    held: Option<(usize, Gate)>,
}

impl EndpointScript {
    /// Creates a script that draws the rejected tokens from `seed`.
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Inner { seed, state: Mutex::default(), waiting: watch::Sender::new(0) }))
    }

    /// Whether every call for this token is rejected.
    pub fn always_rejects(&self, token: &str) -> bool {
        mix(self.0.seed, token.as_bytes()).is_multiple_of(REJECTED_ONE_IN)
    }

    /// Answers a call. The answer takes effect: the token counts as revoked even if the answer never
    /// arrives.
    pub fn answer(&self, call: &Call) -> Answer {
        let mut state = self.lock();
        state.calls += 1;
        let answer =
            if !self.always_rejects(&call.token) && state.revoked.insert(call.token.clone()) {
                Answer::revoked()
            } else {
                Answer::rejected()
            };
        match &state.held {
            Some((from, gate)) if state.calls > *from => {
                self.0.waiting.send_modify(|waiting| *waiting += 1);
                answer.after(gate)
            }
            _ => answer,
        }
    }

    /// Answers this many calls in all and holds the others, so that work is left when a slow fault begins. Answers the
    /// calls that it held before.
    pub fn hold_after(&self, calls: usize) {
        self.hold_from(|_| calls);
    }

    /// Like [`Self::hold_after`], counted from the calls that have arrived so far.
    pub fn hold_after_another(&self, calls: usize) {
        self.hold_from(|so_far| so_far + calls);
    }

    /// Waits until a call is held.
    pub async fn until_held(&self) {
        let mut waiting = self.0.waiting.subscribe();
        let held = tokio::time::timeout(HANG_GUARD, waiting.wait_for(|waiting| *waiting > 0)).await;
        assert!(held.is_ok(), "no call waits");
    }

    fn hold_from(&self, from: impl FnOnce(usize) -> usize) {
        let mut state = self.lock();
        let from = from(state.calls);
        // In one step. Otherwise all of the work might pass in between.
        let before = state.held.replace((from, Gate::default()));
        self.0.waiting.send_replace(0);
        if let Some((_, gate)) = before {
            gate.open();
        }
    }

    /// Answers the held calls and all later ones.
    pub fn release(&self) {
        if let Some((_, gate)) = self.lock().held.take() {
            gate.open();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
