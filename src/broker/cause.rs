//! Why a connection or a channel ended, as its source reported it.

use std::fmt;

use lapin::ErrorKind;

pub(super) const GONE: &str = "the connection is gone";

/// A cause, as the broker, the client library or the network reported it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CloseCause {
    /// The broker's reply code, if it gave one: 320 is `CONNECTION_FORCED`.
    pub(super) code: Option<u16>,
    pub(super) text: String,
}

impl fmt::Display for CloseCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) => write!(f, "{} (reply code {code})", self.text),
            None => f.write_str(&self.text),
        }
    }
}

impl CloseCause {
    pub(super) fn from_text(text: impl Into<String>) -> Self {
        Self { code: None, text: text.into() }
    }

    pub(super) fn of(error: &lapin::Error) -> Self {
        match error.kind() {
            ErrorKind::ProtocolError(reply) => {
                Self { code: Some(reply.get_id()), text: reply.get_message().to_string() }
            }
            ErrorKind::IOError(error) => Self::from_text(error.to_string()),
            ErrorKind::MissingHeartbeatError => Self::from_text("the broker's heartbeats stopped"),
            ErrorKind::ParsingError(_) => Self::from_text(format!(
                "the client library cannot read the broker's data: {error}"
            )),
            ErrorKind::InvalidConnectionState(_) | ErrorKind::InvalidChannelState(..) => {
                Self::from_text(GONE)
            }
            _ => Self::from_text(error.to_string()),
        }
    }
}

/// The text of an error of lapin, without its code.
pub(super) fn fault(error: &lapin::Error) -> String {
    CloseCause::of(error).text
}
