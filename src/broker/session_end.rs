//! How a session ends.

use std::time::Duration;

use lapin::types::ShortString;
use tokio::time::{Instant, sleep, timeout};

use super::{
    advice::{Suspicion, suspicion},
    cause::{CloseCause, GONE},
    connect::NO_ANSWER,
    connection::Connection,
    connection_errors::{ConnectionErrors, is_aftermath},
    topology::{self, TopologyError},
    wait::NoAnswer,
};
use crate::metrics::SessionEndReason;

/// Whether a queue is still there is asked for so long: the session is over, and the next one waits.
const ASKED_FOR: Duration = Duration::from_secs(2);

/// A queue that is being deleted is gone within this time.
const SETTLES_WITHIN: Duration = Duration::from_millis(500);

/// How often it is asked.
const ASK_AGAIN: Duration = Duration::from_millis(50);

/// What ended a session.
#[derive(Debug)]
pub enum SessionBreak {
    /// The worker stops, and everything is told.
    Closed,
    /// A consumer, an acker or a command got this error, or it was announced.
    Failed(lapin::Error),
    /// The consumer's deliveries came to an end, and nobody here had asked for that.
    Cancelled,
    /// The broker did not answer.
    Silent(NoAnswer),
    /// Jobs wait, and none is delivered.
    Starving,
    /// A delivery's tag was not the next one: acks would go astray.
    OutOfOrder,
    /// A task of the session panicked.
    Panicked,
}

/// A session's end, for the metric and for a person.
#[derive(Debug, PartialEq, Eq)]
pub struct SessionEnd {
    /// What ended it.
    pub by: SessionEndReason,
    /// The cause, in the words of the broker or of the client library.
    pub cause: String,
    /// Whether a message may be behind it.
    pub suspicion: Suspicion,
}

impl SessionEnd {
    fn new(by: SessionEndReason, cause: impl Into<String>) -> Self {
        Self { by, cause: cause.into(), suspicion: Suspicion::None }
    }

    /// Finds the cause of a break.
    pub async fn of(
        broken: SessionBreak,
        errors: &mut ConnectionErrors,
        lane_queue: &LaneQueue<'_>,
    ) -> Self {
        let LaneQueue { connection, queue, .. } = lane_queue;
        let status = connection.status();
        match broken {
            SessionBreak::Closed => Self::new(SessionEndReason::Shutdown, "the worker stopped"),
            SessionBreak::Failed(error) => {
                Self::failed(&errors.cause_of(error, status).await, connection)
            }
            // Nobody tells the stream of deliveries why it ends.
            SessionBreak::Cancelled if !status.connected() => Self::lost(errors, connection).await,
            SessionBreak::Silent(NoAnswer::Gone) => Self::lost(errors, connection).await,
            SessionBreak::Silent(NoAnswer::TooLong) => {
                Self::new(SessionEndReason::ConnectionLost, NO_ANSWER)
            }
            SessionBreak::Cancelled => {
                Self::new(SessionEndReason::ConsumerCancelled, lane_queue.why_cancelled().await)
            }
            SessionBreak::Starving => Self::new(
                SessionEndReason::ConsumerCancelled,
                format!("jobs wait in {queue}, and the broker delivers none"),
            ),
            SessionBreak::OutOfOrder => Self::new(
                SessionEndReason::ChannelClosed,
                "a delivery came with a tag out of order",
            ),
            SessionBreak::Panicked => {
                Self::new(SessionEndReason::ChannelClosed, "a task of the session panicked")
            }
        }
    }

    fn failed(error: &lapin::Error, connection: &Connection) -> Self {
        let unexplained = is_aftermath(error);
        if unexplained && connection.status().connected() {
            return Self::new(SessionEndReason::ChannelClosed, "the broker closed the channel");
        }
        let by = if error.is_amqp_soft_error() {
            SessionEndReason::ChannelClosed
        } else {
            SessionEndReason::ConnectionLost
        };
        // Of a stream that breaks, the stream itself knows more than lapin.
        let by_stream = (unexplained || error.is_io_error()).then(|| connection.cause()).flatten();
        let cause = by_stream.unwrap_or_else(|| CloseCause::of(error));
        Self { by, cause: cause.to_string(), suspicion: suspicion(error) }
    }

    async fn lost(errors: &mut ConnectionErrors, connection: &Connection) -> Self {
        if let Some(error) = errors.behind(connection.status()).await {
            return Self::failed(&error, connection);
        }
        let cause = connection.cause().unwrap_or_else(|| CloseCause::told(GONE));
        Self::new(SessionEndReason::ConnectionLost, cause.to_string())
    }
}

/// Where a session ended.
#[derive(Debug)]
pub struct LaneQueue<'a> {
    /// Its connection, which may be gone.
    pub connection: &'a Connection,
    /// The queue that it consumed.
    pub queue: &'a ShortString,
    /// Whether the worker declares the queue.
    pub declare: bool,
}

impl LaneQueue<'_> {
    /// The broker cancels a consumer without a reason; whether its queue is still there tells most of it.
    async fn why_cancelled(&self) -> String {
        let queue = self.queue;
        match timeout(ASKED_FOR, self.presence()).await {
            Ok(Err(TopologyError::Missing { .. })) if self.declare => {
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

    /// Whether the queue is there. RabbitMQ 4.3 cancels the consumers of a queue that is deleted before the queue is
    /// gone, so one that is there is asked about again for a while.
    async fn presence(&self) -> Result<topology::Occupancy, TopologyError> {
        let settled = Instant::now() + SETTLES_WITHIN;
        loop {
            let answer = topology::occupancy(self.connection, self.queue).await;
            let missing = matches!(answer, Err(TopologyError::Missing { .. }));
            if missing || Instant::now() >= settled || !self.connection.status().connected() {
                return answer;
            }
            sleep(ASK_AGAIN).await;
        }
    }
}
