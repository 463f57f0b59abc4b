//! From an HTTP answer to a verdict: one pure function, whose first fitting row decides.
//!
//! Only the endpoint's own envelope can revoke or reject. Everything else is weather, however sure a
//! status code may sound: gateways, proxies and captive portals answer in the endpoint's place.

use std::time::SystemTime;

use http::{HeaderMap, StatusCode};

use super::{
    envelope::{CODE_ERROR, Envelope},
    message, retry_after,
};
use crate::domain::{Blame, Failure, Redactor, Rejection, ResultLabel, Verdict};

/// What came back.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answer<'a> {
    pub(super) status: StatusCode,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: Body<'a>,
}

/// What came of reading the body.
#[derive(Debug, Clone, Copy)]
pub(super) enum Body<'a> {
    /// It was left alone: a redirect's says nothing.
    Unread,
    /// All of it.
    Whole(&'a [u8]),
    /// It goes on past the cap.
    TooLarge,
    /// It broke off.
    Broken(Breakage),
}

/// How a body broke off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Breakage {
    /// The time of the call ran out.
    Timeout,
    /// The connection was lost, or the framing was.
    Reset,
}

/// What a verdict takes besides the answer.
#[derive(Debug)]
pub(super) struct Terms<'a> {
    /// Which of the endpoint's messages to keep.
    pub(super) locale: &'a str,
    /// Knows what was sent, which the endpoint may echo.
    pub(super) redactor: Redactor<'a>,
    /// When the answer came.
    pub(super) now: SystemTime,
}

/// The verdict on an answer.
pub(super) fn classify(answer: &Answer<'_>, terms: &Terms<'_>) -> Verdict {
    let status = answer.status.as_u16();
    let retry_after =
        matches!(answer.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE)
            .then(|| retry_after::read(answer.headers, terms.now))
            .flatten();
    let transient = |label, ambiguous, blame| {
        Verdict::Transient(Failure {
            label,
            ambiguous,
            http_status: Some(status),
            retry_after,
            blame,
        })
    };
    let weather = |label, ambiguous| transient(label, ambiguous, Blame::Weather);

    let envelope = match answer.body {
        Body::Broken(Breakage::Timeout) => return weather(ResultLabel::Timeout, true),
        Body::Broken(Breakage::Reset) => return weather(ResultLabel::Reset, true),
        Body::Unread | Body::TooLarge => Envelope::Missing,
        Body::Whole(body) => Envelope::read(body),
    };
    match (status, envelope) {
        // "See other" is how a server says that it has done what was asked.
        (300..=399, _) => weather(ResultLabel::Http3xx, answer.status == StatusCode::SEE_OTHER),
        (408, _) => weather(ResultLabel::Http408, true),
        (429, _) => weather(ResultLabel::Http429, false),
        (500..=599, Envelope::Refusal(_)) => transient(ResultLabel::Http5xx, true, Blame::Job),
        (500..=599, _) => weather(ResultLabel::Http5xx, true),
        (_, Envelope::Refusal(messages)) => Verdict::Rejected(Rejection {
            code: CODE_ERROR.to_owned(),
            message: messages.and_then(|m| message::pick(m, terms.locale, &terms.redactor)),
            http_status: status,
        }),
        (200..=299, Envelope::Success) => Verdict::Revoked,
        (_, Envelope::Success | Envelope::Contradiction) | (200..=299, Envelope::Missing) => {
            weather(ResultLabel::Unrecognized, true)
        }
        (_, Envelope::Missing) => weather(ResultLabel::Http4xx, false),
    }
}

#[cfg(any(test, fuzzing))]
pub mod invariants;
#[cfg(test)]
mod tests;
