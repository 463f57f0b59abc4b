//! The way to the dead-letter queue.

use std::{sync::Arc, time::Duration};

use lapin::types::ShortString;
use thiserror::Error;
use tokio::time::timeout;

use super::{
    look::{Aim, Look},
    read::Reader,
};
use crate::{
    broker::{
        cause::fault,
        connect::{Connector, NO_ANSWER, Purpose, Unreachable},
        connection::{CLOSE_TIMEOUT, Connection},
        queues::Queues,
        settings::Settings,
        stream::Budget,
        topology::{self, TopologyError},
    },
    domain::JobDefaults,
};

/// The broker answers a question within this time, or the connection counts as lost: lapin's promises
/// may stay unkept for ever when it is.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// What makes the broker read the whole queue may take this long.
const LONG_ANSWER_LIMIT: Duration = Duration::from_secs(120);

/// Bytes of letters that the client library may hold at a time, what they take there besides included. The rest waits
/// with the broker, which reads no more of the queue than it hands over.
const IN_FLIGHT: u64 = 4 * 1024 * 1024;

/// The dead-letter queue of a family, over one connection that is made anew when it is lost.
#[derive(Debug)]
pub struct DeadQueue {
    connector: Connector,
    connection: Option<Connection>,
    name: ShortString,
    reader: Arc<Reader>,
}

/// Why the queue cannot be looked at.
#[derive(Debug, Error)]
pub enum LookError {
    /// No broker could be reached.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    /// There is no such queue.
    #[error(
        "queue {0} does not exist: either no worker has declared it yet, or broker.queue or the \
         virtual host of broker.url is another than the worker's"
    )]
    Missing(String),
    /// It was deleted while it was looked at.
    #[error("queue {0} was deleted meanwhile")]
    Deleted(String),
    /// The connection or the channel failed.
    #[error(
        "the read of the dead letters was cut short ({0}). No letter is lost. Of a queue of more than 65,000 \
         letters, the part that was held may stand last until the next command that reads the queue; run the \
         command again"
    )]
    Lost(String),
}

impl LookError {
    /// Whether the same look may succeed a moment later.
    #[must_use]
    pub const fn passes(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Lost(_))
    }
}

impl From<TopologyError> for LookError {
    fn from(error: TopologyError) -> Self {
        match error {
            TopologyError::Missing { queue } => Self::Missing(queue),
            other => Self::Lost(other.to_string()),
        }
    }
}

impl DeadQueue {
    /// The dead-letter queue of the family that these settings name. `defaults` fills what a job
    /// leaves out, as it does for the worker.
    #[must_use]
    pub fn new(settings: &Arc<Settings>, defaults: JobDefaults) -> Self {
        let queues = Queues::new(&settings.queue, &settings.park);
        Self {
            connector: Connector::new(Arc::clone(settings)).within(Budget::new(IN_FLIGHT)),
            connection: None,
            name: queues.dead().clone(),
            reader: Arc::new(Reader { queues, defaults }),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// Begins a look: from here on its letters are held.
    ///
    /// # Errors
    ///
    /// [`LookError`].
    pub async fn look(&mut self, aim: Aim) -> Result<Look<'_>, LookError> {
        if self.connection.as_ref().is_none_or(|connection| !connection.status().connected()) {
            self.connection = Some(Box::pin(self.connector.connect(Purpose::DeadLetters)).await?);
        }
        let Some(connection) = &self.connection else {
            return Err(LookError::Lost(NO_ANSWER.to_owned()));
        };
        let found = topology::occupancy(connection, &self.name).await?;
        // Boxed: it is long, and every command would carry its size.
        Box::pin(Look::begin(connection, &self.name, &self.reader, found, aim)).await
    }

    /// Ends the connection. One that failed may hang instead of closing: it is not waited for long.
    pub async fn disconnect(&mut self) {
        if let Some(connection) = self.connection.take() {
            connection.close_within(CLOSE_TIMEOUT).await;
        }
    }
}

/// The broker did not do what it was asked: what it said, or what the network did.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct Unanswered(String);

impl From<Unanswered> for LookError {
    fn from(Unanswered(why): Unanswered) -> Self {
        Self::Lost(why)
    }
}

/// An answer of the broker's.
///
/// # Errors
///
/// [`Unanswered`], at the latest when the time limit is over.
pub async fn asked<T>(question: impl Future<Output = lapin::Result<T>>) -> Result<T, Unanswered> {
    within(ANSWER_LIMIT, question).await
}

/// An answer of the broker's for which it may have to read the whole queue.
///
/// # Errors
///
/// As [`asked`].
pub async fn asked_at_length<T>(
    question: impl Future<Output = lapin::Result<T>>,
) -> Result<T, Unanswered> {
    within(LONG_ANSWER_LIMIT, question).await
}

async fn within<T>(
    limit: Duration,
    question: impl Future<Output = lapin::Result<T>>,
) -> Result<T, Unanswered> {
    match timeout(limit, question).await {
        Ok(answer) => answer.map_err(|error| Unanswered(fault(&error))),
        Err(_) => Err(Unanswered(NO_ANSWER.to_owned())),
    }
}
