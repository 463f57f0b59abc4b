//! Why a publishing channel ended, and whether a message can be the cause.

use lapin::{
    ErrorKind,
    protocol::{AMQPError, AMQPErrorKind, AMQPHardError, AMQPSoftError},
};

use super::cause::fault;

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
        AMQPErrorKind::Soft(_) | AMQPErrorKind::Hard(AMQPHardError::CONNECTIONFORCED) => text,
        AMQPErrorKind::Hard(_) => text.split(" - ").next().unwrap_or_default(),
    };
    format!("{code} {text}")
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
    fn the_octets_of_a_frame_are_left_out() {
        let text = "FRAME_ERROR - type 3, first 16 octets = <<\"{\\\"refresh_token\\\"\">>";
        let expected =
            ChannelFailure { why: "501 FRAME_ERROR".to_owned(), blame: MessageBlame::Perhaps };
        assert_eq!(broken(AMQPHardError::FRAMEERROR, text), expected);
    }
}
