//! How a delivery ends for its job, and what that means for the broker.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use super::{fingerprint::Fingerprint, history::History};

/// How one delivery of a job ended. The first two end the job, the last two put it off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing is left to do.
    Done(Ending),
    /// It goes to the dead-letter queue.
    DeadLettered(DeadLetter),
    /// It goes to a retry queue.
    Parked(Parking),
    /// It goes back to the broker as it came.
    HandedBack,
}

/// How a job ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ending {
    /// The endpoint said so.
    Revoked,
    /// The endpoint rejected it after an ambiguous attempt of ours, and the operator chose to take
    /// that for success.
    PresumedRevoked,
    /// This worker revoked the same token a short while ago.
    Duplicate,
    /// The token died by itself, by its producer's word.
    Expired,
}

impl Ending {
    /// Every ending.
    pub const ALL: [Self; 4] =
        [Self::Revoked, Self::PresumedRevoked, Self::Duplicate, Self::Expired];

    /// Its name in metrics and journals.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Revoked => "revoked",
            Self::PresumedRevoked => "presumed_revoked",
            Self::Duplicate => "duplicate",
            Self::Expired => "expired",
        }
    }

    /// The ending of that name, as [`Ending::as_str`] spells it.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|ending| ending.as_str() == name)
    }
}

/// What becomes of the delivery, each with what happened to the job so far. A broker needs that only
/// where the job goes to another queue; a journal is the only one who keeps it, and needs it always.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement<'a> {
    /// It is acked.
    Done(Ending, &'a History),
    /// Its dead letter is published and confirmed, then it is acked.
    DeadLetter(&'a DeadLetter),
    /// It is published to a retry queue and confirmed, then it is acked.
    Park(&'a Parking),
    /// It is requeued.
    HandBack(&'a History),
}

impl Outcome {
    /// What becomes of the delivery of a job with this history.
    #[must_use]
    pub const fn settlement<'a>(&'a self, history: &'a History) -> Settlement<'a> {
        match self {
            Self::Done(ending) => Settlement::Done(*ending, history),
            Self::DeadLettered(letter) => Settlement::DeadLetter(letter),
            Self::Parked(parking) => Settlement::Park(parking),
            Self::HandedBack => Settlement::HandBack(history),
        }
    }
}

/// Why a job is a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The endpoint rejected it.
    Rejected,
    /// The endpoint rejected it, but the token may already have been revoked.
    RejectedAfterAmbiguity,
    /// Its body is no job.
    InvalidJob,
    /// No secret is known for its client.
    UnknownClient,
    /// It failed for longer than the operator allows while others were answered.
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

    /// Its name in headers, metrics and logs.
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

    /// The reason of that name, as [`Reason::as_str`] spells it.
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

/// What a dead letter says of its job, besides the job itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Why it is dead.
    pub reason: Reason,
    /// One sentence for a person, without any secret of the job.
    pub detail: String,
    /// The endpoint's code, if it gave one.
    pub code: Option<String>,
    /// The HTTP status of the last answer, if there was one.
    pub http_status: Option<u16>,
    /// The token's fingerprint, if the body could be read that far.
    pub fingerprint: Option<Fingerprint>,
    /// What happened before.
    pub history: History,
    /// When it died.
    pub dead_at: SystemTime,
}

/// A stay in a retry queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parking {
    /// How long: one of the delays that the retry queues are made for.
    pub delay: Duration,
    /// What happened before, this stay counted.
    pub history: History,
}
