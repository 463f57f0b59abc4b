//! The way to the publishing task: whoever has a letter waits here for what becomes of it.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use lapin::{BasicProperties, types::ShortString};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};

use super::stream::Charge;
use crate::{metrics::Target, ports::Unpublishable};

/// Letters on their way to the task of one queue; more wait with their senders.
const INBOX: usize = 256;

/// A message on its way to a queue of ours.
pub struct OutgoingMessage {
    /// Which kind of queue, for the metric; `None` for a producer's job, which is not counted.
    pub target: Option<Target>,
    /// The queue.
    pub queue: ShortString,
    /// The body, byte for byte as it came.
    pub body: Vec<u8>,
    /// The properties.
    pub properties: BasicProperties,
    /// Its share of the bytes in flight, given back with the letter.
    pub charge: Option<Charge>,
}

impl fmt::Debug for OutgoingMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutgoingMessage")
            .field("queue", &self.queue.as_str())
            .finish_non_exhaustive()
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
///
/// The sender may give the letter up at any time, and its job comes again. So both sides share the slot that
/// holds the letter, and the sender empties it: neither the body nor the message itself outlives the sender,
/// unless a batch has taken the letter out and is on its way.
#[derive(Debug)]
pub struct PublishRequest {
    slot: Arc<LetterSlot>,
    size: usize,
    published: ConfirmSender,
}

/// Where a letter waits while it is not on its way.
type LetterSlot = Mutex<Option<OutgoingMessage>>;

/// Tells the sender that its letter's queue has confirmed the letter, or never will.
type ConfirmSender = oneshot::Sender<Result<(), Unpublishable>>;

impl PublishRequest {
    /// The bytes of the letter's body.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.size
    }

    /// Whether the sender still waits. Otherwise there is no letter any more, or it is on its way.
    #[must_use]
    pub fn is_awaited(&self) -> bool {
        !self.published.is_closed()
    }

    /// Takes the letter out, to be sent; `None` if the sender has given it up.
    #[must_use]
    pub fn take(&self) -> Option<OutgoingMessage> {
        slot(&self.slot).take()
    }

    /// Puts back a letter that has to be sent again. If the sender has given it up meanwhile, it is dropped.
    pub fn put_back(&self, letter: OutgoingMessage) {
        let mut slot = slot(&self.slot);
        // Asked under the lock: the sender closes its side before it empties the slot.
        if self.is_awaited() {
            *slot = Some(letter);
        }
    }

    /// Tells the sender what became of the letter, if it still waits.
    pub fn tell(self, outcome: Result<(), Unpublishable>) {
        // A sender that is gone needs no word: a letter that is stored is stored, and the delivery of any
        // other comes again.
        let _ = self.published.send(outcome);
    }
}

fn slot(slot: &LetterSlot) -> MutexGuard<'_, Option<OutgoingMessage>> {
    // Nothing panics between taking and putting.
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The sender's side of a letter; dropped, it gives the letter up.
struct ConfirmReceiver {
    slot: Arc<LetterSlot>,
    outcome: oneshot::Receiver<Result<(), Unpublishable>>,
}

impl Drop for ConfirmReceiver {
    fn drop(&mut self) {
        self.outcome.close();
        let letter = slot(&self.slot).take();
        // Not under the lock: the letter gives bytes back, which wakes readers.
        drop(letter);
    }
}

/// A letter for whoever publishes it, and the sender's side of it.
fn post(letter: OutgoingMessage) -> (PublishRequest, ConfirmReceiver) {
    let size = letter.body.len();
    let (published, outcome) = oneshot::channel();
    let slot = Arc::new(Mutex::new(Some(letter)));
    (PublishRequest { slot: Arc::clone(&slot), size, published }, ConfirmReceiver { slot, outcome })
}

/// A handle of the publishing task.
#[derive(Debug, Clone)]
pub struct Publisher {
    by_queue: Arc<BTreeMap<ShortString, mpsc::Sender<PublishRequest>>>,
    /// For every other queue.
    others: mpsc::Sender<PublishRequest>,
}

impl Publisher {
    /// A handle, and where its letters arrive, whatever their queue.
    #[must_use]
    pub fn pair() -> (Self, mpsc::Receiver<PublishRequest>) {
        let (publisher, _, inbox) = Self::routed(std::iter::empty());
        (publisher, inbox)
    }

    /// A handle, and where its letters arrive: those for each of these queues apart, and the others.
    pub(super) fn routed<'a>(
        queues: impl Iterator<Item = &'a ShortString>,
    ) -> (Self, Vec<mpsc::Receiver<PublishRequest>>, mpsc::Receiver<PublishRequest>) {
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

    /// Publishes a letter; returns when its queue has confirmed it. Dropping the future gives the letter up:
    /// it is published only if it is on its way already.
    ///
    /// # Errors
    ///
    /// [`NotPublished`].
    pub async fn publish(&self, letter: OutgoingMessage) -> Result<(), NotPublished> {
        let inbox = self.by_queue.get(&letter.queue).unwrap_or(&self.others);
        let (posted, mut awaited) = post(letter);
        inbox.send(posted).await.map_err(|_| NotPublished::Closed)?;
        let outcome = (&mut awaited.outcome).await.map_err(|_| NotPublished::Closed)?;
        outcome.map_err(NotPublished::Unpublishable)
    }
}

#[cfg(test)]
mod tests;
