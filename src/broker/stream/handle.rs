//! A stream as it is seen from outside: it can be ended, and tells how it ended.

use std::{
    fmt,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::Waker,
    time::Duration,
};

use futures_util::task::AtomicWaker;
use tokio::{sync::watch, time::Instant};

use crate::broker::cause::CloseCause;

/// How a stream ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamEnd {
    /// The peer closed it.
    Closed,
    /// Reading or writing failed, for this reason.
    Failed(String),
    /// It was ended from here.
    GivenUp,
}

impl fmt::Display for StreamEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the broker closed the connection"),
            Self::Failed(why) => f.write_str(why),
            Self::GivenUp => f.write_str("the connection was given up"),
        }
    }
}

/// The handle of one stream. Its clones are of the same stream.
#[derive(Debug, Clone, Default)]
pub struct StreamHandle(Arc<StreamState>);

#[derive(Debug)]
struct StreamState {
    ended: watch::Sender<Option<StreamEnd>>,
    /// Whether `deadline` is set: what the stream looks at for each read.
    ordered: AtomicBool,
    deadline: Mutex<Option<Instant>>,
    reader: AtomicWaker,
    /// What the broker said as it closed the connection.
    said: OnceLock<CloseCause>,
    /// The stream is not read: too much of what came is still held.
    stalled: AtomicBool,
}

impl Default for StreamState {
    fn default() -> Self {
        Self {
            ended: watch::Sender::new(None),
            ordered: AtomicBool::new(false),
            deadline: Mutex::new(None),
            reader: AtomicWaker::new(),
            said: OnceLock::new(),
            stalled: AtomicBool::new(false),
        }
    }
}

impl StreamHandle {
    /// Ends the stream at once, whatever its peer does.
    pub fn give_up(&self) {
        self.end_within(Duration::ZERO);
    }

    /// Ends the stream after `grace` at the latest. The earliest such order counts.
    pub fn end_within(&self, grace: Duration) {
        let deadline = Instant::now() + grace;
        {
            let mut ordered = self.0.deadline.lock().unwrap_or_else(PoisonError::into_inner);
            *ordered = Some(ordered.map_or(deadline, |before| before.min(deadline)));
        }
        self.0.ordered.store(true, Ordering::Release);
        self.wake();
    }

    /// Waits until the stream has ended, and says how.
    pub async fn ended(&self) -> StreamEnd {
        let mut ended = self.0.ended.subscribe();
        match ended.wait_for(Option::is_some).await.map(|ended| ended.clone()) {
            Ok(Some(ended)) => ended,
            // The sender lives as long as this handle.
            Ok(None) | Err(_) => StreamEnd::GivenUp,
        }
    }

    /// How the stream ended, if it has.
    #[must_use]
    pub fn end(&self) -> Option<StreamEnd> {
        self.0.ended.borrow().clone()
    }

    /// Why the stream ended, if it has, or is about to: what the broker said, or what the stream met.
    #[must_use]
    pub fn cause(&self) -> Option<CloseCause> {
        let said = self.0.said.get().cloned();
        said.or_else(|| self.end().map(|ended| CloseCause::told(ended.to_string())))
    }

    /// Whether the stream is not read, because too much of what came is still held. Answers of the broker have
    /// to wait for that too.
    #[must_use]
    pub fn is_stalled(&self) -> bool {
        self.0.stalled.load(Ordering::Relaxed)
    }

    /// The broker closes the connection, for this reason.
    pub(super) fn said(&self, cause: CloseCause) {
        // The first word counts.
        let _ = self.0.said.set(cause);
    }

    /// Whether the stream is read.
    pub(super) fn stall(&self, stalled: bool) {
        self.0.stalled.store(stalled, Ordering::Relaxed);
    }

    /// When the stream has to end, if it has been told so.
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

    /// Has the reader woken when it is told to end, or by [`StreamHandle::wake`].
    pub(super) fn watch(&self, reader: &Waker) {
        self.0.reader.register(reader);
    }

    /// Notes how the stream ended. The first word counts.
    pub(super) fn note(&self, mut how: StreamEnd) {
        // A broker closes a connection that reads nothing for a while.
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
