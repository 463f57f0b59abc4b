//! How one delivery of a job ends.

use std::time::{Duration, SystemTime};

use super::{fingerprint::Fingerprint, named::named};

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

named! {
    /// The ways in which a job is done.
    pub enum Completion {
        /// The endpoint revoked the token.
        Revoked = "revoked",
        /// The endpoint accepted the request, without a statement about this token.
        Acknowledged = "acknowledged",
        /// The endpoint will revoke the token later.
        Accepted = "accepted",
        /// The token does not exist any more, according to the endpoint.
        Gone = "gone",
        /// The endpoint rejected the job after an ambiguous attempt of ours, and the operator chose to take
        /// that for success.
        PresumedRevoked = "presumed_revoked",
        /// This worker revoked the same token a short while ago.
        Duplicate = "duplicate",
        /// The token expired, according to its producer.
        Expired = "expired",
    }
}

impl Completion {
    /// Whether the endpoint's own answer ended this job.
    #[must_use]
    pub const fn is_answered(self) -> bool {
        match self {
            Self::Revoked | Self::Acknowledged | Self::Accepted | Self::Gone => true,
            Self::PresumedRevoked | Self::Duplicate | Self::Expired => false,
        }
    }
}

named! {
    /// Why a job is dead-lettered.
    pub enum Reason {
        /// The endpoint rejected it.
        Rejected = "rejected",
        /// The endpoint rejected it, but the token may already have been revoked.
        RejectedAfterAmbiguity = "rejected_after_ambiguity",
        /// Its body is not a job.
        InvalidJob = "invalid_job",
        /// No secret is configured for its client.
        UnknownClient = "unknown_client",
        /// It failed for longer than the operator allows, while the endpoint answered other jobs.
        Exhausted = "exhausted",
        /// A fault of this worker.
        InternalError = "internal_error",
        /// The token does not exist any more, and the operator wants such jobs dead-lettered.
        Gone = "gone",
        /// The token is still active after the endpoint answered.
        StillActive = "still_active",
    }
}

impl Reason {
    /// Whether the endpoint rejected the job, so that the same call would get the same answer.
    #[must_use]
    pub const fn is_rejection(self) -> bool {
        matches!(self, Self::Rejected | Self::RejectedAfterAmbiguity)
    }
}

/// The content of a dead letter, besides the job and its history.
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
