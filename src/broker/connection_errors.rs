//! The errors that end a connection or a channel, as lapin announces them.
//!
//! lapin returns the cause to some commands only. An ack on a lost connection fails with "invalid channel state", and
//! a wait that ends with its connection gets no error. But lapin announces each such error once, as an event of the
//! connection.

use std::{future, pin::Pin, time::Duration};

use futures_util::{Stream, StreamExt};
use lapin::{
    Connection, ConnectionStatus, ErrorKind, Event,
    protocol::{AMQPErrorKind, AMQPSoftError},
};
use tokio::time::timeout;

/// lapin announces an error within milliseconds of the first command that fails.
const ANNOUNCED_WITHIN: Duration = Duration::from_secs(1);

/// Whether the error is only a consequence of an earlier end.
pub(super) fn is_aftermath(error: &lapin::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::InvalidChannelState(..)
            | ErrorKind::InvalidConnectionState(_)
            | ErrorKind::InvalidChannel(_)
    )
}

/// The announced errors of one connection.
pub(super) struct ConnectionErrors {
    events: Pin<Box<dyn Stream<Item = Event> + Send>>,
    /// The last error that closed a channel without a command.
    channel: Option<lapin::Error>,
}

impl ConnectionErrors {
    /// Listens from now on. Earlier events are lost.
    pub(super) fn of(connection: &Connection) -> Self {
        Self::among(connection.events_listener())
    }

    fn among(events: impl Stream<Item = Event> + Send + 'static) -> Self {
        Self { events: Box::pin(events), channel: None }
    }

    /// Waits for the error that ends the connection. Cancel safe.
    pub(super) async fn fatal(&mut self) -> lapin::Error {
        loop {
            if let Some(error) = self.next().await {
                return error;
            }
        }
    }

    /// Returns the error behind a failed command, if it is announced within [`ANNOUNCED_WITHIN`]. This is the error
    /// that ended the connection or, if that is open, the channel.
    pub(super) async fn behind(&mut self, status: &ConnectionStatus) -> Option<lapin::Error> {
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

    /// Takes the next event. Returns its error if that ends the connection.
    async fn next(&mut self) -> Option<lapin::Error> {
        match self.events.next().await {
            Some(Event::Error(error)) if !error.is_amqp_soft_error() => return Some(error),
            Some(Event::Error(error)) if is_unasked(&error) => self.channel = Some(error),
            Some(_) => {}
            // The connection is gone: no event comes any more.
            None => future::pending().await,
        }
        None
    }

    /// Returns the error, or the one behind it if [`is_aftermath`].
    pub(super) async fn cause_of(
        &mut self,
        error: lapin::Error,
        status: &ConnectionStatus,
    ) -> lapin::Error {
        if is_aftermath(&error) { self.behind(status).await.unwrap_or(error) } else { error }
    }
}

/// Whether the broker closed a channel for this without a command. Commands get their other errors themselves.
fn is_unasked(error: &lapin::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ProtocolError(reply)
            if *reply.kind() == AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED)
    )
}

#[cfg(test)]
mod tests;
