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

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wire.with(|transport| transport.poll_flush(cx))
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wire.with(|transport| transport.poll_shutdown(cx))
    }
}
