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
use tracing::warn;

use super::{
    cause::{CloseCause, fault},
    connect::Unreachable,
    connection::Connection,
    queues::Queues,
    settings::Declare,
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
         broker.queue; or use it as it is with broker.declare = false"
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

/// What is known of the queues of a lane.
#[derive(Debug)]
pub(super) struct EnsuredLane {
    /// Whether lane and dead-letter queue are known to have our arguments. Then a message that the lane itself
    /// dead-letters is not lost.
    pub(super) keeps_dropped: bool,
    /// The queues that are used although they are not known to have our arguments, each with the reason.
    unlike: Vec<(ShortString, Unlike)>,
}

/// Why an existing queue is not known to have our arguments. In the broker's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unlike {
    /// It has others: the difference.
    Differs(String),
    /// Only a user who may declare the queue can compare them: the refusal.
    Unknown(String),
}

impl TopologyError {
    /// Why the queue, if it exists, is not known to have our arguments. `None` for a fault that says nothing of them.
    pub(super) fn unlike(&self) -> Option<Unlike> {
        match self {
            Self::Differs { difference, .. } => Some(Unlike::Differs(difference.clone())),
            Self::Refused { fault, .. } => Some(Unlike::Unknown(fault.clone())),
            Self::Missing { .. } | Self::Failed { .. } => None,
        }
    }
}

impl EnsuredLane {
    /// Warns of each queue that may have other arguments.
    pub(super) fn warn(&self) {
        for (queue, unlike) in &self.unlike {
            let queue = queue.as_str();
            match unlike {
                Unlike::Differs(difference) => warn!(
                    queue,
                    difference,
                    "the queue exists with other arguments, and is used as it is, because broker.declare is \"missing\""
                ),
                Unlike::Unknown(refusal) => warn!(
                    queue,
                    refusal,
                    "the queue exists, and is used as it is: this user may not declare it, so its arguments are unknown"
                ),
            }
        }
    }
}

/// Declares the queues that `declare` says, and checks that the others exist. It never deletes or changes anything. A
/// fault of one lane's queues does not stop the other's. Fails with the first queue that is wrong.
pub(super) async fn ensure(
    connection: &Connection,
    queues: &Queues,
    declare: Declare,
) -> Result<(), TopologyError> {
    let interactive = ensure_lane(connection, queues, Lane::Interactive, declare).await;
    let bulk = ensure_lane(connection, queues, Lane::Bulk, declare).await;
    interactive.and(bulk).map(|_| ())
}

/// Does the same for the queues that one lane needs.
pub(super) async fn ensure_lane(
    connection: &Connection,
    queues: &Queues,
    lane: Lane,
    declare: Declare,
) -> Result<EnsuredLane, TopologyError> {
    let mut asking = Asking { connection, channel: None };
    let mut ensured = EnsuredLane { keeps_dropped: true, unlike: Vec::new() };
    for (queue, arguments) in queues.needed_by(lane) {
        let unlike = match declare {
            Declare::All => asking.declare(&queue, arguments).await.map(|()| None)?,
            Declare::Missing => asking.declare_if_missing(&queue, arguments).await?,
            Declare::Never => asking.presence(&queue).await.map(|()| None)?,
        };
        let is_known = declare != Declare::Never && unlike.is_none();
        if queue == *queues.lane(lane) || queue == *queues.dead() {
            ensured.keeps_dropped &= is_known;
        }
        ensured.unlike.extend(unlike.map(|unlike| (queue, unlike)));
    }
    Ok(ensured)
}

/// Asks about one queue after the other on one channel, as long as no error closes it.
struct Asking<'a> {
    connection: &'a Connection,
    channel: Option<Channel>,
}

impl Asking<'_> {
    /// Declares a queue. Fails with [`TopologyError::Differs`] if it exists with other arguments.
    async fn declare(
        &mut self,
        queue: &ShortString,
        arguments: FieldTable,
    ) -> Result<(), TopologyError> {
        let channel = self.channel.take();
        let declared = async {
            let open = self.open(channel).await?;
            declare(&open, queue, arguments).await?;
            Ok(open)
        };
        self.channel = Some(in_time(self.connection, ANSWER_LIMIT, queue, declared).await?);
        Ok(())
    }

    /// Checks that a queue exists.
    async fn presence(&mut self, queue: &ShortString) -> Result<(), TopologyError> {
        let channel = self.channel.take();
        let found = async {
            let open = self.open(channel).await?;
            passive_declare(&open, queue).await?;
            Ok(open)
        };
        self.channel = Some(in_time(self.connection, ANSWER_LIMIT, queue, found).await?);
        Ok(())
    }

    /// Declares a queue that does not exist. Returns why an existing one is not known to have these arguments. The broker
    /// compares them and changes nothing.
    ///
    /// It does not ask for presence first: another user could declare the queue between the question and the
    /// declaration.
    async fn declare_if_missing(
        &mut self,
        queue: &ShortString,
        arguments: FieldTable,
    ) -> Result<Option<Unlike>, TopologyError> {
        let fault = match self.declare(queue, arguments).await {
            Ok(()) => return Ok(None),
            Err(fault) => fault,
        };
        let Some(unlike) = fault.unlike() else { return Err(fault) };
        match self.presence(queue).await {
            Ok(()) => Ok(Some(unlike)),
            // It does not exist, and this user may not declare it.
            Err(TopologyError::Missing { .. }) if matches!(unlike, Unlike::Unknown(_)) => {
                Err(fault)
            }
            Err(failed) => Err(failed),
        }
    }

    async fn open(&self, channel: Option<Channel>) -> lapin::Result<Channel> {
        match channel {
            Some(channel) => Ok(channel),
            None => self.connection.create_channel().await,
        }
    }
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
    declare: Declare,
) -> Result<(), TopologyError> {
    match ensure(connection, queues, declare).await {
        Err(TopologyError::Refused { .. }) if declare != Declare::All => Ok(()),
        ensured => ensured,
    }
}

/// Awaits an answer about a queue. No answer in time is an error too.
pub(super) async fn in_time<T>(
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
