//! The transport, and the word from outside that it has to end.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep},
};

use super::handle::{Ended, Handle};

/// An alarm that is not set.
const NEVER: Duration = Duration::from_secs(365 * 86_400);

/// Where bytes come from.
pub trait Source {
    /// Reads into `buffer`; `Ok(0)` is the end.
    fn receive(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>>;

    /// Reads nothing, and waits until that time; for ever, or for a word from outside, without one.
    fn rest(&mut self, cx: &mut Context<'_>, until: Option<Instant>) -> Poll<io::Result<()>>;
}

/// A transport that can be ended from outside.
#[derive(Debug)]
pub struct Wire<T> {
    transport: T,
    handle: Handle,
    alarm: Pin<Box<Sleep>>,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Wire<T> {
    /// The transport, ended by that handle.
    pub fn new(transport: T, handle: Handle) -> Self {
        Self { transport, handle, alarm: Box::pin(sleep(NEVER)) }
    }

    /// Does something to the transport, and notes how it failed.
    pub fn with<R>(
        &mut self,
        work: impl FnOnce(Pin<&mut T>) -> Poll<io::Result<R>>,
    ) -> Poll<io::Result<R>> {
        let done = ready!(work(Pin::new(&mut self.transport)));
        Poll::Ready(done.inspect_err(|error| self.failed(error)))
    }

    /// Notes that it failed.
    pub fn failed(&self, error: &io::Error) {
        if !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) {
            self.handle.note(Ended::Failed(error.to_string()));
        }
    }

    /// Whether it has to end now, or until then comes `until`. The reader is woken when either does.
    fn ring(&mut self, cx: &mut Context<'_>, until: Option<Instant>) -> Poll<io::Result<()>> {
        let deadline = self.handle.deadline();
        let Some(at) = deadline.into_iter().chain(until).min() else { return Poll::Pending };
        if at > Instant::now() {
            if self.alarm.deadline() != at {
                self.alarm.as_mut().reset(at);
            }
            ready!(self.alarm.as_mut().poll(cx));
        }
        if deadline.is_some_and(|deadline| deadline <= at) {
            self.handle.note(Ended::GivenUp);
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Source for Wire<T> {
    fn receive(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        if self.handle.deadline().is_some()
            && let Poll::Ready(Err(given_up)) = self.ring(cx, None)
        {
            return Poll::Ready(Err(given_up));
        }
        let mut into = ReadBuf::new(buffer);
        if self.with(|transport| transport.poll_read(cx, &mut into))?.is_pending() {
            self.handle.watch(cx.waker());
            // Between the first look and this, it may have been told to end.
            return match self.ring(cx, None) {
                Poll::Ready(Err(given_up)) => Poll::Ready(Err(given_up)),
                _ => Poll::Pending,
            };
        }
        let count = into.filled().len();
        if count == 0 {
            self.handle.note(Ended::Closed);
        }
        Poll::Ready(Ok(count))
    }

    fn rest(&mut self, cx: &mut Context<'_>, until: Option<Instant>) -> Poll<io::Result<()>> {
        self.handle.watch(cx.waker());
        self.ring(cx, until)
    }
}

impl<T> Drop for Wire<T> {
    fn drop(&mut self) {
        self.handle.note(Ended::GivenUp);
    }
}
