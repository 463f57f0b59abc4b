//! A connection to the broker: lapin's, on a stream of ours.

use std::{ops::Deref, sync::Arc, time::Duration};

use lapin::{
    ConnectionStatus,
    types::{ReplyCode, ShortString},
};

use super::{
    cause::Cause,
    link::Link,
    stream::{Account, Charge, Delivered, Handle},
};

/// The goodbye to a broker that does not answer takes no longer: then the stream is ended.
const GOODBYE: Duration = Duration::from_secs(10);

/// A connection. Dropped, it says goodbye by itself.
///
/// lapin waits for the answer to its goodbye for as long as the network takes to give the connection up, and
/// keeps a thread and the socket meanwhile. So the stream ends a while after the connection does.
#[derive(Debug)]
pub struct Connection {
    inner: lapin::Connection,
    stream: Handle,
    claims: Claims,
}

/// Tells whoever waits for an answer what can be expected of a connection.
#[derive(Debug, Clone)]
pub struct Outlook {
    status: ConnectionStatus,
    stream: Handle,
}

impl Outlook {
    /// What can be expected now.
    #[must_use]
    pub fn link(&self) -> Link {
        match Link::of(&self.status) {
            Link::Up if self.stream.is_stalled() => Link::Stalled,
            link => link,
        }
    }
}

/// The way to the charges of one connection, for whoever takes deliveries from it.
#[derive(Debug, Clone)]
pub struct Claims(Option<Arc<Account>>);

impl Claims {
    /// The charge of a delivery, to be kept for as long as its bytes are. On a connection without a budget it
    /// is nothing.
    #[must_use]
    pub fn claim(&self, channel: u16, tag: u64) -> Option<Charge> {
        self.0.as_ref().map(|account| account.claim(Delivered { channel, tag }))
    }
}

impl Connection {
    /// The connection over the stream of that handle.
    #[must_use]
    pub const fn new(
        connection: lapin::Connection,
        stream: Handle,
        account: Option<Arc<Account>>,
    ) -> Self {
        Self { inner: connection, stream, claims: Claims(account) }
    }

    /// Closes the connection in order.
    ///
    /// # Errors
    ///
    /// lapin's, if the connection is closed already or breaks.
    pub async fn close(&self, code: ReplyCode, text: ShortString) -> lapin::Result<()> {
        self.stream.end_within(GOODBYE);
        self.inner.close(code, text).await
    }

    /// Why the connection ended, if it has: what the broker said, or what the stream met.
    #[must_use]
    pub fn cause(&self) -> Option<Cause> {
        self.stream.cause()
    }

    /// The way to the charges of its deliveries.
    #[must_use]
    pub const fn claims(&self) -> &Claims {
        &self.claims
    }

    /// What can be expected of the connection, from now on.
    #[must_use]
    pub fn outlook(&self) -> Outlook {
        Outlook { status: self.status().clone(), stream: self.stream.clone() }
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
        self.stream.end_within(GOODBYE);
    }
}
