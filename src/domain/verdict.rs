//! The verdict of one attempt.

use std::time::Duration;

use super::{failure_class::FailureClass, named::named};

named! {
    /// The result of one attempt: the label `result` of the metric of calls.
    pub enum ResultLabel {
        /// The endpoint revoked the token.
        Revoked = "revoked",
        /// The endpoint accepted the request, but its answer does not mention this token.
        Acknowledged = "acknowledged",
        /// The endpoint will revoke the token later.
        Accepted = "accepted",
        /// The token does not exist any more, according to the endpoint.
        Gone = "gone",
        /// The endpoint rejected the job.
        Rejected = "rejected",
        /// The endpoint refused our client: its secret or its rights are wrong.
        Misconfigured = "misconfigured",
        /// Not sent: DNS, connection refused, time-out while connecting.
        Connect = "connect",
        /// Not sent: the TLS handshake failed.
        Tls = "tls",
        /// No complete response in time.
        Timeout = "timeout",
        /// The connection broke after a part of the request was sent.
        Reset = "reset",
        /// A redirect: never followed, never read.
        Http3xx = "http_3xx",
        /// Status 408.
        Http408 = "http_408",
        /// Status 429.
        Http429 = "http_429",
        /// Any status 5xx.
        Http5xx = "http_5xx",
        /// Any other response that is not the endpoint's own.
        Http4xx = "http_4xx",
        /// An envelope that contradicts itself, or a 2xx without one.
        Unrecognized = "unrecognized",
    }
}

impl ResultLabel {
    /// Whether the endpoint itself answered the job. Any other call proved nothing, and the job is retried.
    #[must_use]
    pub const fn is_answer(self) -> bool {
        matches!(
            self,
            Self::Revoked | Self::Acknowledged | Self::Accepted | Self::Gone | Self::Rejected
        )
    }
}

/// The verdict of one attempt. Only the endpoint's own answer can end a job. Any other response proves
/// nothing, so the job is retried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The answer says that this token is revoked.
    Revoked,
    /// The endpoint accepted the request. Its answer does not mention this token, so it proves less than
    /// [`Verdict::Revoked`].
    Acknowledged,
    /// The endpoint will revoke the token later.
    Accepted,
    /// The answer says that the token does not exist any more.
    Gone(Rejection),
    /// The answer rejects the job.
    Rejected(Rejection),
    /// The token was checked, and is dead.
    Verified,
    /// The token was checked, and is still active despite this answer.
    StillActive(ResultLabel),
    /// Nothing is proved: the job is retried.
    Transient(Failure),
}

impl Verdict {
    /// Whether a call was made.
    #[must_use]
    pub const fn is_of_a_call(&self) -> bool {
        let Self::Transient(Failure { blame, .. }) = self else { return true };
        !matches!(blame, Blame::Access | Blame::TokenEndpoint)
    }

    /// The label of the attempt in the metric of calls.
    #[must_use]
    pub const fn label(&self) -> ResultLabel {
        match self {
            Self::Revoked | Self::Verified => ResultLabel::Revoked,
            Self::Acknowledged => ResultLabel::Acknowledged,
            Self::Accepted => ResultLabel::Accepted,
            Self::Gone(_) => ResultLabel::Gone,
            Self::StillActive(answer) => *answer,
            Self::Rejected(_) => ResultLabel::Rejected,
            Self::Transient(failure) => failure.label,
        }
    }
}

/// The endpoint's answer to a job that it does not carry out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// The endpoint's code; empty if it gave none.
    pub code: String,
    /// The endpoint's text, redacted and cut; `None` if it gave none.
    pub message: Option<String>,
    /// The HTTP status of the answer.
    pub http_status: u16,
}

/// A failed attempt, which proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// The kind of failure.
    pub label: ResultLabel,
    /// What was wrong, more closely.
    pub class: FailureClass,
    /// Whether the call may have revoked the token nevertheless.
    pub ambiguous: bool,
    /// The HTTP status, if there was a response.
    pub http_status: Option<u16>,
    /// The size of the body in bytes, as far as it was read.
    pub size: Option<usize>,
    /// The `Retry-After` of the response, as sent.
    pub retry_after: Option<Duration>,
    /// The origin of the failure.
    pub blame: Blame,
}

impl Failure {
    /// A failure without a response.
    #[must_use]
    pub const fn unanswered(label: ResultLabel, ambiguous: bool) -> Self {
        Self {
            label,
            class: FailureClass::of_label(label),
            ambiguous,
            http_status: None,
            size: None,
            retry_after: None,
            blame: Blame::Transport,
        }
    }
}

/// The origin of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Blame {
    /// The network, a gateway or the endpoint as a whole.
    Transport,
    /// This job alone: a 5xx whose body rejects it.
    Job,
    /// The job's client: the endpoint refuses its secret or its rights.
    Client,
    /// The client's access token: it is refused, so no call was made.
    Access,
    /// The token endpoint as a whole: it gave no access token, so no call was made.
    TokenEndpoint,
}
