//! The outcome of a call, as far as the flow needs to know it.

use std::time::Duration;

/// The outcome of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallOutcome {
    /// The endpoint revoked the token, or acknowledged the request.
    Revoked,
    /// The endpoint rejected the job, or does not know its token.
    Rejected,
    /// The same, of a token that an earlier call may have revoked. That is expected after a kill or lost answers, and
    /// says nothing about the client's secret.
    RejectedAsExpected,
    /// The endpoint answered, and refuses the client: its secret or its rights are wrong.
    Refused,
    /// The client is refused an access token, so no call was made. This says nothing about the endpoint.
    NoAccess,
    /// The endpoint itself did not answer, or the one that gives access tokens.
    Failed {
        /// Whether there are too many calls at a time: the limit should fall.
        overload: bool,
        /// Whether the server is up, and says that it has too much to do (429). While it works on other
        /// calls of ours, that is not an outage.
        busy: bool,
        /// Whether the failure belongs to this job alone, and so says nothing about the endpoint.
        job_fault: bool,
        /// The server's `Retry-After`, clamped.
        retry_after: Option<Duration>,
    },
}

impl CallOutcome {
    /// Whether the endpoint answered a job. A refused client proves nothing about jobs.
    #[must_use]
    pub const fn is_answer(&self) -> bool {
        matches!(self, Self::Revoked | Self::Rejected | Self::RejectedAsExpected)
    }
}
