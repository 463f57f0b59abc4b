//! The dead-letter queue, the progress of a command, and the errors of browsing it.

use std::{cell::Cell, sync::Arc, time::Duration};

use lapin::types::ShortString;
use serde::Serialize;
use thiserror::Error;

use super::{
    browse::{Browse, BrowseMode},
    message::BrowsedMessage,
    reader::DeadLetterReader,
};
use crate::{
    broker::{
        cause::fault,
        connect::{Connector, NO_ANSWER, Purpose, Unreachable},
        connection::{CLOSE_TIMEOUT, Connection},
        queues::Queues,
        settings::BrokerSettings,
        stream::Budget,
        topology::{self, TopologyError},
    },
    domain::JobDefaults,
};

/// The broker's time for an answer. A busy broker may need many seconds; a lost connection ends the wait at once.
pub(super) const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// The same for an answer that makes the broker read the whole queue.
pub(super) const LONG_ANSWER_LIMIT: Duration = Duration::from_secs(120);

/// The most bytes of messages, overhead included, that the client library buffers. The rest waits at the broker,
/// which reads no more of the queue than it delivers.
const IN_FLIGHT: u64 = 4 * 1024 * 1024;

/// The dead-letter queue of a queue family. It reconnects when its connection is lost.
pub struct DeadLetterQueue {
    connector: Connector,
    connection: Option<Connection>,
    name: ShortString,
    reader: Arc<DeadLetterReader>,
}

/// The counts of a browse.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct BrowseSummary {
    pub looked_at: u32,
    /// Messages that were ready at the start and went to other consumers.
    pub held_by_others: u32,
    /// Other consumers of the queue. Messages that they held before are not counted.
    pub other_consumers: u32,
}

/// The progress of a command. The command's display reads it while the work continues in the same task.
#[derive(Debug, Default)]
pub struct BrowseProgress {
    pub done: Cell<u64>,
    pub total: Cell<u64>,
    pub step: Cell<BrowseStep>,
}

/// A step during which `done` may stand still.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum BrowseStep {
    /// Messages are processed.
    #[default]
    Working,
    /// The queue is read.
    Reading { seen: u32, expected: u32 },
    /// The broker requeues the messages.
    Returning,
}

/// The error of browsing the queue.
#[derive(Debug, Error)]
pub enum BrowseError {
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    #[error(
        "queue {0} does not exist: either no worker has declared it yet, or broker.queue or the \
         virtual host of broker.url is another than the worker's"
    )]
    Missing(String),
    #[error("queue {0} was deleted while it was read")]
    Deleted(String),
    #[error(
        "the connection was lost while the messages were read ({0}). No message is lost. If the queue has more than \
         65,000, some of them may be out of order until the next command reads the queue. Run the command again"
    )]
    Lost(String),
}

impl BrowseError {
    /// Whether the same browse may succeed a moment later.
    pub(super) const fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Lost(_))
    }
}

impl From<TopologyError> for BrowseError {
    fn from(error: TopologyError) -> Self {
        match error {
            TopologyError::Missing { queue } => Self::Missing(queue),
            other => Self::Lost(other.to_string()),
        }
    }
}

impl DeadLetterQueue {
    /// The dead-letter queue of these settings, not connected yet. `defaults` completes jobs, as for the worker.
    pub fn new(settings: &Arc<BrokerSettings>, defaults: JobDefaults) -> Self {
        let queues = Queues::new(&settings.queue, &settings.park);
        Self {
            connector: Connector::consuming(Arc::clone(settings), Budget::new(IN_FLIGHT), None),
            connection: None,
            name: queues.dead().clone(),
            reader: Arc::new(DeadLetterReader { queues, defaults }),
        }
    }

    /// The queue of outcome events with this name, to be browsed in the same way.
    pub fn of_outcomes(settings: &Arc<BrokerSettings>, name: &str) -> Self {
        Self { name: name.into(), ..Self::new(settings, JobDefaults::default()) }
    }

    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// Passes every message to `each`, in queue order. All of them stay in the queue, also after an error.
    pub async fn read_all<E: From<BrowseError>>(
        &mut self,
        progress: &BrowseProgress,
        mut each: impl AsyncFnMut(&BrowsedMessage) -> Result<(), E>,
    ) -> Result<BrowseSummary, E> {
        let mut browse = self.browse(BrowseMode::ReadOnly).await?;
        progress.total.set(browse.expected().into());
        while let Some(message) = browse.next().await? {
            each(&message).await?;
            progress.done.set(browse.seen().into());
            progress.total.set(browse.expected().into());
        }
        let summary = BrowseSummary {
            looked_at: browse.seen(),
            held_by_others: browse.missed(),
            other_consumers: browse.others(),
        };
        progress.step.set(BrowseStep::Returning);
        browse.close().await;
        Ok(summary)
    }

    /// Connects if necessary, and begins to hold the queue's messages.
    pub(super) async fn browse(&mut self, mode: BrowseMode) -> Result<Browse<'_>, BrowseError> {
        if self.connection.as_ref().is_none_or(|connection| !connection.status().connected()) {
            self.connection = Some(Box::pin(self.connector.connect(Purpose::DeadLetters)).await?);
        }
        let Some(connection) = &self.connection else {
            return Err(BrowseError::Lost(NO_ANSWER.to_owned()));
        };
        let found = topology::occupancy(connection, &self.name, ANSWER_LIMIT).await?;
        // Boxed: otherwise each command's future contains it.
        Box::pin(Browse::begin(connection, &self.name, &self.reader, found, mode)).await
    }

    /// Closes the connection. A failed connection may hang instead, so the wait is short.
    pub async fn disconnect(&mut self) {
        if let Some(connection) = self.connection.take() {
            connection.close_within(CLOSE_TIMEOUT).await;
        }
    }
}

/// Awaits the broker's answer, up to `limit`. Fails with the error of the broker or the network.
pub(super) async fn asked<T>(
    connection: &Connection,
    limit: Duration,
    question: impl Future<Output = lapin::Result<T>>,
) -> Result<T, BrowseError> {
    match connection.answer(limit, question).await {
        Ok(answer) => answer.map_err(|error| BrowseError::Lost(fault(&error))),
        Err(no_answer) => Err(BrowseError::Lost(no_answer.to_string())),
    }
}
