//! Why a session ended.

use std::time::Duration;

use lapin::types::ShortString;
use tokio::time::{Instant, sleep, timeout};

use super::{
    advice::{Suspicion, suspicion},
    cause::{CloseCause, GONE},
    connect::NO_ANSWER,
    connection::Connection,
    connection_errors::{ConnectionErrors, is_aftermath},
    settings::Declare,
    topology::{self, TopologyError},
    wait::NoAnswer,
};
use crate::metrics::SessionEndReason;

/// The limit of asking whether a queue exists: the session is over, and the next one waits.
const ASKED_FOR: Duration = Duration::from_secs(2);

/// A queue that is being deleted is gone within this time.
const SETTLES_WITHIN: Duration = Duration::from_millis(500);

/// The interval of that question.
const ASK_AGAIN: Duration = Duration::from_millis(50);

/// The cause of a session's end.
#[derive(Debug)]
pub(super) enum SessionBreak {
    /// The worker stopped, and all settlements are sent.
    Closed,
    /// A consumer, an acker or a command failed, or lapin announced this error.
    Failed(lapin::Error),
    /// The deliveries ended, and the worker had not asked for it.
    Cancelled,
    Silent(NoAnswer),
    /// Jobs wait, and the broker delivers none.
    Starving,
    /// The worker failed, for this reason.
    Broken(&'static str),
}

/// The end of a session, for the metric and the log.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SessionEnd {
    pub(super) reason: SessionEndReason,
    /// The cause, in the words of the broker or of the client library.
    pub(super) cause: String,
    /// Whether a message may be the cause.
    pub(super) suspicion: Suspicion,
}

impl SessionEnd {
    fn new(reason: SessionEndReason, cause: impl Into<String>) -> Self {
        Self { reason, cause: cause.into(), suspicion: Suspicion::None }
    }

    pub(super) async fn of(
        broken: SessionBreak,
        errors: &mut ConnectionErrors,
        connection: &Connection,
        queue: &ShortString,
        declare: Declare,
    ) -> Self {
        let status = connection.status();
        match broken {
            SessionBreak::Closed => Self::new(SessionEndReason::Shutdown, "the worker stopped"),
            SessionBreak::Failed(error) => {
                Self::failed(&errors.cause_of(error, status).await, connection)
            }
            // The stream of deliveries ends without a reason.
            SessionBreak::Cancelled if !status.connected() => Self::lost(errors, connection).await,
            SessionBreak::Silent(NoAnswer::Gone) => Self::lost(errors, connection).await,
            SessionBreak::Silent(NoAnswer::TooLong) => {
                Self::new(SessionEndReason::ConnectionLost, NO_ANSWER)
            }
            SessionBreak::Cancelled => {
                let why = why_cancelled(connection, queue, declare).await;
                Self::new(SessionEndReason::ConsumerCancelled, why)
            }
            SessionBreak::Starving => Self::new(
                SessionEndReason::ConsumerCancelled,
                format!("jobs wait in {queue}, and the broker delivers none"),
            ),
            SessionBreak::Broken(how) => Self::new(SessionEndReason::ChannelClosed, how),
        }
    }

    fn failed(error: &lapin::Error, connection: &Connection) -> Self {
        let unexplained = is_aftermath(error);
        if unexplained && connection.status().connected() {
            return Self::new(SessionEndReason::ChannelClosed, "the broker closed the channel");
        }
        let reason = if error.is_amqp_soft_error() {
            SessionEndReason::ChannelClosed
        } else {
            SessionEndReason::ConnectionLost
        };
        // The stream reports its failure more precisely than lapin.
        let by_stream =
            (unexplained || error.is_io_error()).then(|| connection.stream().cause()).flatten();
        let cause = by_stream.unwrap_or_else(|| CloseCause::of(error));
        Self { reason, cause: cause.to_string(), suspicion: suspicion(error) }
    }

    async fn lost(errors: &mut ConnectionErrors, connection: &Connection) -> Self {
        if let Some(error) = errors.behind(connection.status()).await {
            return Self::failed(&error, connection);
        }
        let cause = connection.stream().cause().unwrap_or_else(|| CloseCause::from_text(GONE));
        Self::new(SessionEndReason::ConnectionLost, cause.to_string())
    }
}

/// Explains a cancelled consumer: the broker gives no reason, so the queue is checked.
async fn why_cancelled(connection: &Connection, queue: &ShortString, declare: Declare) -> String {
    match timeout(ASKED_FOR, presence(connection, queue)).await {
        Ok(Err(TopologyError::Missing { .. })) if declare.makes_missing() => {
            format!("queue {queue} was deleted; it is declared again by itself")
        }
        Ok(Err(TopologyError::Missing { .. })) => {
            format!("queue {queue} was deleted, and broker.declare is false")
        }
        Ok(Ok(_)) => format!(
            "the broker cancelled the consumer of {queue}: the queue moved, or a delivery was held \
             for longer than the broker's consumer_timeout"
        ),
        Ok(Err(_)) | Err(_) => format!("the broker cancelled the consumer of {queue}"),
    }
}

/// Asks whether the queue exists. RabbitMQ 4.3 cancels the consumers of a deleted queue before the queue is gone. So an
/// existing queue is checked again for a while.
async fn presence(
    connection: &Connection,
    queue: &ShortString,
) -> Result<topology::Occupancy, TopologyError> {
    let settled = Instant::now() + SETTLES_WITHIN;
    loop {
        let answer = topology::occupancy(connection, queue, topology::ANSWER_LIMIT).await;
        let missing = matches!(answer, Err(TopologyError::Missing { .. }));
        if missing || Instant::now() >= settled || !connection.status().connected() {
            return answer;
        }
        sleep(ASK_AGAIN).await;
    }
}
