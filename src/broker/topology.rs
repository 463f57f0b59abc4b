//! Making sure that the queues are there, as they must be.

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
    connection::Connection,
    queues::Queues,
    wait::NoAnswer,
};
use crate::domain::Lane;

/// The broker answers about one queue within this time.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// Why the queues are not as they must be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TopologyError {
    /// A queue exists with other arguments.
    #[error(
        "queue {queue} exists with other arguments ({difference}). Either let it run empty, delete it \
         and start again, so that it is declared anew; or give the worker queues of its own with \
         broker.queue"
    )]
    Differs {
        /// The queue.
        queue: String,
        /// What the broker says the difference is.
        difference: String,
    },
    /// A queue that was to be there is not.
    #[error("queue {queue} does not exist, and broker.declare is false")]
    Missing {
        /// The queue.
        queue: String,
    },
    /// The user has not the right to do or to know that.
    #[error("queue {queue}: {fault}")]
    Refused {
        /// The queue.
        queue: String,
        /// What the broker said.
        fault: String,
    },
    /// Anything else: the connection broke.
    #[error("queue {queue}: {fault}")]
    Failed {
        /// The queue.
        queue: String,
        /// What the broker or the network said.
        fault: String,
    },
}

/// Declares every queue of the family, or checks its presence. It never deletes or changes anything. What is
/// wrong with one lane's queues does not keep it from the other's.
///
/// # Errors
///
/// The first queue that is not as it must be.
pub async fn ensure(
    connection: &Connection,
    queues: &Queues,
    declare: bool,
) -> Result<(), TopologyError> {
    let interactive = ensure_lane(connection, queues, Lane::Interactive, declare).await;
    let bulk = ensure_lane(connection, queues, Lane::Bulk, declare).await;
    interactive.and(bulk)
}

/// The same for the queues that one lane needs: what is wrong with the other's does not stop it.
///
/// # Errors
///
/// The first queue that is not as it must be.
pub async fn ensure_lane(
    connection: &Connection,
    queues: &Queues,
    lane: Lane,
    declare: bool,
) -> Result<(), TopologyError> {
    ensure_these(connection, queues.needed_by(lane), declare).await
}

/// Compares the arguments of a lane's queues with those that they must have, as far as the broker answers.
///
/// # Errors
///
/// [`TopologyError::Differs`] alone: of everything else the lane tells itself.
pub async fn compare_lane(
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

async fn ensure_these(
    connection: &Connection,
    queues: Vec<(ShortString, FieldTable)>,
    declare: bool,
) -> Result<(), TopologyError> {
    let mut channel = None;
    for (queue, arguments) in queues {
        let ensured = async {
            let open = match channel.take() {
                Some(channel) => channel,
                None => connection.create_channel().await?,
            };
            if declare {
                self::declare(&open, &queue, arguments).await?;
            } else {
                depth(&open, &queue).await?;
            }
            Ok(open)
        };
        channel = Some(in_time(connection, &queue, ensured).await?);
    }
    Ok(())
}

/// As [`ensure`], for a user that publishes and may have no right on the queues themselves.
///
/// Since 4.2.7 and 4.3.1 RabbitMQ tells of a queue only to users that have some right on it; before, it told
/// everybody. A refusal proves nothing then, and the messages of a queue that is absent are returned.
///
/// # Errors
///
/// As [`ensure`].
pub async fn ensure_for_publishing(
    connection: &Connection,
    queues: &Queues,
    declare: bool,
) -> Result<(), TopologyError> {
    match ensure(connection, queues, declare).await {
        Err(TopologyError::Refused { .. }) if !declare => Ok(()),
        ensured => ensured,
    }
}

/// An answer about a queue, or the error that tells what was wrong; silence is one too.
async fn in_time<T>(
    connection: &Connection,
    queue: &ShortString,
    asked: impl Future<Output = lapin::Result<T>>,
) -> Result<T, TopologyError> {
    let failed = |silent: NoAnswer| TopologyError::Failed {
        queue: queue.to_string(),
        fault: silent.to_string(),
    };
    let answer = connection.answer(ANSWER_LIMIT, asked).await.map_err(failed)?;
    answer.map_err(|error| TopologyError::of(queue, &error))
}

/// What a passive declare tells of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Occupancy {
    /// Messages that wait; those in a consumer's hand are not counted.
    pub ready: u32,
    /// Consumers, those included that were cancelled and still hold messages.
    pub consumers: u32,
}

/// What waits in a queue and who consumes it, on a channel of the look's own.
///
/// # Errors
///
/// [`TopologyError::Missing`] if there is no such queue, or what the broker said.
pub async fn occupancy(
    connection: &Connection,
    queue: &ShortString,
) -> Result<Occupancy, TopologyError> {
    in_time(connection, queue, async {
        passive_declare(&connection.create_channel().await?, queue).await
    })
    .await
}

/// How many messages are ready in a queue, on a channel of the look's own.
///
/// # Errors
///
/// [`TopologyError::Missing`] if there is no such queue, or what the broker said.
pub async fn count(connection: &Connection, queue: &ShortString) -> Result<u32, TopologyError> {
    occupancy(connection, queue).await.map(|found| found.ready)
}

/// Compares the arguments of a queue that exists with those it must have, by declaring it once more.
///
/// # Errors
///
/// [`TopologyError::Differs`] if they are others, or what the broker said.
pub async fn compare(
    connection: &Connection,
    queue: &ShortString,
    arguments: FieldTable,
) -> Result<(), TopologyError> {
    let declared = async { declare(&connection.create_channel().await?, queue, arguments).await };
    in_time(connection, queue, declared).await
}

/// Declares one queue, durable.
///
/// # Errors
///
/// The broker's; the channel is closed then.
pub async fn declare(
    channel: &Channel,
    queue: &ShortString,
    arguments: FieldTable,
) -> lapin::Result<()> {
    let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(queue.clone(), options, arguments).await.map(|_| ())
}

/// How many messages are ready in a queue: a passive declare, whose count does not lag.
///
/// # Errors
///
/// The broker's; the channel is closed then, also if the queue is only missing.
pub async fn depth(channel: &Channel, queue: &ShortString) -> lapin::Result<u32> {
    passive_declare(channel, queue).await.map(|found| found.ready)
}

/// A passive declare. RabbitMQ answers 0 and 0 for a quorum queue that is too busy to tell within 250 ms.
///
/// # Errors
///
/// The broker's; the channel is closed then, also if the queue is only missing.
pub async fn passive_declare(channel: &Channel, queue: &ShortString) -> lapin::Result<Occupancy> {
    let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let found = channel.queue_declare(queue.clone(), options, FieldTable::default()).await?;
    Ok(Occupancy { ready: found.message_count(), consumers: found.consumer_count() })
}

impl TopologyError {
    fn of(queue: &ShortString, error: &lapin::Error) -> Self {
        let queue = queue.to_string();
        let said = match error.kind() {
            ErrorKind::ProtocolError(said) => Some(said.kind().clone()),
            _ => None,
        };
        match said {
            Some(AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED)) => {
                let said = fault(error);
                let difference = said.strip_prefix("PRECONDITION_FAILED - ").unwrap_or(&said);
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
