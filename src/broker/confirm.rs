//! Waiting for what the broker has to do, and noticing when it never will.

use std::{pin::pin, time::Duration};

use lapin::Connection;
use thiserror::Error;
use tokio::time::timeout;

use super::connect::GONE;

/// How often a wait looks at its connection.
const LOOK_EVERY: Duration = Duration::from_millis(100);

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

/// What can be expected of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    /// Answers.
    Up,
    /// None for now: the broker blocks it.
    Blocked,
    /// None any more.
    Gone,
}

impl Link {
    /// What can be expected of `connection` now.
    pub fn of(connection: &Connection) -> Self {
        let status = connection.status();
        if !status.connected() {
            Self::Gone
        } else if status.blocked() {
            Self::Blocked
        } else {
            Self::Up
        }
    }
}

/// Awaits what the broker has to do, `limit` at most. While the broker blocks the connection nothing can
/// come, so the deadline stands still, and `blocked` is told. Sending waits as well then, so the deadline
/// covers it too. `look` tells how the connection is: lapin's promises may stay unkept for ever when it is
/// lost in the midst of sending, and the letters would wait for the deadline in vain.
///
/// # Errors
///
/// That of the work, or [`Unconfirmed`] if it did not end.
pub(super) async fn in_time<T>(
    look: impl Fn() -> Link,
    work: impl Future<Output = Result<T, Unconfirmed>>,
    limit: Duration,
    blocked: &impl Fn(bool),
) -> Result<T, Unconfirmed> {
    let mut work = pin!(work);
    let mut left = limit;
    while !left.is_zero() {
        let slice = LOOK_EVERY.min(left);
        if let Ok(done) = timeout(slice, work.as_mut()).await {
            return done;
        }
        let link = look();
        if link == Link::Gone {
            return Err(Unconfirmed::Failed(GONE.to_owned()));
        }
        blocked(link == Link::Blocked);
        if link == Link::Up {
            left -= slice;
        }
    }
    Err(Unconfirmed::TimedOut)
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, future::pending};

    use tokio::time::{Instant, sleep};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);
    const DAY: Duration = Duration::from_secs(86_400);

    /// Waits for what never comes, on a connection that is `link`; after how long, and with what.
    async fn in_vain(link: impl Fn() -> Link) -> (Duration, Result<(), Unconfirmed>) {
        let began = Instant::now();
        let ended = in_time(link, pending(), LIMIT, &|_| {}).await;
        (began.elapsed(), ended)
    }

    #[tokio::test(start_paused = true)]
    async fn a_broker_that_is_silent_is_waited_for_until_the_limit() {
        let (waited, ended) = in_vain(|| Link::Up).await;
        assert_eq!(ended, Err(Unconfirmed::TimedOut));
        assert!(waited >= LIMIT && waited < LIMIT * 2, "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_is_gone_is_not_waited_for() {
        let (waited, ended) = in_vain(|| Link::Gone).await;
        assert_eq!(ended, Err(Unconfirmed::Failed(GONE.to_owned())));
        assert!(waited < LIMIT / 2, "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_limit_stands_still_while_the_broker_blocks() {
        let told = Cell::new(false);
        let work = async {
            sleep(DAY).await;
            Ok(())
        };
        let ended = in_time(|| Link::Blocked, work, LIMIT, &|blocked| told.set(blocked)).await;
        assert_eq!((ended, told.get()), (Ok(()), true));
    }
}
