//! The stream that lapin reads and writes.

use std::{
    fmt,
    io::{self, IoSlice, IoSliceMut},
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    Transport, handle::StreamHandle, methods::Negotiated, reader::StreamReader,
    wire::EndableTransport,
};

/// A connection's bytes, in both directions.
pub(crate) struct Stream<T = Transport> {
    wire: EndableTransport<T>,
    reader: StreamReader,
}

impl<T> fmt::Debug for Stream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").finish_non_exhaustive()
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Stream<T> {
    /// A stream over a connected transport. `ours` are our limits for the negotiation.
    pub(crate) fn new(transport: T, ours: Negotiated, handle: StreamHandle) -> Self {
        let reader = StreamReader::new(ours, handle.clone());
        Self { wire: EndableTransport::new(transport, handle), reader }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> futures_io::AsyncRead for Stream<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let Self { wire, reader } = &mut *self;
        let read = reader.poll(wire, cx, buffer);
        if let Poll::Ready(Err(error)) = &read {
            wire.failed(error);
        }
        read
    }

    /// Fills only the first buffer, so that the bytes are contiguous. lapin offers the rest with its next read.
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
        self.wire.with(|transport| transport.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.wire.with(|transport| transport.poll_write_vectored(cx, parts))
    }

    /// lapin calls this before it encodes the frames that wait.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wire.await_hand_over();
        self.wire.with(|transport| transport.poll_flush(cx))
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wire.with(|transport| transport.poll_shutdown(cx))
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicBool, Ordering},
            mpsc,
        },
        task::Waker,
        thread,
    };

    use futures_io::AsyncWrite as _;
    use tokio::io::ReadBuf;

    use super::*;

    /// A transport that tells whether it was flushed.
    struct Flushed(Arc<AtomicBool>);

    impl AsyncRead for Flushed {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    impl AsyncWrite for Flushed {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.0.store(true, Ordering::SeqCst);
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn nothing_is_written_while_frames_are_handed_over() {
        /// Enough for another thread to flush, if nothing stops it.
        const TURNS: usize = 10_000;
        const OURS: Negotiated = Negotiated { frame_max: 0, heartbeat: 10 };
        let handle = StreamHandle::default();
        let flushed = Arc::new(AtomicBool::new(false));
        let transport = Flushed(Arc::clone(&flushed));
        let mut stream = Stream::new(transport, OURS, handle.clone());
        let (begins, begun) = mpsc::channel();
        thread::scope(|threads| {
            let held = handle.hold_writes();
            let flushing = threads.spawn(move || {
                begins.send(()).unwrap();
                let mut cx = Context::from_waker(Waker::noop());
                assert!(Pin::new(&mut stream).poll_flush(&mut cx).is_ready());
            });
            begun.recv().unwrap();
            for _ in 0..TURNS {
                thread::yield_now();
                assert!(!flushed.load(Ordering::SeqCst));
            }
            drop(held);
            flushing.join().unwrap();
        });
        assert!(flushed.load(Ordering::SeqCst));
    }
}
