//! The progress of a sweep at the terminal. The question of the guard may interrupt it.

use std::{convert::Infallible, future::pending, sync::Arc};

use tokio_util::sync::CancellationToken;

use super::guard::RevocationGuard;
use crate::{
    cli::progress::{FileCounts, show_file},
    domain::Completion,
    flow::{Dispatcher, Phase},
    input::ReadProgress,
    sweep::{LineCounts, SweepCounters, SweepCounts},
};

pub(super) struct SweepProgress {
    pub(super) file: ReadProgress,
    pub(super) counters: Arc<SweepCounters>,
    pub(super) flow: Arc<Dispatcher>,
}

impl SweepProgress {
    /// Shows the progress until it is dropped. Cancels `stopping` if the guard ends the sweep. The bar
    /// vanishes while the guard asks.
    pub(super) async fn show(
        &self,
        guard: &RevocationGuard,
        stopping: &CancellationToken,
    ) -> Infallible {
        loop {
            let before = self.counters.counts().lines.all();
            let client = tokio::select! {
                never = show_file("sweep", &self.file, || self.state(before)) => match never {},
                client = guard.unproved_client(stopping) => client,
            };
            // An answer that comes once the sweep stops changes nothing any more.
            let allowed = tokio::select! {
                biased;
                () = stopping.cancelled() => pending().await,
                allowed = guard.allows(client) => allowed,
            };
            if !allowed {
                stopping.cancel();
            }
        }
    }

    fn state(&self, before: u64) -> FileCounts {
        let SweepCounts { lines: counts, delayed, read, .. } = self.counters.counts();
        let paused = self.flow.status().borrow().phase != Phase::Running;
        FileCounts {
            done: counts.all().saturating_sub(before),
            counts: format!(
                "{} revoked, {}{} failed, {}limit {}{}",
                counts.ended(Completion::Revoked),
                done_otherwise(&counts),
                counts.failed(),
                expired(&counts),
                self.flow.limit(),
                if paused { ", paused" } else { "" },
            ),
            detail: format!("{} lines ended, {delayed} jobs put off", counts.all()),
            position: Some(position(self.file.read(), &counts, read)),
        }
    }
}

/// Shown only if the endpoint's profile has such outcomes.
fn done_otherwise(counts: &LineCounts) -> String {
    let endings = [Completion::Acknowledged, Completion::Accepted, Completion::Gone];
    let there = endings.into_iter().filter(|ending| counts.ended(*ending) > 0);
    let parts: Vec<String> =
        there.map(|ending| format!("{} {}, ", counts.ended(ending), ending.as_str())).collect();
    parts.concat()
}

/// Shown only if there are expired lines, which are rare.
fn expired(counts: &LineCounts) -> String {
    match counts.ended(Completion::Expired) {
        0 => String::new(),
        expired => format!("{expired} expired, "),
    }
}

/// Returns the byte position up to which the file's lines have ended. Reading is far ahead of it.
fn position(read: u64, ended: &LineCounts, seen: u64) -> u64 {
    let ended = u128::from(ended.all().min(seen));
    let position = u128::from(read) * ended / u128::from(seen.max(1));
    u64::try_from(position).unwrap_or(read)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sweep::journal::{LineOutcome, LineOutcomes};

    #[test]
    fn a_file_that_was_read_is_not_done() {
        let mut outcomes = LineOutcomes::default();
        for line in 1..=25 {
            outcomes.replace(line, Some(LineOutcome::Repeated));
        }
        let ended = LineCounts::of(&outcomes);
        assert_eq!(position(1000, &ended, 100), 250);
        assert_eq!(position(1000, &ended, 25), 1000);
        assert_eq!(position(10, &ended, 1), 10, "most of them ended in a run before");
        assert_eq!(position(0, &ended, 0), 0);
    }
}
