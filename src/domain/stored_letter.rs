//! A dead letter in its queue, as read from its headers, its body and the broker.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use super::{
    fingerprint::Fingerprint, history::Ambiguity, lane::Lane, message_metadata::JobId,
    outcome::Reason,
};

/// Why a message is in the dead-letter queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeadReason {
    /// A worker states this reason.
    Stated(Reason),
    /// The broker itself dead-lettered it, for a producer's `expiration` or a delivery limit.
    BrokerDropped,
    /// It states a reason that this version does not know.
    Other,
}

impl DeadReason {
    /// Every reason, in the order in which they are counted and shown.
    pub const ALL: [Self; Reason::ALL.len() + 2] = {
        let mut all = [Self::Other; Reason::ALL.len() + 2];
        let mut nth = 0;
        while nth < Reason::ALL.len() {
            all[nth] = Self::Stated(Reason::ALL[nth]);
            nth += 1;
        }
        all[nth] = Self::BrokerDropped;
        all
    };

    /// The name on the command line and in tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stated(reason) => reason.as_str(),
            Self::BrokerDropped => "broker_dropped",
            Self::Other => "other",
        }
    }

    /// Whether the endpoint rejected the job, so that the same call would get the same answer.
    #[must_use]
    pub const fn is_rejection(self) -> bool {
        matches!(self, Self::Stated(reason) if reason.is_rejection())
    }

    /// The reason with this name, as [`DeadReason::as_str`] spells it.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == name)
    }
}

impl fmt::Display for DeadReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A dead letter without its body. Every text is one line and shows no token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredLetter {
    /// Why it is there.
    pub reason: DeadReason,
    /// One sentence for a person.
    pub detail: String,
    /// The id under which the job appeared in the logs.
    pub id: JobId,
    /// The token's fingerprint, if the body or a header of ours has it.
    pub fingerprint: Option<Fingerprint>,
    /// Whether the body is a job.
    pub is_job: bool,
    /// The body's length, in bytes.
    pub body_bytes: usize,
    /// The lane of the job, if known.
    pub lane: Option<Lane>,
    /// The client of its call, as far as it may be shown.
    pub client_id: Option<String>,
    /// The fingerprint of that client's id, for comparisons.
    pub client: Option<Fingerprint>,
    /// The endpoint's code, if it gave one.
    pub code: Option<String>,
    /// The HTTP status of the last answer, if there was one.
    pub http_status: Option<u32>,
    /// How many calls are known to have been made.
    pub attempts: Option<u32>,
    /// The result of the last attempt.
    pub last_error: Option<String>,
    /// When its producer sent it, according to the producer.
    pub published_at: Option<SystemTime>,
    /// When its first attempt failed.
    pub first_failed_at: Option<SystemTime>,
    /// When it was dead-lettered.
    pub dead_at: Option<SystemTime>,
    /// Why its token may already be revoked, if it may.
    pub ambiguity: Option<Ambiguity>,
    /// How often it was replayed.
    pub replays: u32,
    /// Whether headers of its producer were dropped for their size.
    pub headers_dropped: bool,
}

impl StoredLetter {
    /// How long ago it was dead-lettered; zero for a time in the future.
    #[must_use]
    pub fn age(&self, now: SystemTime) -> Option<Duration> {
        self.dead_at.map(|at| now.duration_since(at).unwrap_or_default())
    }

    /// Whether this is its client. The shown id may be redacted, because a token may contain it.
    #[must_use]
    pub fn is_of(&self, client_id: &str) -> bool {
        self.client == Some(Fingerprint::of(client_id))
    }

    /// Whether `name` identifies this message: its job id, its fingerprint, or a message id that is shown as its
    /// fingerprint.
    #[must_use]
    pub fn matches_id(&self, name: &str) -> bool {
        self.id.as_str() == name
            || (!self.is_job && self.id.as_str() == Fingerprint::of(name).to_string())
            || self.fingerprint.is_some_and(|fingerprint| fingerprint.to_string() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_of_a_worker_has_its_place_and_every_name_is_read_again() {
        for reason in Reason::ALL {
            assert!(DeadReason::ALL.contains(&DeadReason::Stated(reason)), "{reason}");
        }
        for reason in DeadReason::ALL {
            assert_eq!(DeadReason::from_name(reason.as_str()), Some(reason));
        }
        assert_eq!(DeadReason::from_name("nonsense"), None);
    }
}
