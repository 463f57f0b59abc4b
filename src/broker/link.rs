//! How a connection is, for whoever waits for what its broker has to do.
//!
//! lapin's promises may stay unkept for ever when their connection is lost at the wrong moment, so none is
//! awaited by itself: a wait looks at its connection as well, and ends with it.

use std::{pin::pin, time::Duration};

use lapin::ConnectionStatus;
use thiserror::Error;
use tokio::time::timeout;

use super::{cause::GONE, connect::NO_ANSWER, connection::Outlook};

/// How often a wait looks at its connection.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What can be expected of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// Answers.
    Up,
    /// Answers, but for what is published: that is not read for now.
    Blocked,
    /// Answers, but nothing is read: too much of what it delivered is still in flight.
    Stalled,
    /// Nothing any more.
    Gone,
}

impl Link {
    /// What can be expected of the connection of that status now.
    pub fn of(status: &ConnectionStatus) -> Self {
        // One that is being closed has its goodbye to wait for.
        if !status.connected() && !status.closing() {
            Self::Gone
        } else if status.blocked() {
            Self::Blocked
        } else {
            Self::Up
        }
    }
}

/// Why a wait ended without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Silence {
    /// There is nobody to give one.
    #[error("{GONE}")]
    Gone,
    /// None came in time.
    #[error("{NO_ANSWER}")]
    TooLong,
}

/// Awaits what the broker of a connection has to do, `limit` at most.
///
/// # Errors
///
/// [`Silence`].
pub async fn answer<T>(
    status: &ConnectionStatus,
    limit: Duration,
    work: impl Future<Output = T>,
) -> Result<T, Silence> {
    await_with(|| Link::of(status), limit, work, |_| true).await
}

/// The same on a connection that may not be read for a while: such time does not count, for the answers wait
/// behind what is not read.
///
/// # Errors
///
/// [`Silence`].
pub async fn answer_read<T>(
    outlook: &Outlook,
    limit: Duration,
    work: impl Future<Output = T>,
) -> Result<T, Silence> {
    await_with(|| outlook.link(), limit, work, |link| link != Link::Stalled).await
}

/// Awaits `work` on a connection that is as `look` says. The time goes by while `counts` says so of what was
/// seen.
///
/// # Errors
///
/// [`Silence`].
pub async fn await_with<T>(
    mut look: impl FnMut() -> Link,
    limit: Duration,
    work: impl Future<Output = T>,
    counts: impl Fn(Link) -> bool,
) -> Result<T, Silence> {
    let mut work = pin!(work);
    let mut left = limit;
    while !left.is_zero() {
        let slice = LOOK_EVERY.min(left);
        if let Ok(done) = timeout(slice, work.as_mut()).await {
            return Ok(done);
        }
        match look() {
            Link::Gone => return Err(Silence::Gone),
            link if counts(link) => left -= slice,
            _ => {}
        }
    }
    Err(Silence::TooLong)
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::time::{Instant, sleep};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);
    const DAY: Duration = Duration::from_secs(86_400);

    /// Waits for what never comes, on a connection that is `link`; after how long, and with what.
    async fn in_vain(link: Link) -> (Duration, Result<(), Silence>) {
        let began = Instant::now();
        let ended = await_with(|| link, LIMIT, pending(), |_| true).await;
        (began.elapsed(), ended)
    }

    #[tokio::test(start_paused = true)]
    async fn a_broker_that_is_silent_is_waited_for_until_the_limit() {
        for link in [Link::Up, Link::Blocked] {
            let (waited, ended) = in_vain(link).await;
            assert_eq!(ended, Err(Silence::TooLong));
            assert!(waited >= LIMIT && waited < LIMIT * 2, "{waited:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_is_gone_is_not_waited_for() {
        let (waited, ended) = in_vain(Link::Gone).await;
        assert_eq!(ended, Err(Silence::Gone));
        assert!(waited < LIMIT / 2, "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn time_that_does_not_count_does_not_run_out() {
        let ended = await_with(|| Link::Blocked, LIMIT, sleep(DAY), |link| link == Link::Up).await;
        assert_eq!(ended, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_counts_that_came_before_the_end() {
        let ended = await_with(|| Link::Gone, LIMIT, async { 1 }, |_| true).await;
        assert_eq!(ended, Ok(1));
    }
}
