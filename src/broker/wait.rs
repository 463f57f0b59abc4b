//! The one way to wait for the broker: up to a limit, and no longer than the connection is open.
//!
//! A future of lapin may never complete when its connection is lost at the wrong moment. So each wait also checks
//! the connection, and ends when it is lost.

use std::{pin::pin, time::Duration};

use thiserror::Error;
use tokio::time::timeout;

use super::{cause::GONE, connect::NO_ANSWER, connection::Connection};

/// The time between two checks of the connection.
const CHECK_EVERY: Duration = Duration::from_millis(100);

/// The state of a connection, as it affects answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ConnectionState {
    /// The broker answers.
    Up,
    /// The broker answers, but does not read published messages.
    Blocked,
    /// The worker does not read: too many delivered bytes are in flight. Answers wait behind them.
    Stalled,
    /// No answer comes any more.
    Gone,
}

/// The error of a wait without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(super) enum NoAnswer {
    #[error("{GONE}")]
    Gone,
    #[error("{NO_ANSWER}")]
    TooLong,
}

impl Connection {
    pub(super) fn state(&self) -> ConnectionState {
        let status = self.status();
        // While it closes, the broker's answer to the close is still to come.
        if !status.connected() && !status.closing() {
            ConnectionState::Gone
        } else if status.blocked() {
            ConnectionState::Blocked
        } else if self.stream().is_stalled() {
            ConnectionState::Stalled
        } else {
            ConnectionState::Up
        }
    }

    /// Awaits an answer of the broker, up to `limit`.
    pub(super) async fn answer<T>(
        &self,
        limit: Duration,
        work: impl Future<Output = T>,
    ) -> Result<T, NoAnswer> {
        wait(|| self.state(), limit, work, |_| true).await
    }

    /// Awaits an answer of the broker, up to `limit`. Time counts only while the connection is read.
    pub(super) async fn answer_read<T>(
        &self,
        limit: Duration,
        work: impl Future<Output = T>,
    ) -> Result<T, NoAnswer> {
        wait(|| self.state(), limit, work, |state| state != ConnectionState::Stalled).await
    }

    /// Awaits a publish and its confirm, up to `limit`. Neither can proceed while the broker blocks the connection:
    /// such time does not count. `blocked` gets whether the connection is blocked.
    pub(super) async fn confirm<T>(
        &self,
        limit: Duration,
        work: impl Future<Output = T>,
        blocked: impl Fn(bool),
    ) -> Result<T, NoAnswer> {
        let counts = |state| {
            blocked(state == ConnectionState::Blocked);
            state == ConnectionState::Up
        };
        wait(|| self.state(), limit, work, counts).await
    }
}

/// Awaits `work` on a connection in the state that `state` returns. Time counts while `counts` is true of that state.
async fn wait<T>(
    state: impl Fn() -> ConnectionState,
    limit: Duration,
    work: impl Future<Output = T>,
    counts: impl Fn(ConnectionState) -> bool,
) -> Result<T, NoAnswer> {
    let mut work = pin!(work);
    let mut left = limit;
    while !left.is_zero() {
        let slice = CHECK_EVERY.min(left);
        if let Ok(done) = timeout(slice, work.as_mut()).await {
            return Ok(done);
        }
        match state() {
            ConnectionState::Gone => return Err(NoAnswer::Gone),
            state if counts(state) => left -= slice,
            _ => {}
        }
    }
    Err(NoAnswer::TooLong)
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::time::{Instant, sleep};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);
    const DAY: Duration = Duration::from_secs(86_400);

    /// Awaits an answer that never comes, on a connection in `state`. Returns the elapsed time and the error.
    async fn in_vain(state: ConnectionState) -> (Duration, Result<(), NoAnswer>) {
        let began = Instant::now();
        let ended = wait(|| state, LIMIT, pending(), |_| true).await;
        (began.elapsed(), ended)
    }

    #[tokio::test(start_paused = true)]
    async fn a_broker_that_is_silent_is_waited_for_until_the_limit() {
        for state in [ConnectionState::Up, ConnectionState::Blocked] {
            let (waited, ended) = in_vain(state).await;
            assert_eq!(ended, Err(NoAnswer::TooLong));
            assert!(waited >= LIMIT && waited < LIMIT * 2, "{waited:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_is_gone_is_not_waited_for() {
        let (waited, ended) = in_vain(ConnectionState::Gone).await;
        assert_eq!(ended, Err(NoAnswer::Gone));
        assert!(waited < LIMIT / 2, "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn time_that_does_not_count_does_not_run_out() {
        let ended = wait(
            || ConnectionState::Blocked,
            LIMIT,
            sleep(DAY),
            |state| state == ConnectionState::Up,
        )
        .await;
        assert_eq!(ended, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_counts_that_came_before_the_end() {
        let ended = wait(|| ConnectionState::Gone, LIMIT, async { 1 }, |_| true).await;
        assert_eq!(ended, Ok(1));
    }
}
