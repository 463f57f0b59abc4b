//! Declares the queues, checks them, and reads their counts.

use std::time::Duration;

use lapin::{
    Channel, ErrorKind,
    options::QueueDeclareOptions,
    protocol::{AMQPErrorKind, AMQPSoftError},
    types::{FieldTable, ShortString},
};
use thiserror::Error;
use tokio::time::timeout;

use super::{
    cause::{CloseCause, fault},
    connect::Unreachable,
    connection::Connection,
    queues::Queues,
    wait::NoAnswer,
};
use crate::domain::Lane;

/// The time limit of a request about one queue.
pub(super) const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// The fault of a queue.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TopologyError {
    /// A queue exists with other arguments.
    #[error(
        "queue {queue} exists with other arguments ({difference}). Either let it run empty, delete it \
         and start again, so that it is declared anew; or give the worker queues of its own with \
         broker.queue"
    )]
    Differs {
        queue: String,
        /// The difference, in the broker's words.
        difference: String,
    },
    /// A queue does not exist, and `broker.declare` is false.
    #[error("queue {queue} does not exist, and broker.declare is false")]
    Missing { queue: String },
    /// The user lacks a permission.
    #[error("queue {queue}: {fault}")]
    Refused { queue: String, fault: String },
    /// Anything else: the connection broke.
    #[error("queue {queue}: {fault}")]
    Failed { queue: String, fault: String },
}

/// The error of an unusable connection.
#[derive(Debug, Error)]
pub enum PrepareError {
    /// The broker cannot be reached, or does not answer.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    /// A queue is missing or has other arguments.
    #[error(transparent)]
    Topology(#[from] TopologyError),
}

/// Declares every queue, or checks that it exists. It never deletes or changes anything. A fault of one lane's queues
/// does not stop the other's. Fails with the first queue that is wrong.
pub(super) async fn ensure(
    connection: &Connection,
    queues: &Queues,
    declare: bool,
) -> Result<(), TopologyError> {
    let interactive = ensure_lane(connection, queues, Lane::Interactive, declare).await;
    let bulk = ensure_lane(connection, queues, Lane::Bulk, declare).await;
    interactive.and(bulk)
}

/// Does the same for the queues that one lane needs.
pub(super) async fn ensure_lane(
    connection: &Connection,
    queues: &Queues,
    lane: Lane,
    declare: bool,
) -> Result<(), TopologyError> {
    let mut channel = None;
    for (queue, arguments) in queues.needed_by(lane) {
        let ensured = async {
            let open = match channel.take() {
                Some(channel) => channel,
                None => connection.create_channel().await?,
            };
            if declare {
                self::declare(&open, &queue, arguments).await?;
            } else {
                passive_declare(&open, &queue).await?;
            }
            Ok(open)
        };
        channel = Some(in_time(connection, ANSWER_LIMIT, &queue, ensured).await?);
    }
    Ok(())
}

/// Compares the arguments of a lane's queues with the required ones, as far as the broker answers. Fails with
/// [`TopologyError::Differs`] only; the lane reports all other faults itself.
pub(super) async fn compare_lane(
    connection: &Connection,
    queues: &Queues,
    lane: Lane,
) -> Result<(), TopologyError> {
    let compared = async {
        for (queue, arguments) in queues.own(lane) {
            let compared = compare(connection, &queue, arguments).await;
            if matches!(compared, Err(TopologyError::Differs { .. })) {
                return compared;
            }
        }
        Ok(())
    };
    timeout(ANSWER_LIMIT, compared).await.unwrap_or(Ok(()))
}

/// Like [`ensure`], for a user that publishes and may lack permissions on the queues.
///
/// Since 4.2.7 and 4.3.1, RabbitMQ shows a queue only to users with a permission on it. So a refusal proves nothing.
/// The messages to a missing queue are returned.
pub(super) async fn ensure_for_publishing(
    connection: &Connection,
    queues: &Queues,
    declare: bool,
) -> Result<(), TopologyError> {
    match ensure(connection, queues, declare).await {
        Err(TopologyError::Refused { .. }) if !declare => Ok(()),
        ensured => ensured,
    }
}

/// Awaits an answer about a queue. No answer in time is an error too.
async fn in_time<T>(
    connection: &Connection,
    limit: Duration,
    queue: &ShortString,
    asked: impl Future<Output = lapin::Result<T>>,
) -> Result<T, TopologyError> {
    let failed = |silent: NoAnswer| TopologyError::Failed {
        queue: queue.to_string(),
        fault: silent.to_string(),
    };
    let answer = connection.answer(limit, asked).await.map_err(failed)?;
    answer.map_err(|error| TopologyError::of(queue, &error))
}

/// The answer to a passive declare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Occupancy {
    /// Ready messages, without those that consumers hold.
    pub(super) ready: u32,
    /// Consumers, including cancelled ones that still hold messages.
    pub(super) consumers: u32,
}

/// Asks for the occupancy of a queue on a channel of its own, up to `limit`. Fails with [`TopologyError::Missing`] if the queue does
/// not exist, or with another answer of the broker.
pub(super) async fn occupancy(
    connection: &Connection,
    queue: &ShortString,
    limit: Duration,
) -> Result<Occupancy, TopologyError> {
    in_time(connection, limit, queue, async {
        passive_declare(&connection.create_channel().await?, queue).await
    })
    .await
}

/// Compares the arguments of an existing queue with the required ones, by declaring it again. Fails with
/// [`TopologyError::Differs`], or with another answer of the broker.
pub(super) async fn compare(
    connection: &Connection,
    queue: &ShortString,
    arguments: FieldTable,
) -> Result<(), TopologyError> {
    let declared = async { declare(&connection.create_channel().await?, queue, arguments).await };
    in_time(connection, ANSWER_LIMIT, queue, declared).await
}

/// Declares one durable queue. An error closes the channel.
pub(super) async fn declare(
    channel: &Channel,
    queue: &ShortString,
    arguments: FieldTable,
) -> lapin::Result<()> {
    let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(queue.clone(), options, arguments).await.map(|_| ())
}

/// Asks for the occupancy of a queue by a passive declare, whose counts do not lag. An error closes the channel, even
/// for a missing queue. RabbitMQ answers 0 and 0 for a quorum queue that is busy for more than 250 ms.
pub(super) async fn passive_declare(
    channel: &Channel,
    queue: &ShortString,
) -> lapin::Result<Occupancy> {
    let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let found = channel.queue_declare(queue.clone(), options, FieldTable::default()).await?;
    Ok(Occupancy { ready: found.message_count(), consumers: found.consumer_count() })
}

impl TopologyError {
    fn of(queue: &ShortString, error: &lapin::Error) -> Self {
        let queue = queue.to_string();
        let kind = match error.kind() {
            ErrorKind::ProtocolError(reply) => Some(reply.kind()),
            _ => None,
        };
        match kind {
            Some(AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED)) => {
                let reply = fault(error);
                let difference = reply.strip_prefix("PRECONDITION_FAILED - ").unwrap_or(&reply);
                Self::Differs { queue, difference: difference.to_owned() }
            }
            Some(AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND)) => Self::Missing { queue },
            Some(AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED)) => {
                Self::Refused { queue, fault: CloseCause::of(error).to_string() }
            }
            _ => Self::Failed { queue, fault: CloseCause::of(error).to_string() },
        }
    }
}
