//! A connection to the broker: lapin's, on a stream of ours.

use std::{ops::Deref, time::Duration};

use lapin::types::{ReplyCode, ShortString};

use super::{cause::Cause, stream::Handle};

/// The goodbye to a broker that does not answer takes no longer: then the stream is ended.
const GOODBYE: Duration = Duration::from_secs(10);

/// A connection. Dropped, it says goodbye by itself.
///
/// lapin waits for the answer to its goodbye for as long as the network takes to give the connection up, and
/// keeps a thread and the socket meanwhile. So the stream ends a while after the connection does.
#[derive(Debug)]
pub struct Connection {
    connection: lapin::Connection,
    stream: Handle,
}

impl Connection {
    /// The connection over the stream of that handle.
    #[must_use]
    pub const fn new(connection: lapin::Connection, stream: Handle) -> Self {
        Self { connection, stream }
    }

    /// Closes the connection in order.
    ///
    /// # Errors
    ///
    /// lapin's, if the connection is closed already or breaks.
    pub async fn close(&self, code: ReplyCode, text: ShortString) -> lapin::Result<()> {
        self.stream.end_within(GOODBYE);
        self.connection.close(code, text).await
    }

    /// How the stream ended, if it has.
    #[must_use]
    pub fn cause(&self) -> Option<Cause> {
        self.stream.end().map(|ended| Cause::told(ended.to_string()))
    }
}

impl Deref for Connection {
    type Target = lapin::Connection;

    fn deref(&self) -> &lapin::Connection {
        &self.connection
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.stream.end_within(GOODBYE);
    }
}
