//! The stream that lapin reads and writes.

use std::{
    fmt,
    io::{self, IoSlice, IoSliceMut},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep},
};

use super::{
    Transport,
    handle::{Ended, Handle},
};

/// An alarm that is not set.
const NEVER: Duration = Duration::from_secs(365 * 86_400);

/// A connection's bytes, in both directions.
pub struct Stream<T = Transport> {
    transport: T,
    handle: Handle,
    /// Rings when the stream has to end.
    alarm: Pin<Box<Sleep>>,
}

impl<T> fmt::Debug for Stream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("handle", &self.handle).finish_non_exhaustive()
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Stream<T> {
    /// The stream over a transport that is connected.
    #[must_use]
    pub fn new(transport: T) -> Self {
        Self { transport, handle: Handle::default(), alarm: Box::pin(sleep(NEVER)) }
    }

    /// A handle of this stream.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Reads from the transport into `buffer`. `Ok(0)` is its end.
    fn receive(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        if self.has_to_end(cx) {
            return Poll::Ready(Err(self.given_up()));
        }
        let mut into = ReadBuf::new(buffer);
        let read = match Pin::new(&mut self.transport).poll_read(cx, &mut into) {
            Poll::Ready(read) => read,
            Poll::Pending => {
                self.handle.watch(cx.waker());
                // Between the first look and this, it may have been told to end.
                return if self.has_to_end(cx) {
                    Poll::Ready(Err(self.given_up()))
                } else {
                    Poll::Pending
                };
            }
        };
        match read {
            Ok(()) if into.filled().is_empty() => self.handle.note(Ended::Closed),
            Ok(()) => {}
            Err(error) => return Poll::Ready(Err(self.failed(error))),
        }
        Poll::Ready(Ok(into.filled().len()))
    }

    /// Whether the stream was told to end, and its time is over. If there is time left, the reader is woken
    /// when it is over.
    fn has_to_end(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(deadline) = self.handle.deadline() else { return false };
        if deadline <= Instant::now() {
            return true;
        }
        if self.alarm.deadline() != deadline {
            self.alarm.as_mut().reset(deadline);
        }
        self.alarm.as_mut().poll(cx).is_ready()
    }

    fn given_up(&self) -> io::Error {
        self.handle.note(Ended::GivenUp);
        io::ErrorKind::ConnectionAborted.into()
    }

    fn failed(&self, error: io::Error) -> io::Error {
        if !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) {
            self.handle.note(Ended::Failed(error.to_string()));
        }
        error
    }

    /// Does something to the transport, and notes how it failed.
    fn with<R>(
        &mut self,
        work: impl FnOnce(Pin<&mut T>) -> Poll<io::Result<R>>,
    ) -> Poll<io::Result<R>> {
        let done = ready!(work(Pin::new(&mut self.transport)));
        Poll::Ready(done.map_err(|error| self.failed(error)))
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> futures_io::AsyncRead for Stream<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.receive(cx, buffer)
    }

    /// Fills the first part alone: what is read is contiguous then. lapin offers the rest with its next read.
    fn poll_read_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        match buffers.iter_mut().find(|buffer| !buffer.is_empty()) {
            Some(first) => self.poll_read(cx, first),
            None => Poll::Ready(Ok(0)),
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> futures_io::AsyncWrite for Stream<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.with(|transport| transport.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.with(|transport| transport.poll_write_vectored(cx, parts))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|transport| transport.poll_flush(cx))
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|transport| transport.poll_shutdown(cx))
    }
}

impl<T> Drop for Stream<T> {
    fn drop(&mut self) {
        self.handle.note(Ended::GivenUp);
    }
}
