//! What ended a connection or a channel, as the client library announces it.
//!
//! The library tells the cause to some commands only. An ack that is the first to meet a connection that is
//! gone gets no more than "invalid channel state", and a wait that ends with its connection gets nothing. But
//! the library announces each of these errors once, as an event of the connection.

use std::{fmt, future, pin::Pin, time::Duration};

use futures_util::{Stream, StreamExt};
use lapin::{
    Connection, ConnectionStatus, ErrorKind, Event,
    protocol::{AMQPErrorKind, AMQPSoftError},
};
use tokio::time::timeout;

/// The library announces an error within milliseconds of the first command that meets it.
const ANNOUNCED_WITHIN: Duration = Duration::from_secs(1);

/// Whether the error tells no more than that something had ended before.
pub fn is_aftermath(error: &lapin::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::InvalidChannelState(..)
            | ErrorKind::InvalidConnectionState(_)
            | ErrorKind::InvalidChannel(_)
    )
}

/// The errors that the library announces for one connection.
pub struct ConnectionErrors {
    events: Pin<Box<dyn Stream<Item = Event> + Send>>,
    /// Why the broker last closed a channel that had asked for nothing.
    channel: Option<lapin::Error>,
}

impl fmt::Debug for ConnectionErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionErrors").finish_non_exhaustive()
    }
}

impl ConnectionErrors {
    /// Listens from now on; what was announced before is not told.
    #[must_use]
    pub fn of(connection: &Connection) -> Self {
        Self::among(connection.events_listener())
    }

    fn among(events: impl Stream<Item = Event> + Send + 'static) -> Self {
        Self { events: Box::pin(events), channel: None }
    }

    /// The error that ends the connection. May be dropped and called again.
    pub async fn fatal(&mut self) -> lapin::Error {
        loop {
            if let Some(error) = self.next().await {
                return error;
            }
        }
    }

    /// What stands behind an end that some command met, if that is announced within a moment: what ended the
    /// connection, or where that lives, what closed a channel.
    pub async fn behind(&mut self, status: &ConnectionStatus) -> Option<lapin::Error> {
        let announced = async {
            loop {
                if status.connected()
                    && let Some(error) = self.channel.take()
                {
                    return error;
                }
                if let Some(error) = self.next().await {
                    return error;
                }
            }
        };
        let announced = timeout(ANNOUNCED_WITHIN, announced).await.ok();
        announced.or_else(|| self.channel.take())
    }

    /// The next event: an error if it ends the connection.
    async fn next(&mut self) -> Option<lapin::Error> {
        match self.events.next().await {
            Some(Event::Error(error)) if !error.is_amqp_soft_error() => return Some(error),
            Some(Event::Error(error)) if is_unasked(&error) => self.channel = Some(error),
            Some(_) => {}
            // The connection is gone, and with it whoever could announce anything.
            None => future::pending().await,
        }
        None
    }

    /// The error, or where that tells no more than that something had ended before, what had ended it.
    pub async fn cause_of(
        &mut self,
        error: lapin::Error,
        status: &ConnectionStatus,
    ) -> lapin::Error {
        if is_aftermath(&error) { self.behind(status).await.unwrap_or(error) } else { error }
    }
}

/// Whether a channel was closed for this without having asked for anything. The others are answers to a command,
/// and told to it.
fn is_unasked(error: &lapin::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ProtocolError(said)
            if *said.kind() == AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED)
    )
}

#[cfg(test)]
mod tests;
