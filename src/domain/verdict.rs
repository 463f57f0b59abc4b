//! What one attempt showed.

use std::{fmt, time::Duration};

/// What one attempt came to, as the label `result` of the metric of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ResultLabel {
    /// The endpoint's own success.
    Revoked,
    /// The endpoint's own `01`.
    Rejected,
    /// Not sent: DNS, connection refused, time-out while connecting.
    Connect,
    /// Not sent: the TLS handshake failed.
    Tls,
    /// No whole answer in time.
    Timeout,
    /// The connection broke after the request began to go out.
    Reset,
    /// A redirect: never followed, never read.
    Http3xx,
    /// 408.
    Http408,
    /// 429.
    Http429,
    /// Any 5xx.
    Http5xx,
    /// An answer that is not the endpoint's, with a status that says nothing else.
    Http4xx,
    /// An envelope that contradicts itself, or a 2xx without one.
    Unrecognized,
}

impl ResultLabel {
    /// Every label.
    pub const ALL: [Self; 12] = [
        Self::Revoked,
        Self::Rejected,
        Self::Connect,
        Self::Tls,
        Self::Timeout,
        Self::Reset,
        Self::Http3xx,
        Self::Http408,
        Self::Http429,
        Self::Http5xx,
        Self::Http4xx,
        Self::Unrecognized,
    ];

    /// Its name in metrics, headers and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Revoked => "revoked",
            Self::Rejected => "rejected",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::Reset => "reset",
            Self::Http3xx => "http_3xx",
            Self::Http408 => "http_408",
            Self::Http429 => "http_429",
            Self::Http5xx => "http_5xx",
            Self::Http4xx => "http_4xx",
            Self::Unrecognized => "unrecognized",
        }
    }

    /// The label of that name, as [`ResultLabel::as_str`] spells it.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|label| label.as_str() == name)
    }
}

impl fmt::Display for ResultLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What one attempt showed. Only the endpoint's own envelope can revoke or reject; everything else is
/// weather and proves nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// `success` true together with code `00` in a 2xx answer.
    Revoked,
    /// The endpoint's own `01`.
    Rejected(Rejection),
    /// Nothing is proved: try again later.
    Transient(Failure),
}

impl Verdict {
    /// The label of the attempt in the metric of calls.
    #[must_use]
    pub const fn label(&self) -> ResultLabel {
        match self {
            Self::Revoked => ResultLabel::Revoked,
            Self::Rejected(_) => ResultLabel::Rejected,
            Self::Transient(failure) => failure.label,
        }
    }
}

/// What the endpoint said when it refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// The endpoint's code.
    pub code: String,
    /// The endpoint's text, redacted and cut; `None` if it gave none.
    pub message: Option<String>,
    /// The HTTP status that came with it.
    pub http_status: u16,
}

/// An attempt that proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// What happened.
    pub label: ResultLabel,
    /// Whether the call may have revoked the token all the same.
    pub ambiguous: bool,
    /// The HTTP status, if an answer came.
    pub http_status: Option<u16>,
    /// How long the server asked to be left alone (`Retry-After`), as it was sent.
    pub retry_after: Option<Duration>,
    /// Whose trouble it is.
    pub blame: Blame,
}

impl Failure {
    /// A failure of the way to the endpoint, with no answer.
    #[must_use]
    pub const fn unanswered(label: ResultLabel, ambiguous: bool) -> Self {
        Self { label, ambiguous, http_status: None, retry_after: None, blame: Blame::Weather }
    }
}

/// Whose trouble a failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Blame {
    /// Anything between us and the endpoint's own answer.
    Weather,
    /// The job's own: a 5xx that carries the endpoint's `01`.
    Job,
}
