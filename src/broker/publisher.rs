//! The way to the publishing task: whoever has a letter waits here for what becomes of it.

use std::{collections::BTreeMap, fmt, sync::Arc};

use lapin::{BasicProperties, types::ShortString};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};

use crate::{metrics::Target, ports::Unpublishable};

/// Letters on their way to the task of one queue; more wait with their senders.
const INBOX: usize = 256;

/// A message on its way to a queue of ours.
pub struct Letter {
    /// Which kind of queue, for the metric; `None` for a producer's job, which is not counted.
    pub target: Option<Target>,
    /// The queue.
    pub queue: ShortString,
    /// The body, byte for byte as it came.
    pub body: Vec<u8>,
    /// The properties.
    pub properties: BasicProperties,
}

impl fmt::Debug for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Letter").field("queue", &self.queue.as_str()).finish_non_exhaustive()
    }
}

/// Why a letter was not published.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NotPublished {
    /// The publisher is closed: nothing more is published.
    #[error("the publisher is closed")]
    Closed,
    /// The broker takes the other letters, and not this one.
    #[error("the broker refuses it: {}", .0.why)]
    Unpublishable(Unpublishable),
}

/// A letter and whoever waits for its confirm.
#[derive(Debug)]
pub struct Posted {
    /// The letter.
    pub letter: Letter,
    /// To be told once the letter's queue has confirmed it, or never will.
    pub published: oneshot::Sender<Result<(), Unpublishable>>,
}

/// A handle of the publishing task.
#[derive(Debug, Clone)]
pub struct Publisher {
    by_queue: Arc<BTreeMap<ShortString, mpsc::Sender<Posted>>>,
    /// For every other queue.
    others: mpsc::Sender<Posted>,
}

impl Publisher {
    /// A handle, and where its letters arrive, whatever their queue.
    #[must_use]
    pub fn pair() -> (Self, mpsc::Receiver<Posted>) {
        let (publisher, _, inbox) = Self::routed(std::iter::empty());
        (publisher, inbox)
    }

    /// A handle, and where its letters arrive: those for each of these queues apart, and the others.
    pub(super) fn routed<'a>(
        queues: impl Iterator<Item = &'a ShortString>,
    ) -> (Self, Vec<mpsc::Receiver<Posted>>, mpsc::Receiver<Posted>) {
        let (others, rest) = mpsc::channel(INBOX);
        let mut by_queue = BTreeMap::new();
        let mut inboxes = Vec::new();
        for queue in queues {
            let (sender, inbox) = mpsc::channel(INBOX);
            by_queue.insert(queue.clone(), sender);
            inboxes.push(inbox);
        }
        (Self { by_queue: Arc::new(by_queue), others }, inboxes, rest)
    }

    /// Publishes a letter; returns when its queue has confirmed it. Dropping the future gives the
    /// letter up, though it may be on its way already.
    ///
    /// # Errors
    ///
    /// [`NotPublished`].
    pub async fn publish(&self, letter: Letter) -> Result<(), NotPublished> {
        let (published, outcome) = oneshot::channel();
        let inbox = self.by_queue.get(&letter.queue).unwrap_or(&self.others);
        inbox.send(Posted { letter, published }).await.map_err(|_| NotPublished::Closed)?;
        let outcome = outcome.await.map_err(|_| NotPublished::Closed)?;
        outcome.map_err(NotPublished::Unpublishable)
    }
}
