//! Why a connection or a channel ended, in the words of the broker or of the client library, and what to do.
//!
//! The library tells the cause to some commands only. An ack that is the first to meet a connection that is
//! gone gets no more than "invalid channel state", and a wait that ends with its connection gets nothing. But
//! the library announces each of these errors once, as an event of the connection.

use std::{
    fmt, future,
    io::{self, ErrorKind as IoErrorKind},
    pin::Pin,
    time::Duration,
};

use futures_util::{Stream, StreamExt};
use lapin::{
    Connection, ConnectionStatus, ErrorKind, Event,
    protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError},
};
use tokio::time::timeout;

use super::connect::fault;

/// The library announces an error within milliseconds of the first command that meets it.
const ANNOUNCED_WITHIN: Duration = Duration::from_secs(1);

/// What can be done, by a word of the cause.
const ADVICE: [(&str, &str); 4] = [
    ("ACCESS_REFUSED", "check the user, its password and its rights"),
    ("NOT_ALLOWED", "check the virtual host and the user's right to it"),
    ("CONNECTION_FORCED", "the worker connects again by itself"),
    ("broker.declare is false", "whoever provisions the queues has to declare it"),
];

/// An error of lapin's in few words: what the broker said, with its reply code, or what went wrong.
pub fn told(error: &lapin::Error) -> String {
    match error.kind() {
        ErrorKind::ProtocolError(said) => format!("{} {}", said.get_id(), said.get_message()),
        ErrorKind::ParsingError(fault) => format!("what the broker sent cannot be read: {fault}"),
        ErrorKind::IOError(fault) if is_end(fault) => {
            "the connection ended without a word from the broker".to_owned()
        }
        _ => fault(error),
    }
}

/// The library's own error for a stream that ended; the system's errors have a number.
fn is_end(fault: &io::Error) -> bool {
    let kinds = [IoErrorKind::ConnectionAborted, IoErrorKind::UnexpectedEof];
    kinds.contains(&fault.kind()) && fault.raw_os_error().is_none()
}

/// A cause with what can be done about it, where something can.
pub fn advised(cause: String) -> String {
    match ADVICE.iter().find(|(word, _)| cause.contains(word)) {
        Some((_, advice)) => format!("{cause}; {advice}"),
        None => cause,
    }
}

/// Whether the messages of a lane may have ended its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suspicion {
    /// Something else did.
    None,
    /// Nobody knows what did.
    Some,
    /// One side could not read what the other sent.
    Strong,
}

/// Whether a message may be behind this error.
pub fn suspicion(error: &lapin::Error) -> Suspicion {
    let ErrorKind::ProtocolError(said) = error.kind() else {
        let unreadable = matches!(error.kind(), ErrorKind::ParsingError(_));
        return if unreadable { Suspicion::Strong } else { Suspicion::Some };
    };
    match said.kind() {
        AMQPErrorKind::Soft(_) | AMQPErrorKind::Hard(AMQPHardError::CONNECTIONFORCED) => {
            Suspicion::None
        }
        AMQPErrorKind::Hard(
            AMQPHardError::FRAMEERROR | AMQPHardError::SYNTAXERROR | AMQPHardError::UNEXPECTEDFRAME,
        ) => Suspicion::Strong,
        AMQPErrorKind::Hard(_) => Suspicion::Some,
    }
}

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
pub struct Errors {
    events: Pin<Box<dyn Stream<Item = Event> + Send>>,
    /// Why the broker last closed a channel that had asked for nothing.
    channel: Option<lapin::Error>,
}

impl fmt::Debug for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Errors").finish_non_exhaustive()
    }
}

impl Errors {
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
