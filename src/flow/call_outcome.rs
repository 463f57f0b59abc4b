//! What a call showed, as far as the flow needs to know.

use std::time::Duration;

/// What a call showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallOutcome {
    /// The endpoint did what it was asked.
    Revoked,
    /// The endpoint answered, and refused.
    Rejected,
    /// No answer of the endpoint's own.
    Failed {
        /// Too many calls at a time: the limit should fall.
        overload: bool,
        /// The server is up, and says that it has too much to do: while it works on other calls of
        /// ours, that is no weather.
        busy: bool,
        /// The job's own trouble, and so no evidence of weather.
        own_trouble: bool,
        /// For how long the server asked to be left alone, clamped.
        retry_after: Option<Duration>,
    },
}

impl CallOutcome {
    /// Whether the endpoint answered by its own word.
    #[must_use]
    pub const fn is_answer(&self) -> bool {
        matches!(self, Self::Revoked | Self::Rejected)
    }
}
