//! What has happened to a job so far, over all its deliveries that we know of.

use std::time::{Duration, SystemTime};

use super::verdict::{Failure, ResultLabel};

/// Why a token may already be revoked although no answer said so. The greater proves more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Ambiguity {
    /// The broker delivered the job before, and what became of that delivery is not known. It also
    /// marks jobs that were only ever waiting, so it proves less than [`Ambiguity::Attempt`].
    Redelivered,
    /// An attempt of ours ended after the request began to go out.
    Attempt,
}

impl Ambiguity {
    /// Its name in headers and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Attempt => "attempt",
            Self::Redelivered => "redelivered",
        }
    }

    /// The ambiguity of that name, as [`Ambiguity::as_str`] spells it.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Attempt, Self::Redelivered].into_iter().find(|ambiguity| ambiguity.as_str() == name)
    }
}

/// A job's past: what travels in our headers through a stay in a retry queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct History {
    /// Calls known to have been made.
    pub attempts: u32,
    /// Stays in a retry queue.
    pub stays: u32,
    /// When the first attempt failed, its own or that of a job that it followed.
    pub first_failed_at: Option<SystemTime>,
    /// What the last failed attempt came to.
    pub last_error: Option<ResultLabel>,
    /// Whether, and why, the token may already be revoked.
    pub ambiguity: Option<Ambiguity>,
    /// How long its client or the worker was paused since the first failure: up to `parked_at`, or up to now.
    pub paused: Duration,
    /// When it was put off the last time; the pauses since then are counted when it comes again.
    pub parked_at: Option<SystemTime>,
}

impl History {
    /// No longer pause is believed or counted: whoever forges one delays the end of his own job, and no more than
    /// this.
    pub const MOST_PAUSED: Duration = Duration::from_secs(365 * 24 * 60 * 60);

    /// How long the job has been failing, pauses not counted. `None` where the first failure is still to come: the
    /// clock was stepped back since.
    #[must_use]
    pub fn age(&self, now: SystemTime) -> Option<Duration> {
        let since = now.duration_since(self.first_failed_at?).ok()?;
        Some(since.saturating_sub(self.paused))
    }

    /// The pauses in milliseconds, for a header or a journal: no less than they lasted.
    #[must_use]
    pub fn paused_millis(&self) -> u64 {
        let paused = self.paused.min(Self::MOST_PAUSED);
        u64::try_from(paused.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
    }

    /// The pauses that a header or a journal tells of, within bounds.
    #[must_use]
    pub fn paused_for(millis: u64) -> Duration {
        Duration::from_millis(millis).min(Self::MOST_PAUSED)
    }

    /// Notes that the broker flags the delivery as seen before. An attempt of ours proves more, so it
    /// is not overwritten.
    #[must_use]
    pub fn redelivered(mut self, redelivered: bool) -> Self {
        if redelivered {
            self.ambiguity = self.ambiguity.or(Some(Ambiguity::Redelivered));
        }
        self
    }

    /// Notes one failed attempt, seen at `now`.
    pub fn failed(&mut self, failure: &Failure, now: SystemTime) {
        self.first_failed_at.get_or_insert(now);
        self.last_error = Some(failure.label);
        if failure.ambiguous {
            self.ambiguity = Some(Ambiguity::Attempt);
        }
    }
}
