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
    /// The endpoint took the request, and said nothing of this token.
    Acknowledged,
    /// The endpoint will revoke the token later.
    Accepted,
    /// The token does not exist any more, according to the endpoint.
    Gone,
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
    pub const ALL: [Self; 7] = [
        Self::Revoked,
        Self::Acknowledged,
        Self::Accepted,
        Self::Gone,
        Self::PresumedRevoked,
        Self::Duplicate,
        Self::Expired,
    ];

    /// The name in metrics and journals.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Revoked => "revoked",
            Self::Acknowledged => "acknowledged",
            Self::Accepted => "accepted",
            Self::Gone => "gone",
            Self::PresumedRevoked => "presumed_revoked",
            Self::Duplicate => "duplicate",
            Self::Expired => "expired",
        }
    }

    /// Whether the endpoint's own answer to this job ended it.
    #[must_use]
    pub const fn is_answered(self) -> bool {
        match self {
            Self::Revoked | Self::Acknowledged | Self::Accepted | Self::Gone => true,
            Self::PresumedRevoked | Self::Duplicate | Self::Expired => false,
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
    /// The token does not exist any more, and the operator wants to know.
    Gone,
    /// The endpoint took the request, and the token is still active.
    StillActive,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 8] = [
        Self::Rejected,
        Self::RejectedAfterAmbiguity,
        Self::InvalidJob,
        Self::UnknownClient,
        Self::Exhausted,
        Self::InternalError,
        Self::Gone,
        Self::StillActive,
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
            Self::Gone => "gone",
            Self::StillActive => "still_active",
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
