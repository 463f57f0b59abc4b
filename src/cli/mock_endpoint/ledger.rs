//! What the stand-in has seen and done, to be held against the queue's books. It knows tokens by their
//! fingerprints only.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use serde::Serialize;
use tokio::sync::Notify;

use crate::domain::Fingerprint;

/// Counts over all calls. Every call is accounted for:
/// `calls = revoked - revoked_unanswered + rejected + throttled + faults`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Totals {
    /// Calls that came.
    pub calls: u64,
    /// Calls that revoked their token.
    pub revoked: u64,
    /// Of these, the ones whose connection was reset before the answer: faults as well.
    pub revoked_unanswered: u64,
    /// Calls that were answered `01`.
    pub rejected: u64,
    /// Calls whose connection was reset, or that got a canned answer.
    pub faults: u64,
    /// Calls that were answered 429.
    pub throttled: u64,
    /// The most calls at a time.
    pub parallel_peak: usize,
}

/// Counts of one token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct TokenTotals {
    /// Calls that named it.
    pub calls: u32,
    /// Calls that revoked it.
    pub revoked: u32,
    /// Calls that were answered `01`.
    pub rejected: u32,
}

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The token is revoked, and the answer says so.
    Revoked,
    /// The token is revoked, and the connection reset before the answer.
    RevokedUnanswered,
    /// The answer is `01`.
    Rejected,
    /// The connection is reset, or the answer is a canned one; the token lives on.
    Fault,
    /// The answer is 429; the token lives on.
    Throttled,
}

/// The books.
#[derive(Debug, Default)]
pub struct Ledger {
    books: Mutex<Books>,
    parallel: AtomicUsize,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Books {
    totals: Totals,
    tokens: HashMap<Fingerprint, TokenTotals>,
    proofs: HashMap<Fingerprint, Instant>,
}

/// A call under way; dropped with it, however it ends.
#[derive(Debug)]
pub(super) struct Place<'a> {
    ledger: &'a Ledger,
    /// How many calls are under way, this one included.
    pub(super) number: usize,
    /// The how manieth call it is, from 1.
    pub(super) call: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.ledger.parallel.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Ledger {
    /// The counts over all calls.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.books().totals
    }

    /// The counts of one token.
    #[must_use]
    pub fn token(&self, token: Fingerprint) -> TokenTotals {
        self.books().tokens.get(&token).copied().unwrap_or_default()
    }

    /// When the first answer left that said the token is revoked; `None` if none has.
    #[must_use]
    pub fn proved_at(&self, token: Fingerprint) -> Option<Instant> {
        self.books().proofs.get(&token).copied()
    }

    /// The counts of every token that was seen.
    #[must_use]
    pub fn tokens(&self) -> BTreeMap<Fingerprint, TokenTotals> {
        // Copied under the lock, sorted outside of it: calls do not wait for the sorting.
        let tokens = self.books().tokens.clone();
        tokens.into_iter().collect()
    }

    /// Waits until the counts fulfil a condition.
    pub async fn until(&self, condition: impl Fn(&Totals) -> bool) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Enlisted before the look, so that no change between look and wait is missed.
            changed.as_mut().enable();
            if condition(&self.totals()) {
                return;
            }
            changed.await;
        }
    }

    /// Lets a call in.
    pub(super) fn enter(&self) -> Place<'_> {
        let number = self.parallel.fetch_add(1, Ordering::Relaxed) + 1;
        let mut books = self.books();
        books.totals.calls += 1;
        books.totals.parallel_peak = books.totals.parallel_peak.max(number);
        Place { ledger: self, number, call: books.totals.calls }
    }

    /// Notes that a call names this token; its how manieth visit it is, from 1.
    pub(super) fn visit(&self, token: Fingerprint) -> u32 {
        let mut books = self.books();
        let entry = books.tokens.entry(token).or_default();
        entry.calls += 1;
        entry.calls
    }

    /// Notes what becomes of a call, and returns it: what would be revoked a second time is rejected
    /// (or, if its connection is to be reset, a mere fault) unless `idempotent`.
    pub(super) fn end(
        &self,
        token: Option<Fingerprint>,
        wanted: Ending,
        idempotent: bool,
    ) -> Ending {
        let mut books = self.books();
        let Books { totals, tokens, .. } = &mut *books;
        let mut stray = TokenTotals::default();
        let entry = token.and_then(|token| tokens.get_mut(&token)).unwrap_or(&mut stray);
        let again = entry.revoked > 0 && !idempotent;
        let ending = match wanted {
            Ending::Revoked if again => Ending::Rejected,
            Ending::RevokedUnanswered if again => Ending::Fault,
            ending => ending,
        };
        match ending {
            Ending::Revoked => {
                totals.revoked += 1;
                entry.revoked += 1;
            }
            Ending::RevokedUnanswered => {
                totals.revoked += 1;
                totals.revoked_unanswered += 1;
                totals.faults += 1;
                entry.revoked += 1;
            }
            Ending::Rejected => {
                totals.rejected += 1;
                entry.rejected += 1;
            }
            Ending::Fault => totals.faults += 1,
            Ending::Throttled => totals.throttled += 1,
        }
        drop(books);
        self.changed.notify_waiters();
        ending
    }

    /// Notes that the answer leaves which says that this token is revoked.
    pub(super) fn prove(&self, token: Fingerprint) {
        self.books().proofs.entry(token).or_insert_with(Instant::now);
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_is_accounted_for() {
        let (ledger, token) = (Ledger::default(), Fingerprint::of("token"));
        let end = |wanted, idempotent| {
            let _place = ledger.enter();
            ledger.visit(token);
            ledger.end(Some(token), wanted, idempotent)
        };
        assert_eq!(end(Ending::Throttled, false), Ending::Throttled);
        assert_eq!(end(Ending::RevokedUnanswered, false), Ending::RevokedUnanswered);
        assert_eq!(end(Ending::Revoked, false), Ending::Rejected);
        assert_eq!(end(Ending::RevokedUnanswered, false), Ending::Fault);
        assert_eq!(end(Ending::Revoked, true), Ending::Revoked);
        let totals = ledger.totals();
        assert_eq!(
            totals.calls,
            totals.revoked - totals.revoked_unanswered
                + totals.rejected
                + totals.throttled
                + totals.faults
        );
        assert_eq!(
            totals,
            Totals {
                calls: 5,
                revoked: 2,
                revoked_unanswered: 1,
                rejected: 1,
                faults: 2,
                throttled: 1,
                parallel_peak: 1,
            }
        );
        assert_eq!(ledger.token(token), TokenTotals { calls: 5, revoked: 2, rejected: 1 });
    }

    #[test]
    fn the_peak_outlasts_its_calls() {
        let ledger = Ledger::default();
        let (first, second) = (ledger.enter(), ledger.enter());
        assert_eq!((first.number, second.number), (1, 2));
        drop((first, second));
        assert_eq!(ledger.enter().number, 1);
        assert_eq!(ledger.totals().parallel_peak, 2);
    }
}
