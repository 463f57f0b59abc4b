//! A connection to the broker: lapin's, on our own stream.

use std::{ops::Deref, sync::Arc, time::Duration};

use super::{
    cause::CloseCause,
    stream::{Account, Charge, Delivered, StreamHandle},
};

/// AMQP's reply code for an orderly close.
pub(super) const REPLY_SUCCESS: u16 = 200;

/// The limit of closing a connection on which nothing is awaited any more.
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
    claims: Claims,
}

/// Claims the charges of deliveries on one connection.
#[derive(Debug, Clone)]
pub(super) struct Claims(Option<Arc<Account>>);

impl Claims {
    /// Returns the charge of a delivery, to be kept as long as its bytes. `None` without a budget.
    #[must_use]
    pub(super) fn claim(&self, channel: u16, tag: u64) -> Option<Charge> {
        self.0.as_ref().map(|account| account.claim(Delivered { channel, tag }))
    }
}

impl Connection {
    /// The connection over the stream of that handle.
    pub(super) const fn new(
        connection: lapin::Connection,
        stream: StreamHandle,
        account: Option<Arc<Account>>,
    ) -> Self {
        Self { inner: connection, stream, claims: Claims(account) }
    }

    /// Closes the connection, and waits up to `limit` for the broker's answer.
    pub(super) async fn close_within(&self, limit: Duration) {
        self.stream.end_within(STREAM_TIMEOUT);
        let closing = self.inner.close(REPLY_SUCCESS, "bye".into());
        let _ = self.answer(limit, closing).await;
    }

    /// Why the connection ended, as the broker or the stream reported it; `None` while it is open.
    pub(super) fn cause(&self) -> Option<CloseCause> {
        self.stream.cause()
    }

    /// Claims the charges of its deliveries.
    pub(super) const fn claims(&self) -> &Claims {
        &self.claims
    }

    /// Whether the connection is not read, because too many delivered bytes are in flight.
    pub(super) fn is_stalled(&self) -> bool {
        self.stream.is_stalled()
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
