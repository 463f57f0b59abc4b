//! Waiting for confirms.

use std::time::Duration;

use super::{
    connection::Connection,
    link::{self, Link, Silence},
};

/// Awaits what is to be sent and confirmed, `limit` at most. While the broker blocks the connection nothing
/// can come, so the deadline stands still, and `blocked` is told. Sending waits as well then, so the deadline
/// covers it too.
///
/// # Errors
///
/// [`Silence`] if the work did not end.
pub(super) async fn in_time<T>(
    connection: &Connection,
    work: impl Future<Output = T>,
    limit: Duration,
    blocked: &impl Fn(bool),
) -> Result<T, Silence> {
    let counts = |link| {
        blocked(link == Link::Blocked);
        link == Link::Up
    };
    let look = || Link::of(connection.status());
    link::await_with(look, limit, work, counts).await
}
