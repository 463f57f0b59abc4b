//! The transport, which can be ended from outside.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

use super::{
    alarm::Alarm,
    handle::{StreamEnd, StreamHandle},
};

pub(super) trait ByteSource {
    /// Reads into `buffer`; `Ok(0)` is the end.
    fn receive(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>>;

    /// Waits without reading until that time. With `None`, it waits until the stream is ended from outside.
    fn rest(&mut self, cx: &mut Context<'_>, until: Option<Instant>) -> Poll<io::Result<()>>;
}

#[derive(Debug)]
pub(super) struct EndableTransport<T> {
    transport: T,
    handle: StreamHandle,
    alarm: Alarm,
}

impl<T: AsyncRead + AsyncWrite + Unpin> EndableTransport<T> {
    pub(super) fn new(transport: T, handle: StreamHandle) -> Self {
        Self { transport, handle, alarm: Alarm::new() }
    }

    /// Uses the transport, and records its failure.
    pub(super) fn with<R>(
        &mut self,
        work: impl FnOnce(Pin<&mut T>) -> Poll<io::Result<R>>,
    ) -> Poll<io::Result<R>> {
        let done = ready!(work(Pin::new(&mut self.transport)));
        Poll::Ready(done.inspect_err(|error| self.failed(error)))
    }

    /// Blocks lapin's thread while a batch of frames is handed over. That takes no longer than making the frames.
    pub(super) fn await_hand_over(&self) {
        drop(self.handle.hold_writes());
    }

    pub(super) fn failed(&self, error: &io::Error) {
        if !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) {
            self.handle.note(StreamEnd::Failed(error.to_string()));
        }
    }

    /// Ready with an error if it must end now, or `Ok` if `until` has come. Otherwise the watching reader is woken at
    /// the earlier time.
    fn ring(&mut self, until: Option<Instant>) -> Poll<io::Result<()>> {
        let deadline = self.handle.deadline();
        let Some(at) = deadline.into_iter().chain(until).min() else { return Poll::Pending };
        if at > Instant::now() {
            self.alarm.set(at, &self.handle);
            return Poll::Pending;
        }
        if deadline.is_some_and(|deadline| deadline <= at) {
            self.handle.note(StreamEnd::GivenUp);
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> ByteSource for EndableTransport<T> {
    fn receive(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        if self.handle.deadline().is_some()
            && let Poll::Ready(Err(given_up)) = self.ring(None)
        {
            return Poll::Ready(Err(given_up));
        }
        let mut into = ReadBuf::new(buffer);
        if self.with(|transport| transport.poll_read(cx, &mut into))?.is_pending() {
            self.handle.watch(cx.waker());
            // The handle may have ended it since the first check.
            return match self.ring(None) {
                Poll::Ready(Err(given_up)) => Poll::Ready(Err(given_up)),
                _ => Poll::Pending,
            };
        }
        let count = into.filled().len();
        if count == 0 {
            self.handle.note(StreamEnd::Closed);
        }
        Poll::Ready(Ok(count))
    }

    fn rest(&mut self, cx: &mut Context<'_>, until: Option<Instant>) -> Poll<io::Result<()>> {
        self.handle.watch(cx.waker());
        self.ring(until)
    }
}

impl<T> Drop for EndableTransport<T> {
    fn drop(&mut self) {
        self.handle.note(StreamEnd::GivenUp);
    }
}

#[cfg(test)]
mod tests {
    use std::{task::Waker, time::Duration};

    use futures_util::FutureExt;
    use tokio::{io::duplex, runtime::Runtime};

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    /// lapin's own thread reads on while the runtime shuts down at the end of the process.
    #[test]
    fn a_stream_that_is_read_after_its_runtime_is_gone_does_not_panic() {
        let runtime = Runtime::new().unwrap();
        let handle = StreamHandle::default();
        let (ours, _theirs) = duplex(64);
        let mut wire = runtime.block_on(async { EndableTransport::new(ours, handle.clone()) });
        let mut cx = Context::from_waker(Waker::noop());
        handle.end_within(HOUR);
        assert!(wire.receive(&mut cx, &mut [0; 8]).is_pending());
        drop(runtime);
        assert!(wire.receive(&mut cx, &mut [0; 8]).is_pending());
        assert!(wire.rest(&mut cx, Some(Instant::now() + HOUR / 2)).is_pending());
        handle.give_up();
        let ended = wire.receive(&mut cx, &mut [0; 8]);
        assert!(matches!(ended, Poll::Ready(Err(_))), "{ended:?}");
        assert_eq!(handle.ended().now_or_never(), Some(StreamEnd::GivenUp));
    }
}
