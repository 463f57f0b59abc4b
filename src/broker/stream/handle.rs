//! The handle of a stream: ends it from outside, reports its end, and accounts for its bytes.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::Waker,
    time::Duration,
};

use futures_util::task::AtomicWaker;
use thiserror::Error;
use tokio::{sync::watch, time::Instant};

use super::{
    budget::{Account, Charge, Delivered},
    mend::Mended,
};
use crate::{
    broker::cause::CloseCause,
    metrics::{Mending, Metrics},
};

/// How a stream ended.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum StreamEnd {
    #[error("the broker closed the connection")]
    Closed,
    #[error("{0}")]
    Failed(String),
    #[error("the connection was given up")]
    GivenUp,
}

/// The handle of one stream. Clones belong to the same stream.
#[derive(Debug, Clone, Default)]
pub(crate) struct StreamHandle(Arc<StreamState>);

#[derive(Debug, Default)]
struct StreamState {
    account: Arc<Account>,
    /// Counts the repairs, if given.
    metrics: Option<Arc<Metrics>>,
    ended: watch::Sender<Option<StreamEnd>>,
    deadline: Mutex<Option<Instant>>,
    reader: AtomicWaker,
    /// The broker's reason for closing the connection.
    close_cause: OnceLock<CloseCause>,
    /// The broker's reasons for closing channels. A channel's number is used again.
    channel_causes: Mutex<BTreeMap<u16, CloseCause>>,
    /// Whether the stream is not read because too many delivered bytes are held.
    stalled: AtomicBool,
    /// Held while a batch of frames is handed over.
    writing: Mutex<()>,
}

impl StreamHandle {
    /// The handle of a new stream, whose messages are charged to `account`.
    pub(crate) fn new(account: Arc<Account>, metrics: Option<Arc<Metrics>>) -> Self {
        Self(Arc::new(StreamState { account, metrics, ..StreamState::default() }))
    }

    /// Returns the charge of a delivery, to be kept as long as its bytes.
    #[must_use]
    pub(crate) fn claim(&self, channel: u16, tag: u64) -> Charge {
        self.0.account.claim(Delivered { channel, tag })
    }

    /// Ends the stream at once.
    pub(crate) fn give_up(&self) {
        self.end_within(Duration::ZERO);
    }

    /// Ends the stream after `grace`. The earliest such call counts.
    pub(crate) fn end_within(&self, grace: Duration) {
        let deadline = Instant::now() + grace;
        {
            let mut ordered = self.0.deadline.lock().unwrap_or_else(PoisonError::into_inner);
            *ordered = Some(ordered.map_or(deadline, |before| before.min(deadline)));
        }
        self.wake();
    }

    /// Waits until the stream has ended, and returns how.
    pub(crate) async fn ended(&self) -> StreamEnd {
        let mut ended = self.0.ended.subscribe();
        match ended.wait_for(Option::is_some).await.map(|ended| ended.clone()) {
            Ok(Some(ended)) => ended,
            // The sender lives as long as this handle.
            Ok(None) | Err(_) => StreamEnd::GivenUp,
        }
    }

    /// How the stream ended, if it has.
    pub(crate) fn end(&self) -> Option<StreamEnd> {
        self.0.ended.borrow().clone()
    }

    /// Why the stream ended or is about to, as the broker or the stream reported it.
    pub(crate) fn cause(&self) -> Option<CloseCause> {
        let by_broker = self.0.close_cause.get().cloned();
        by_broker.or_else(|| self.end().map(|ended| CloseCause::from_text(ended.to_string())))
    }

    /// Whether the stream is not read because too many delivered bytes are held. Answers wait as well then.
    pub(crate) fn is_stalled(&self) -> bool {
        self.0.stalled.load(Ordering::Relaxed)
    }

    /// Makes lapin's thread wait before it encodes frames, until the guard is dropped. Frames that are handed over
    /// meanwhile are written together. Otherwise the thread would be woken for each frame, and would write it alone.
    pub(crate) fn hold_writes(&self) -> MutexGuard<'_, ()> {
        self.0.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records the broker's reason for closing the connection. The first one counts.
    pub(super) fn closed_by_broker(&self, cause: CloseCause) {
        let _ = self.0.close_cause.set(cause);
    }

    /// Why the broker closed the channel with this number, if it did.
    pub(crate) fn channel_cause(&self, channel: u16) -> Option<CloseCause> {
        self.channel_causes().get(&channel).cloned()
    }

    /// Forgets why the predecessor of a channel was closed.
    pub(super) fn channel_opened(&self, channel: u16) {
        self.channel_causes().remove(&channel);
    }

    /// Records the broker's reason for closing a channel, if it gave one.
    pub(super) fn channel_closed_by_broker(&self, channel: u16, cause: Option<CloseCause>) {
        if let Some(cause) = cause {
            self.channel_causes().insert(channel, cause);
        }
    }

    fn channel_causes(&self) -> MutexGuard<'_, BTreeMap<u16, CloseCause>> {
        self.0.channel_causes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The charges of the messages that are read.
    pub(super) fn account(&self) -> &Account {
        &self.0.account
    }

    /// Counts the repairs of a delivered message.
    pub(super) fn count_repairs(&self, Mended { text, nesting, size }: Mended) {
        let repairs = [(text, Mending::Text), (nesting, Mending::Nesting), (size, Mending::Size)];
        for (_, what) in repairs.into_iter().filter(|(was, _)| *was) {
            self.0.metrics.iter().for_each(|metrics| metrics.message_mended(what));
        }
    }

    /// Records whether the stream is not read.
    pub(super) fn stall(&self, stalled: bool) {
        if self.0.stalled.swap(stalled, Ordering::Relaxed) != stalled {
            self.0.account.stall(stalled);
        }
    }

    /// Records that the stream is not read any more: it has ended.
    pub(super) fn close(&self) {
        self.stall(false);
        self.0.account.close();
    }

    /// The time at which the stream must end, if one is set.
    pub(super) fn deadline(&self) -> Option<Instant> {
        *self.0.deadline.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn wake(&self) {
        self.0.reader.wake();
    }

    /// Wakes `reader` when the stream must end, or by [`StreamHandle::wake`].
    pub(super) fn watch(&self, reader: &Waker) {
        self.0.reader.register(reader);
    }

    /// Records how the stream ended. The first one counts.
    pub(super) fn note(&self, mut how: StreamEnd) {
        // The broker closes a connection that reads nothing for a while.
        if self.is_stalled() && how != StreamEnd::GivenUp {
            how = StreamEnd::Failed(format!("{how}, while broker.in_flight_bytes is used up"));
        }
        self.0.ended.send_if_modified(|ended| {
            let first = ended.is_none();
            if first {
                *ended = Some(how);
            }
            first
        });
    }
}
