//! A connection to the broker: lapin's, on our own stream.

use std::{ops::Deref, time::Duration};

use super::stream::StreamHandle;

/// AMQP's reply code for an orderly close.
pub(super) const REPLY_SUCCESS: u16 = 200;

/// The time limit of closing a connection on which no answer is awaited.
pub(super) const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// The stream ends this long after its connection is closed, even if the broker does not answer.
const STREAM_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection. Dropped, it closes in the background.
///
/// lapin waits for the answer to its close until the network reports the connection as lost. Meanwhile it keeps a
/// thread and the socket. So the stream is ended after [`STREAM_TIMEOUT`].
#[derive(Debug)]
pub(super) struct Connection {
    inner: lapin::Connection,
    stream: StreamHandle,
}

impl Connection {
    pub(super) const fn new(inner: lapin::Connection, stream: StreamHandle) -> Self {
        Self { inner, stream }
    }

    pub(super) const fn stream(&self) -> &StreamHandle {
        &self.stream
    }

    /// Closes the connection, and waits up to `limit` for the broker's answer.
    pub(super) async fn close_within(&self, limit: Duration) {
        self.stream.end_within(STREAM_TIMEOUT);
        let closing = self.inner.close(REPLY_SUCCESS, "bye".into());
        let _ = self.answer(limit, closing).await;
    }
}

impl Deref for Connection {
    type Target = lapin::Connection;

    fn deref(&self) -> &lapin::Connection {
        &self.inner
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.stream.end_within(STREAM_TIMEOUT);
    }
}
