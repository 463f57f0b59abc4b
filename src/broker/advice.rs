//! Advice for an operator about a cause, and whether a message may be the cause.

use lapin::{
    ErrorKind,
    protocol::{AMQPErrorKind, AMQPHardError},
};

use super::stream::FrameFault;

/// The advice for a word in the cause.
const ADVICE: [(&str, &str); 4] = [
    ("ACCESS_REFUSED", "check the user, its password and its rights"),
    ("NOT_ALLOWED", "check the virtual host and the user's right to it"),
    ("CONNECTION_FORCED", "the worker connects again by itself"),
    ("broker.declare is false", "the owner of the queues has to declare it"),
];

/// Returns the cause with advice, where there is any.
pub(super) fn advised(cause: String) -> String {
    // A text that names the setting to change is advice enough.
    if cause.contains("broker.url") {
        return cause;
    }
    match ADVICE.iter().find(|(word, _)| cause.contains(word)) {
        Some((_, advice)) => format!("{cause}; {advice}"),
        None => cause,
    }
}

/// Whether a lane's message may have ended its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Suspicion {
    /// No: it has another cause.
    None,
    /// Unknown.
    Some,
    /// Likely: one side could not read the other's frames.
    Strong,
}

pub(super) fn suspicion(error: &lapin::Error) -> Suspicion {
    let reply = match error.kind() {
        ErrorKind::ProtocolError(reply) => reply,
        ErrorKind::ParsingError(_) => return Suspicion::Strong,
        ErrorKind::IOError(error)
            if error
                .get_ref()
                .is_some_and(<dyn std::error::Error + Send + Sync>::is::<FrameFault>) =>
        {
            return Suspicion::Strong;
        }
        _ => return Suspicion::Some,
    };
    match reply.kind() {
        AMQPErrorKind::Soft(_) | AMQPErrorKind::Hard(AMQPHardError::CONNECTIONFORCED) => {
            Suspicion::None
        }
        AMQPErrorKind::Hard(
            AMQPHardError::FRAMEERROR | AMQPHardError::SYNTAXERROR | AMQPHardError::UNEXPECTEDFRAME,
        ) => Suspicion::Strong,
        AMQPErrorKind::Hard(_) => Suspicion::Some,
    }
}

#[cfg(test)]
mod tests {
    use std::{io, sync::Arc};

    use lapin::protocol::{AMQPError, AMQPSoftError};

    use super::*;

    #[test]
    fn advice_is_added_to_causes_that_have_some() {
        let refused = advised("ACCESS_REFUSED - read access refused".to_owned());
        assert!(refused.ends_with("; check the user, its password and its rights"), "{refused}");
        assert_eq!(advised("INTERNAL_ERROR".to_owned()), "INTERNAL_ERROR");
    }

    #[test]
    fn an_unreadable_frame_may_be_a_message() {
        let reply =
            |kind: AMQPErrorKind| ErrorKind::ProtocolError(AMQPError::new(kind, "".into())).into();
        for (error, suspected) in [
            (reply(AMQPHardError::FRAMEERROR.into()), Suspicion::Strong),
            (reply(AMQPHardError::INTERNALERROR.into()), Suspicion::Some),
            (ErrorKind::IOError(Arc::new(io::Error::other("cut"))).into(), Suspicion::Some),
            (
                ErrorKind::IOError(Arc::new(io::Error::other(FrameFault::NoEnd))).into(),
                Suspicion::Strong,
            ),
            (reply(AMQPHardError::CONNECTIONFORCED.into()), Suspicion::None),
            (reply(AMQPSoftError::PRECONDITIONFAILED.into()), Suspicion::None),
        ] {
            assert_eq!(suspicion(&error), suspected, "{error}");
        }
    }
}
