//! The right to make one call.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{breakers::CallRole, call_outcome::CallOutcome, dispatcher::Dispatcher};
use crate::domain::{ClientKey, Lane, Symptom};

/// The end of the wait for a permit.
#[derive(Debug)]
pub enum Admission {
    /// The call may be made.
    Granted(Permit),
    /// The job's client is paused, and enough of its jobs wait here. This one should wait elsewhere for this long.
    WaitElsewhere(Duration),
}

#[derive(Debug, Clone, Copy)]
pub(super) struct PermittedCall {
    pub(super) number: u64,
    pub(super) began: Instant,
    pub(super) lane: Lane,
    pub(super) client: ClientKey,
    pub(super) role: CallRole,
}

/// The right to make one call. Dropped, it returns everything that it took, as if no call was made.
#[derive(Debug)]
#[must_use = "a dropped permit gives its place back at once"]
pub struct Permit {
    dispatcher: Option<Arc<Dispatcher>>,
    call: PermittedCall,
    mark: u64,
}

impl Permit {
    pub(super) const fn new(dispatcher: Arc<Dispatcher>, call: PermittedCall, mark: u64) -> Self {
        Self { dispatcher: Some(dispatcher), call, mark }
    }

    /// Ends the call and reports its outcome to the flow.
    pub fn finish(mut self, outcome: CallOutcome) {
        if let Some(dispatcher) = self.dispatcher.take() {
            dispatcher.end(&self.call, Some(outcome));
        }
    }

    /// Like [`Permit::finish`], for a failed call. The symptom explains a pause to people.
    pub fn fail(mut self, outcome: CallOutcome, symptom: Symptom) {
        if let Some(dispatcher) = self.dispatcher.take() {
            dispatcher.note(&self.call, &outcome, symptom);
            dispatcher.end(&self.call, Some(outcome));
        }
    }

    /// Whether the call is a probe, of its client or of the worker.
    #[must_use]
    pub fn is_probe(&self) -> bool {
        self.call.role != CallRole::Regular
    }

    /// Whether the endpoint answered another call since this one was permitted.
    #[must_use]
    pub fn others_answered(&self) -> bool {
        self.dispatcher.as_ref().is_some_and(|dispatcher| dispatcher.answered_since(self.mark))
    }

    /// Takes the call out; nothing is returned to the dispatcher.
    pub(super) fn disarm(mut self) -> PermittedCall {
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
