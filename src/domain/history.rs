//! The history of a job over all known deliveries.

use std::time::{Duration, SystemTime};

use super::{
    named::named,
    verdict::{Failure, ResultLabel},
};

named! {
    /// Why a token may already be revoked although no response said so. The greater value proves more.
    pub enum Ambiguity {
        /// The broker delivered the job before, and the end of that delivery is unknown. This also marks jobs
        /// that only waited, so it proves less than [`Ambiguity::Attempt`].
        Redelivered = "redelivered",
        /// Our attempt failed after a part of the request was sent.
        Attempt = "attempt",
    }
}

/// The proof of a token that a check found dead, in logs.
pub const VERIFIED: &str = "verified";

/// A job's history. Our headers carry it through a retry queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct History {
    /// How many calls are known to have been made.
    pub attempts: u32,
    /// How often the job was in a retry queue.
    pub stays: u32,
    /// When the first attempt failed: its own attempt, or the attempt of a duplicate that it followed.
    pub first_failed_at: Option<SystemTime>,
    /// The result of the last failed attempt.
    pub last_error: Option<ResultLabel>,
    /// Whether, and why, the token may already be revoked.
    pub ambiguity: Option<Ambiguity>,
    /// How long its calls were paused since the first failure, up to `parked_at` or up to now.
    pub paused: Duration,
    /// When it was last parked or requeued. The pauses since then are counted at its next delivery.
    pub parked_at: Option<SystemTime>,
    /// Whether a check of the token proved that it is dead. It ends the job, so no header carries it.
    pub verified: bool,
}

impl History {
    /// The longest pause that is counted. So a forged value delays the end of its own job by at most this time.
    pub const MOST_PAUSED: Duration = Duration::from_secs(365 * 24 * 60 * 60);

    /// How long the job has been failing, without pauses. `None` if the clock was stepped back to before the first
    /// failure.
    #[must_use]
    pub fn age(&self, now: SystemTime) -> Option<Duration> {
        let since = now.duration_since(self.first_failed_at?).ok()?;
        Some(since.saturating_sub(self.paused))
    }

    /// The pauses in milliseconds, rounded up, for a header or a journal.
    #[must_use]
    pub fn paused_millis(&self) -> u64 {
        let paused = self.paused.min(Self::MOST_PAUSED);
        u64::try_from(paused.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
    }

    /// The pauses of a header or a journal, within bounds.
    #[must_use]
    pub fn paused_for(millis: u64) -> Duration {
        Duration::from_millis(millis).min(Self::MOST_PAUSED)
    }

    /// Notes the broker's flag of a redelivery. An attempt of ours proves more, so it is not overwritten.
    #[must_use]
    pub fn redelivered(mut self, redelivered: bool) -> Self {
        if redelivered {
            self.ambiguity = self.ambiguity.or(Some(Ambiguity::Redelivered));
        }
        self
    }

    /// Notes an attempt that failed at `now`.
    pub fn failed(&mut self, failure: &Failure, now: SystemTime) {
        self.first_failed_at.get_or_insert(now);
        self.last_error = Some(failure.label);
        if failure.ambiguous {
            self.ambiguity = Some(Ambiguity::Attempt);
        }
    }
}
