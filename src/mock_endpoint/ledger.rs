//! Counts the mock's calls and results, for comparison with the queue. It knows tokens only by their fingerprints.

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

/// Counts over all calls. Every call is counted:
/// `calls = revoked - revoked_unanswered + rejected + throttled + faults`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct LedgerTotals {
    /// Calls that arrived.
    pub calls: u64,
    /// Calls that revoked their token.
    pub revoked: u64,
    /// The number of these calls whose connection was reset before the answer. They count as faults too.
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
    /// Calls with this token.
    pub calls: u32,
    /// Calls that revoked this token.
    pub revoked: u32,
    /// Calls that were answered `01`.
    pub rejected: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CallResult {
    /// The token is revoked, and the answer says so.
    Revoked,
    /// The token is revoked, and the connection reset before the answer.
    RevokedUnanswered,
    Rejected,
    /// The connection is reset, or the answer is a canned one. The token is not revoked.
    Fault,
    /// The answer is 429. The token is not revoked.
    Throttled,
}

/// All counts.
#[derive(Debug, Default)]
pub struct Ledger {
    counts: Mutex<LedgerCounts>,
    parallel: AtomicUsize,
    changed: Notify,
}

#[derive(Debug, Default)]
struct LedgerCounts {
    totals: LedgerTotals,
    tokens: HashMap<Fingerprint, TokenTotals>,
    proofs: HashMap<Fingerprint, Instant>,
}

/// A call in flight. It is dropped when the call ends.
#[derive(Debug)]
pub(super) struct OpenCall<'a> {
    ledger: &'a Ledger,
    /// The number of calls in flight, this one included.
    pub(super) parallel: usize,
    /// The number of the call, from 1.
    pub(super) number: u64,
}

impl Drop for OpenCall<'_> {
    fn drop(&mut self) {
        self.ledger.parallel.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Ledger {
    /// Returns the counts over all calls.
    #[must_use]
    pub fn totals(&self) -> LedgerTotals {
        self.counts().totals
    }

    /// Returns the counts of one token.
    #[must_use]
    pub fn token(&self, token: Fingerprint) -> TokenTotals {
        self.counts().tokens.get(&token).copied().unwrap_or_default()
    }

    /// Returns the time of the first answer that reports the token as revoked.
    #[must_use]
    pub fn proved_at(&self, token: Fingerprint) -> Option<Instant> {
        self.counts().proofs.get(&token).copied()
    }

    /// Returns the counts of every token.
    #[must_use]
    pub fn tokens(&self) -> BTreeMap<Fingerprint, TokenTotals> {
        // Copied under the lock, sorted outside of it: calls do not wait for the sorting.
        let tokens = self.counts().tokens.clone();
        tokens.into_iter().collect()
    }

    /// Waits until the counts fulfil a condition.
    pub async fn until(&self, condition: impl Fn(&LedgerTotals) -> bool) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Enabled before the condition is checked, so that no change in between is missed.
            changed.as_mut().enable();
            if condition(&self.totals()) {
                return;
            }
            changed.await;
        }
    }

    /// Counts a call that begins.
    pub(super) fn enter(&self) -> OpenCall<'_> {
        let parallel = self.parallel.fetch_add(1, Ordering::Relaxed) + 1;
        let mut counts = self.counts();
        counts.totals.calls += 1;
        counts.totals.parallel_peak = counts.totals.parallel_peak.max(parallel);
        OpenCall { ledger: self, parallel, number: counts.totals.calls }
    }

    /// Counts a call for this token, and returns the number of its calls so far.
    pub(super) fn count_call(&self, token: Fingerprint) -> u32 {
        let mut counts = self.counts();
        let entry = counts.tokens.entry(token).or_default();
        entry.calls += 1;
        entry.calls
    }

    /// Counts the result of a call, and returns it. Unless `idempotent`, a second revocation is rejected, or is a
    /// fault if its connection is reset.
    pub(super) fn end(
        &self,
        token: Option<Fingerprint>,
        wanted: CallResult,
        idempotent: bool,
    ) -> CallResult {
        let mut counts = self.counts();
        let LedgerCounts { totals, tokens, .. } = &mut *counts;
        let mut stray = TokenTotals::default();
        let entry = token.and_then(|token| tokens.get_mut(&token)).unwrap_or(&mut stray);
        let again = entry.revoked > 0 && !idempotent;
        let result = match wanted {
            CallResult::Revoked if again => CallResult::Rejected,
            CallResult::RevokedUnanswered if again => CallResult::Fault,
            result => result,
        };
        match result {
            CallResult::Revoked => {
                totals.revoked += 1;
                entry.revoked += 1;
            }
            CallResult::RevokedUnanswered => {
                totals.revoked += 1;
                totals.revoked_unanswered += 1;
                totals.faults += 1;
                entry.revoked += 1;
            }
            CallResult::Rejected => {
                totals.rejected += 1;
                entry.rejected += 1;
            }
            CallResult::Fault => totals.faults += 1,
            CallResult::Throttled => totals.throttled += 1,
        }
        drop(counts);
        self.changed.notify_waiters();
        result
    }

    /// Records that an answer reports this token as revoked.
    pub(super) fn prove(&self, token: Fingerprint) {
        self.counts().proofs.entry(token).or_insert_with(Instant::now);
    }

    fn counts(&self) -> MutexGuard<'_, LedgerCounts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_is_counted() {
        let (ledger, token) = (Ledger::default(), Fingerprint::of("token"));
        let end = |wanted, idempotent| {
            let _call = ledger.enter();
            ledger.count_call(token);
            ledger.end(Some(token), wanted, idempotent)
        };
        assert_eq!(end(CallResult::Throttled, false), CallResult::Throttled);
        assert_eq!(end(CallResult::RevokedUnanswered, false), CallResult::RevokedUnanswered);
        assert_eq!(end(CallResult::Revoked, false), CallResult::Rejected);
        assert_eq!(end(CallResult::RevokedUnanswered, false), CallResult::Fault);
        assert_eq!(end(CallResult::Revoked, true), CallResult::Revoked);
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
            LedgerTotals {
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
        assert_eq!((first.parallel, second.parallel), (1, 2));
        drop((first, second));
        assert_eq!(ledger.enter().parallel, 1);
        assert_eq!(ledger.totals().parallel_peak, 2);
    }
}
