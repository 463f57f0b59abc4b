//! Waiting for confirms.

use std::time::Duration;

use lapin::Connection;
use thiserror::Error;

use super::link::{self, Link, Silence};

/// Nothing is known of what was sent: it may stand in its queues, or not.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unconfirmed {
    /// The broker did not confirm in time.
    #[error("the broker does not confirm")]
    TimedOut,
    /// The channel or connection failed.
    #[error("{0}")]
    Failed(String),
}

/// Awaits what is to be sent and confirmed, `limit` at most. While the broker blocks the connection nothing
/// can come, so the deadline stands still, and `blocked` is told. Sending waits as well then, so the deadline
/// covers it too.
///
/// # Errors
///
/// That of the work, or [`Unconfirmed`] if it did not end.
pub(super) async fn in_time<T>(
    connection: &Connection,
    work: impl Future<Output = Result<T, Unconfirmed>>,
    limit: Duration,
    blocked: &impl Fn(bool),
) -> Result<T, Unconfirmed> {
    let counts = |link| {
        blocked(link == Link::Blocked);
        link == Link::Up
    };
    let look = || Link::of(connection.status());
    match link::await_with(look, limit, work, counts).await {
        Ok(done) => done,
        Err(Silence::TooLong) => Err(Unconfirmed::TimedOut),
        Err(gone @ Silence::Gone) => Err(Unconfirmed::Failed(gone.to_string())),
    }
}
