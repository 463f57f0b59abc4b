//! How one delivery of a job ends.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use super::fingerprint::Fingerprint;

/// How one delivery of a job ends. The first two end the job, the last two postpone it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing is left to do: the delivery is acked.
    Done(Completion),
    /// A dead letter is published and confirmed, then the delivery is acked.
    DeadLettered(DeadLetter),
    /// The job goes to the retry queue with this delay; once that is confirmed, the delivery is acked.
    Parked(Duration),
    /// The delivery is requeued.
    Requeued,
}

/// How a job ends well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Completion {
    /// The endpoint revoked the token.
    Revoked,
    /// The endpoint rejected the job after an ambiguous attempt of ours, and the operator chose to take
    /// that for success.
    PresumedRevoked,
    /// This worker revoked the same token a short while ago.
    Duplicate,
    /// The token expired, according to its producer.
    Expired,
}

impl Completion {
    /// Every value.
    pub const ALL: [Self; 4] =
        [Self::Revoked, Self::PresumedRevoked, Self::Duplicate, Self::Expired];

    /// The name in metrics and journals.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Revoked => "revoked",
            Self::PresumedRevoked => "presumed_revoked",
            Self::Duplicate => "duplicate",
            Self::Expired => "expired",
        }
    }

    /// The value with this name, as [`Completion::as_str`] spells it.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|completion| completion.as_str() == name)
    }
}

/// Why a job is dead-lettered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The endpoint rejected it.
    Rejected,
    /// The endpoint rejected it, but the token may already have been revoked.
    RejectedAfterAmbiguity,
    /// Its body is not a job.
    InvalidJob,
    /// No secret is configured for its client.
    UnknownClient,
    /// It failed for longer than the operator allows, while the endpoint answered other jobs.
    Exhausted,
    /// A fault of this worker.
    InternalError,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 6] = [
        Self::Rejected,
        Self::RejectedAfterAmbiguity,
        Self::InvalidJob,
        Self::UnknownClient,
        Self::Exhausted,
        Self::InternalError,
    ];

    /// The name in headers, metrics and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::RejectedAfterAmbiguity => "rejected_after_ambiguity",
            Self::InvalidJob => "invalid_job",
            Self::UnknownClient => "unknown_client",
            Self::Exhausted => "exhausted",
            Self::InternalError => "internal_error",
        }
    }

    /// The reason with this name, as [`Reason::as_str`] spells it.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == name)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a dead letter says about its job, besides the job and its history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Why the job is dead-lettered.
    pub reason: Reason,
    /// One sentence for a person, without any secret of the job.
    pub detail: String,
    /// The endpoint's code, if it gave one.
    pub code: Option<String>,
    /// The HTTP status of the last response, if there was one.
    pub http_status: Option<u16>,
    /// The token's fingerprint, if the token could be read.
    pub fingerprint: Option<Fingerprint>,
    /// When the job was dead-lettered.
    pub dead_at: SystemTime,
}
