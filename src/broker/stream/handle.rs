//! The outside handle of a stream: ends it, and returns how it ended.

use std::{
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::Waker,
    time::Duration,
};

use futures_util::task::AtomicWaker;
use thiserror::Error;
use tokio::{sync::watch, time::Instant};

use crate::broker::cause::CloseCause;

/// How a stream ended.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum StreamEnd {
    /// The peer closed it.
    #[error("the broker closed the connection")]
    Closed,
    /// Reading or writing failed, for this reason.
    #[error("{0}")]
    Failed(String),
    /// We ended it.
    #[error("the connection was given up")]
    GivenUp,
}

/// The handle of one stream. Clones belong to the same stream.
#[derive(Debug, Clone, Default)]
pub(crate) struct StreamHandle(Arc<StreamState>);

#[derive(Debug, Default)]
struct StreamState {
    ended: watch::Sender<Option<StreamEnd>>,
    /// Whether `deadline` is set. The stream checks it on each read.
    ordered: AtomicBool,
    deadline: Mutex<Option<Instant>>,
    reader: AtomicWaker,
    /// The broker's reason for closing the connection.
    said: OnceLock<CloseCause>,
    /// Whether the stream is not read because too many delivered bytes are held.
    stalled: AtomicBool,
}

impl StreamHandle {
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
        self.0.ordered.store(true, Ordering::Release);
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
        let said = self.0.said.get().cloned();
        said.or_else(|| self.end().map(|ended| CloseCause::from_text(ended.to_string())))
    }

    /// Whether the stream is not read because too many delivered bytes are held. Answers wait as well then.
    pub(crate) fn is_stalled(&self) -> bool {
        self.0.stalled.load(Ordering::Relaxed)
    }

    /// Records the broker's reason for closing the connection. The first one counts.
    pub(super) fn said(&self, cause: CloseCause) {
        let _ = self.0.said.set(cause);
    }

    /// Records whether the stream is not read.
    pub(super) fn stall(&self, stalled: bool) {
        self.0.stalled.store(stalled, Ordering::Relaxed);
    }

    /// When the stream must end, if it was told to.
    pub(super) fn deadline(&self) -> Option<Instant> {
        if !self.0.ordered.load(Ordering::Acquire) {
            return None;
        }
        *self.0.deadline.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the reader.
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
