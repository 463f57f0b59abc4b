//! A handle of the publishing task. A sender waits here until its message is confirmed or refused.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use lapin::types::ShortString;
use tokio::sync::{
    mpsc::{self, error::TrySendError},
    oneshot,
};

use super::outgoing::OutgoingMessage;
use crate::ports::Unpublishable;

/// Messages that wait for the task of one queue. Further senders wait.
const INBOX: usize = 256;

/// The error of publishing a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotPublished {
    /// The publisher is closed.
    Closed,
    /// The broker accepts other messages, but not this one.
    Unpublishable(Unpublishable),
}

/// A message to be published, and the sender that waits for its confirm.
///
/// The sender may give up at any time; its job is then delivered again. So both sides share the slot that holds the
/// message, and the sender empties it. Neither body nor message outlives the sender, unless a batch has taken the
/// message out.
#[derive(Debug)]
pub struct PublishRequest {
    slot: Arc<MessageSlot>,
    size: usize,
    published: ConfirmSender,
}

/// The message, unless a batch has taken it out or the sender gave up.
type MessageSlot = Mutex<Option<OutgoingMessage>>;

type ConfirmSender = oneshot::Sender<Result<(), Unpublishable>>;

impl PublishRequest {
    /// The size of the body in bytes.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.size
    }

    /// Whether the sender still waits.
    #[must_use]
    pub fn is_awaited(&self) -> bool {
        !self.published.is_closed()
    }

    /// Takes the message out to send it. Returns `None` if the sender has given up.
    #[must_use]
    pub fn take(&self) -> Option<OutgoingMessage> {
        slot(&self.slot).take()
    }

    /// Puts back a message that has to be sent again. Drops it if the sender has given up.
    pub fn put_back(&self, message: OutgoingMessage) {
        let mut slot = slot(&self.slot);
        // Checked under the lock: the sender closes its side before it empties the slot.
        if self.is_awaited() {
            *slot = Some(message);
        }
    }

    /// Passes the result to the sender, if it still waits.
    pub fn respond(self, outcome: Result<(), Unpublishable>) {
        // A sender that is gone needs no result: either the message is stored, or the job is delivered again.
        let _ = self.published.send(outcome);
    }
}

fn slot(slot: &MessageSlot) -> MutexGuard<'_, Option<OutgoingMessage>> {
    // Nothing panics between taking and putting.
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The sender's side of a request. Dropped, it gives the message up.
struct ConfirmReceiver {
    slot: Arc<MessageSlot>,
    outcome: oneshot::Receiver<Result<(), Unpublishable>>,
}

impl Drop for ConfirmReceiver {
    fn drop(&mut self) {
        self.outcome.close();
        let message = slot(&self.slot).take();
        // Not under the lock: dropping the message releases bytes, which wakes readers.
        drop(message);
    }
}

fn new_request(message: OutgoingMessage) -> (PublishRequest, ConfirmReceiver) {
    let size = message.body.len();
    let (published, outcome) = oneshot::channel();
    let slot = Arc::new(Mutex::new(Some(message)));
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
    /// Returns a handle, and the receiver of all its messages.
    #[must_use]
    pub fn pair() -> (Self, mpsc::Receiver<PublishRequest>) {
        let (publisher, _, inbox) = Self::routed(std::iter::empty());
        (publisher, inbox)
    }

    /// Returns a handle, one receiver for each of these queues, and one for all others.
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

    /// Publishes a message, and returns when its queue has confirmed it. A dropped future gives the message up,
    /// unless it is already being sent.
    ///
    /// # Errors
    ///
    /// `NotPublished`.
    pub async fn publish(&self, message: OutgoingMessage) -> Result<(), NotPublished> {
        let inbox = self.by_queue.get(&message.queue).unwrap_or(&self.others);
        let (request, mut awaited) = new_request(message);
        match inbox.try_send(request) {
            Ok(()) => {}
            // Boxed: the inbox is rarely full, and this future would make that of every job larger.
            Err(TrySendError::Full(request)) => {
                Box::pin(inbox.send(request)).await.map_err(|_| NotPublished::Closed)?;
            }
            Err(TrySendError::Closed(_)) => return Err(NotPublished::Closed),
        }
        let outcome = (&mut awaited.outcome).await.map_err(|_| NotPublished::Closed)?;
        outcome.map_err(NotPublished::Unpublishable)
    }
}

#[cfg(test)]
mod tests;
