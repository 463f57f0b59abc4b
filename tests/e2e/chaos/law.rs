//! What the endpoint decides about a token, apart from what a fault makes of its answers.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

use super::seed::mix;
use crate::harness::{Answer, Call, Gate, wait::HANG_GUARD};

/// One token of so many is condemned.
const CONDEMNED_OF: u64 = 7;

/// The endpoint's mind. Condemned tokens are rejected at every call. The others are revoked once, and
/// rejected from then on, as the vendor's endpoint has to be expected to do: a call that is made twice
/// shows.
#[derive(Debug, Clone)]
pub struct Law(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    seed: u64,
    state: Mutex<State>,
    /// Calls whose answers wait, or waited until their connection was lost, since answers were last held.
    waiting: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct State {
    calls: usize,
    revoked: HashSet<String>,
    /// From which call on answers wait, and for what.
    held: Option<(usize, Gate)>,
}

impl Law {
    /// A law that draws the condemned from `seed`.
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Inner { seed, state: Mutex::default(), waiting: watch::Sender::new(0) }))
    }

    /// Whether a token is condemned.
    pub fn condemns(&self, token: &str) -> bool {
        mix(self.0.seed, token.as_bytes()).is_multiple_of(CONDEMNED_OF)
    }

    /// The answer to a call that nothing is in the way of. It takes effect: the token is revoked from here
    /// on, also if the answer never arrives.
    pub fn answer(&self, call: &Call) -> Answer {
        let mut state = self.lock();
        state.calls += 1;
        let answer = if !self.condemns(&call.token) && state.revoked.insert(call.token.clone()) {
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

    /// Lets so many calls be answered in all, and the others wait: what a slow fault is to meet must not be
    /// over before it strikes. What waited before is answered.
    pub fn hold_after(&self, calls: usize) {
        self.hold_from(|_| calls);
    }

    /// The same, counted from the calls that came so far.
    pub fn hold_after_another(&self, calls: usize) {
        self.hold_from(|so_far| so_far + calls);
    }

    /// Waits until a call waits for its answer. It waits until answers are held anew, or released.
    pub async fn until_held(&self) {
        let mut waiting = self.0.waiting.subscribe();
        let held = tokio::time::timeout(HANG_GUARD, waiting.wait_for(|waiting| *waiting > 0)).await;
        assert!(held.is_ok(), "no call waits");
    }

    fn hold_from(&self, from: impl FnOnce(usize) -> usize) {
        let mut state = self.lock();
        let from = from(state.calls);
        // In one step: else there would be a moment in which all of the work might slip through.
        let before = state.held.replace((from, Gate::default()));
        self.0.waiting.send_replace(0);
        if let Some((_, gate)) = before {
            gate.open();
        }
    }

    /// Answers what waits, and what comes.
    pub fn release(&self) {
        if let Some((_, gate)) = self.lock().held.take() {
            gate.open();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
