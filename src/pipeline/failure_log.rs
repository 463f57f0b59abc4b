//! Logs failed calls by kind: the first one at once, then one line a minute with the number of further ones.
//!
//! A kind is a server, a result and a class. All three are fixed lists, so neither the number of lines nor the memory
//! depends on what the answers hold. Successful calls do not come here.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::warn;

use crate::domain::{Failure, Symptom};

/// The least time between two lines of one kind.
const EVERY: Duration = Duration::from_secs(60);

/// How often the counts are looked at.
const LOOKED_AT: Duration = Duration::from_secs(5);

/// The failed calls, by kind.
#[derive(Debug, Default)]
pub struct FailureLog(Mutex<Vec<FailureKind>>);

/// The failed calls of one kind.
#[derive(Debug)]
struct FailureKind {
    /// The symptom of the last one.
    last: Symptom,
    /// The size of its body.
    size: Option<usize>,
    /// How many were not told yet.
    untold: u64,
    /// When the last line was written.
    told: Instant,
}

impl FailureLog {
    /// Counts a failed call. Writes a line if there was none of its kind within the last minute.
    pub(super) fn note(&self, symptom: Symptom, failure: &Failure) {
        let now = Instant::now();
        let mut kinds = self.kinds();
        let Some(kind) = kinds.iter_mut().find(|kind| kind.is(symptom)) else {
            kinds.push(FailureKind { last: symptom, size: failure.size, untold: 0, told: now });
            return tell(symptom, failure.size, 1);
        };
        (kind.last, kind.size) = (symptom, failure.size);
        kind.untold += 1;
        if now - kind.told >= EVERY {
            kind.tell(now);
        }
    }

    /// Writes the lines with counts. Runs until it is aborted.
    pub async fn tell_counts(&self) {
        let mut ticks = interval(LOOKED_AT);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let now = ticks.tick().await;
            self.tell_due(|kind| now - kind.told >= EVERY, now);
        }
    }

    /// Writes what was not told yet: the worker stops.
    pub fn tell_rest(&self) {
        self.tell_due(|_| true, Instant::now());
    }

    fn tell_due(&self, is_due: impl Fn(&FailureKind) -> bool, now: Instant) {
        for kind in self.kinds().iter_mut().filter(|kind| kind.untold > 0) {
            if is_due(kind) {
                kind.tell(now);
            }
        }
    }

    fn kinds(&self) -> MutexGuard<'_, Vec<FailureKind>> {
        // A poisoned lock is usable: a panic leaves one count too few.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FailureKind {
    fn is(&self, symptom: Symptom) -> bool {
        let kind = |of: Symptom| (of.target, of.label, of.class);
        kind(self.last) == kind(symptom)
    }

    fn tell(&mut self, now: Instant) {
        tell(self.last, self.size, std::mem::take(&mut self.untold));
        self.told = now;
    }
}

/// Writes one line about `calls` failed calls.
fn tell(symptom: Symptom, size: Option<usize>, calls: u64) {
    let Symptom { target, label, class, http_status } = symptom;
    warn!(
        cause = %symptom,
        calls,
        of = %target,
        result = %label,
        class = %class,
        http_status,
        size,
        "{}",
        if calls == 1 { "a call failed" } else { "calls failed" }
    );
}

#[cfg(test)]
mod tests;
