//! The progress of a sweep at the terminal. The question of the guard may interrupt it.

use std::{convert::Infallible, future::pending, sync::Arc};

use tokio_util::sync::CancellationToken;

use super::guard::RevocationGuard;
use crate::{
    cli::progress::{FileCounts, show_file},
    domain::Completion,
    flow::{Dispatcher, Phase},
    input::ReadProgress,
    sweep::{LineCounts, SweepCounters, SweepCounts, ended_position},
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
            position: Some(ended_position(self.file.read(), &counts, read)),
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
