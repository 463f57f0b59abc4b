//! Why a publishing channel ended, and whether a message can be the cause.

use lapin::{
    Channel, ErrorKind,
    protocol::{AMQPError, AMQPErrorKind, AMQPHardError, AMQPSoftError},
    types::ShortString,
};

use super::{
    cause::{CloseCause, GONE, fault},
    connection::Connection,
    connection_errors::is_aftermath,
};

/// Why a channel ended before all of its confirms came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ChannelFailure {
    /// The broker's reply code and text, or the error of the network or the library.
    pub(super) why: String,
    pub(super) blame: MessageBlame,
}

/// Whether a message can be the cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MessageBlame {
    /// No message: the network failed, an operator closed the connection, or a permission is missing.
    Nobody,
    /// A message: the broker closes a channel with this reply code because of a message.
    Message,
    /// Possibly a message: the broker failed while it processed messages.
    Perhaps,
}

impl ChannelFailure {
    pub(super) fn of(error: &lapin::Error) -> Self {
        match error.kind() {
            ErrorKind::ProtocolError(reply) => {
                Self { why: words(reply), blame: MessageBlame::of(reply.kind()) }
            }
            _ => Self::by_nobody(fault(error)),
        }
    }

    /// The failure of this channel. Where the library only reports that it has ended, the stream knows the broker's
    /// words; whether a message is the cause is not known then.
    pub(super) fn on(channel: &Channel, connection: &Connection, error: &lapin::Error) -> Self {
        if is_aftermath(error) || error.is_io_error() {
            return Self::by_nobody(why_ended(connection, Some(channel.id())));
        }
        Self::of(error)
    }

    /// A failure that no message can have caused.
    pub(super) const fn by_nobody(why: String) -> Self {
        Self { why, blame: MessageBlame::Nobody }
    }
}

impl MessageBlame {
    /// The blame for a reply code. A missing permission or queue affects every message.
    const fn of(code: &AMQPErrorKind) -> Self {
        match code {
            // For a publish: beyond `max_message_size`, or a property that the broker refuses.
            AMQPErrorKind::Soft(
                AMQPSoftError::PRECONDITIONFAILED | AMQPSoftError::CONTENTTOOLARGE,
            ) => Self::Message,
            AMQPErrorKind::Hard(
                AMQPHardError::FRAMEERROR
                | AMQPHardError::SYNTAXERROR
                | AMQPHardError::UNEXPECTEDFRAME
                | AMQPHardError::INTERNALERROR,
            ) => Self::Perhaps,
            AMQPErrorKind::Soft(_) | AMQPErrorKind::Hard(_) => Self::Nobody,
        }
    }
}

/// The broker's reply code and text. For a failure over a frame only the error's name is kept: RabbitMQ appends the
/// frame's first bytes, which may be a token.
fn words(reply: &AMQPError) -> String {
    let (code, text) = (reply.get_id(), reply.get_message().as_str());
    let text = match reply.kind() {
        AMQPErrorKind::Soft(_)
        | AMQPErrorKind::Hard(AMQPHardError::CONNECTIONFORCED | AMQPHardError::NOTALLOWED) => text,
        AMQPErrorKind::Hard(_) => text.split(" - ").next().unwrap_or_default(),
    };
    format!("{code} {text}")
}

/// Why a publishing connection or one of its channels ended, in the words of the broker or the network.
pub(super) fn why_ended(connection: &Connection, channel: Option<u16>) -> String {
    let stream = connection.stream();
    let of_channel = channel.and_then(|channel| stream.channel_cause(channel));
    of_channel.or_else(|| stream.cause()).map_or_else(|| GONE.to_owned(), |cause| told(&cause))
}

/// A cause as [`words`].
fn told(cause: &CloseCause) -> String {
    let reply = cause.code.and_then(|code| {
        let text = ShortString::try_new(cause.text.clone()).ok()?;
        AMQPError::from_id(code, text)
    });
    reply.map_or_else(|| cause.to_string(), |reply| words(&reply))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(code: impl Into<AMQPErrorKind>, text: &str) -> ChannelFailure {
        let error = AMQPError::new(code.into(), text.into());
        ChannelFailure::of(&ErrorKind::ProtocolError(error).into())
    }

    #[test]
    fn the_brokers_words_are_kept_with_their_code_and_say_whose_fault_it_is() {
        let size = "PRECONDITION_FAILED - message size 9 is larger than max size 4";
        let right = "ACCESS_REFUSED - write access to exchange 'amq.default' refused";
        let forced = "CONNECTION_FORCED - Closed via management plugin";
        let cases = [
            (broken(AMQPSoftError::PRECONDITIONFAILED, size), format!("406 {size}")),
            (broken(AMQPSoftError::ACCESSREFUSED, right), format!("403 {right}")),
            (broken(AMQPHardError::CONNECTIONFORCED, forced), format!("320 {forced}")),
        ];
        let suspicions = [MessageBlame::Message, MessageBlame::Nobody, MessageBlame::Nobody];
        for ((broken, why), blame) in cases.into_iter().zip(suspicions) {
            assert_eq!(broken, ChannelFailure { why, blame });
        }
    }

    #[test]
    fn the_words_that_the_stream_has_read_are_told_like_those_of_the_library() {
        for (code, text, words) in [
            (403, "ACCESS_REFUSED - write refused", "403 ACCESS_REFUSED - write refused"),
            (530, "NOT_ALLOWED - vhost x not found", "530 NOT_ALLOWED - vhost x not found"),
            (501, "FRAME_ERROR - octets = <<\"{\\\"refresh\">>", "501 FRAME_ERROR"),
        ] {
            assert_eq!(told(&CloseCause { code: Some(code), text: text.to_owned() }), words);
        }
        assert_eq!(told(&CloseCause::from_text("reset")), "reset");
    }

    #[test]
    fn the_octets_of_a_frame_are_left_out() {
        let text = "FRAME_ERROR - type 3, first 16 octets = <<\"{\\\"refresh_token\\\"\">>";
        let expected =
            ChannelFailure { why: "501 FRAME_ERROR".to_owned(), blame: MessageBlame::Perhaps };
        assert_eq!(broken(AMQPHardError::FRAMEERROR, text), expected);
    }
}
