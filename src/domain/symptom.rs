//! What is known of a failed call, in a form that may be shown anywhere.

use std::fmt;

use super::{
    failure_class::FailureClass,
    named::named,
    verdict::{Blame, Failure, ResultLabel},
};

named! {
    /// The server of a call.
    pub enum CallTarget {
        /// The revoke endpoint.
        Endpoint = "endpoint",
        /// The endpoint that gives access tokens.
        TokenEndpoint = "token endpoint",
        /// The endpoint that knows the state of tokens.
        Introspection = "introspection endpoint",
    }
}

/// What is known of a failed call: no part of the answer itself. Its text is a sentence for a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Symptom {
    /// Which server failed.
    pub target: CallTarget,
    /// The result in the metric of calls.
    pub label: ResultLabel,
    /// What was wrong.
    pub class: FailureClass,
    /// The HTTP status, if there was a response.
    pub http_status: Option<u16>,
}

impl Symptom {
    /// The symptom of a failed call.
    #[must_use]
    pub const fn of(failure: &Failure) -> Self {
        let target = match failure.blame {
            Blame::Access | Blame::TokenEndpoint => CallTarget::TokenEndpoint,
            Blame::Transport | Blame::Job | Blame::Client => CallTarget::Endpoint,
        };
        let Failure { label, class, http_status, .. } = *failure;
        Self { target, label, class, http_status }
    }

    /// The symptom of a failed check.
    #[must_use]
    pub const fn of_check(failure: &Failure) -> Self {
        let target = match failure.blame {
            Blame::Access | Blame::TokenEndpoint => CallTarget::TokenEndpoint,
            Blame::Transport | Blame::Job | Blame::Client => CallTarget::Introspection,
        };
        Self { target, ..Self::of(failure) }
    }
}

impl fmt::Display for Symptom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { target, class, http_status, .. } = self;
        let meaning = class.meaning();
        match http_status {
            _ if *class == FailureClass::NotSent => {
                write!(f, "the {target} is not called: {meaning}")
            }
            Some(status) => write!(f, "the {target} answers with HTTP status {status}: {meaning}"),
            None if class.is_answered() => write!(f, "the {target} answers with {meaning}"),
            None => write!(f, "the {target} does not answer: {meaning}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_server_that_sent_nothing_is_said_not_to_answer() {
        for class in FailureClass::ALL {
            let failure = Failure { class, ..Failure::unanswered(ResultLabel::Reset, true) };
            let text = Symptom::of(&failure).to_string();
            let silent = !class.is_answered() && class != FailureClass::NotSent;
            assert_eq!(text.contains("does not answer"), silent, "{text}");
            assert!(text.ends_with(class.meaning()), "{text}");
            let answered = Symptom::of(&Failure { http_status: Some(502), ..failure }).to_string();
            assert!(!answered.contains("does not answer"), "{answered}");
        }
    }

    #[test]
    fn the_text_names_the_server_the_status_and_the_class() {
        let html = Failure {
            class: FailureClass::Html,
            http_status: Some(502),
            ..Failure::unanswered(ResultLabel::Http5xx, true)
        };
        let silent = Failure::unanswered(ResultLabel::Timeout, true);
        let of_token = Failure { blame: Blame::TokenEndpoint, ..silent };
        for (symptom, text) in [
            (Symptom::of(&html), "the endpoint answers with HTTP status 502: an HTML page"),
            (Symptom::of(&silent), "the endpoint does not answer: no response in time"),
            (Symptom::of(&of_token), "the token endpoint does not answer: no response in time"),
            (
                Symptom::of_check(&of_token),
                "the token endpoint does not answer: no response in time",
            ),
            (
                Symptom::of_check(&html),
                "the introspection endpoint answers with HTTP status 502: an HTML page",
            ),
        ] {
            assert_eq!(symptom.to_string(), text);
        }
    }
}
