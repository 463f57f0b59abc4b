//! The calls that the endpoint got, with their times. Tests trigger faults by it and compare the queues with it.

use std::{
    collections::{BTreeSet, HashMap},
    pin::pin,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use tokio::sync::Notify;

use super::answer::AnswerKind;
use crate::harness::wait::HANG_GUARD;

/// One call.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The token of its body; empty if there is none.
    pub token: String,
    /// The time at which its last byte was read.
    pub arrived: Instant,
    /// The meaning of the answer, set before its last byte is sent. So every answer that a client received is here, and
    /// perhaps one that no client received.
    pub said: Option<AnswerKind>,
}

/// All calls in the order of their arrival.
#[derive(Debug, Default)]
pub struct Ledger {
    entries: Mutex<Vec<Entry>>,
    /// Calls by token: counting all calls at each arrival would be too slow for thousands of jobs.
    calls: Mutex<HashMap<String, usize>>,
    changed: Notify,
}

impl Ledger {
    /// Records an arrival. Returns its index and the number of calls for its token, this one included.
    pub(super) fn arrived(&self, token: &str) -> (usize, usize) {
        let mut entries = self.lock();
        entries.push(Entry { token: token.to_owned(), arrived: Instant::now(), said: None });
        let place = entries.len() - 1;
        let nth = {
            let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
            let calls = calls.entry(token.to_owned()).or_default();
            *calls += 1;
            *calls
        };
        drop(entries);
        self.changed.notify_waiters();
        (place, nth)
    }

    /// Records the answer to a call; `None` if it could not be sent.
    pub(super) fn answered(&self, place: usize, said: Option<AnswerKind>) {
        self.lock()[place].said = said;
        self.changed.notify_waiters();
    }

    /// All calls so far.
    pub fn calls(&self) -> Vec<Entry> {
        self.lock().clone()
    }

    /// The number of calls so far.
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    /// The calls so far for one token.
    pub fn of(&self, token: &str) -> Vec<Entry> {
        self.lock().iter().filter(|entry| entry.token == token).cloned().collect()
    }

    /// The tokens that got the answer `said` at least once.
    pub fn told(&self, said: AnswerKind) -> BTreeSet<String> {
        let entries = self.lock();
        let told = entries.iter().filter(|entry| entry.said == Some(said));
        told.map(|entry| entry.token.clone()).collect()
    }

    /// Waits until this many calls have arrived.
    pub async fn until_count(&self, count: usize) {
        self.until(&format!("{count} calls"), |entries| entries.len() >= count).await;
    }

    /// Waits until the calls so far fulfil `condition`.
    pub async fn until(&self, what: &str, condition: impl Fn(&[Entry]) -> bool) {
        let fulfilled = async {
            loop {
                let mut changed = pin!(self.changed.notified());
                // Before the check: a call that arrives between the check and the wait must not be missed.
                changed.as_mut().enable();
                if condition(&self.lock()) {
                    return;
                }
                changed.await;
            }
        };
        if tokio::time::timeout(HANG_GUARD, fulfilled).await.is_err() {
            let entries = self.calls();
            let last = &entries[entries.len().saturating_sub(10)..];
            panic!(
                "hung waiting for {what}: saw {} calls, the last of them {last:#?}",
                entries.len()
            );
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
