//! From an HTTP response to a verdict: one pure function. The first row that fits decides.
//!
//! Only the endpoint's own envelope can revoke or reject. Any other response proves nothing, whatever its
//! status: gateways, proxies and captive portals respond in the endpoint's place. The job is then retried.

use std::time::SystemTime;

use http::{HeaderMap, StatusCode};

use super::{
    envelope::{CODE_ERROR, Envelope},
    message, retry_after,
};
use crate::domain::{Blame, Failure, Redactor, Rejection, ResultLabel, Verdict};

/// The response of a call.
#[derive(Debug, Clone, Copy)]
pub(super) struct HttpResponse<'a> {
    pub(super) status: StatusCode,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: ResponseBody<'a>,
}

/// The result of reading the body.
#[derive(Debug, Clone, Copy)]
pub(super) enum ResponseBody<'a> {
    /// It was not read: the body of a redirect says nothing.
    Unread,
    /// The whole body.
    Whole(&'a [u8]),
    /// It exceeds the cap.
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

/// What classification needs besides the response.
#[derive(Debug)]
pub(super) struct ClassifyContext<'a> {
    /// The locale of the message to keep.
    pub(super) locale: &'a str,
    /// Redacts what was sent, which the endpoint may echo.
    pub(super) redactor: Redactor<'a>,
    /// When the response came.
    pub(super) now: SystemTime,
}

/// The verdict on a response.
pub(super) fn classify(answer: &HttpResponse<'_>, context: &ClassifyContext<'_>) -> Verdict {
    let status = answer.status.as_u16();
    let retry_after =
        matches!(answer.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE)
            .then(|| retry_after::read(answer.headers, context.now))
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
    let transport_failure = |label, ambiguous| transient(label, ambiguous, Blame::Transport);

    let envelope = match answer.body {
        ResponseBody::Broken(Breakage::Timeout) => {
            return transport_failure(ResultLabel::Timeout, true);
        }
        ResponseBody::Broken(Breakage::Reset) => {
            return transport_failure(ResultLabel::Reset, true);
        }
        ResponseBody::Unread | ResponseBody::TooLarge => Envelope::Missing,
        ResponseBody::Whole(body) => Envelope::read(body),
    };
    match (status, envelope) {
        // "See other" can mean that the server has done what was asked.
        (300..=399, _) => {
            transport_failure(ResultLabel::Http3xx, answer.status == StatusCode::SEE_OTHER)
        }
        (408, _) => transport_failure(ResultLabel::Http408, true),
        (429, _) => transport_failure(ResultLabel::Http429, false),
        (500..=599, Envelope::Refusal(_)) => transient(ResultLabel::Http5xx, true, Blame::Job),
        (500..=599, _) => transport_failure(ResultLabel::Http5xx, true),
        (_, Envelope::Refusal(messages)) => Verdict::Rejected(Rejection {
            code: CODE_ERROR.to_owned(),
            message: messages.and_then(|m| message::pick(m, context.locale, &context.redactor)),
            http_status: status,
        }),
        (200..=299, Envelope::Success) => Verdict::Revoked,
        (_, Envelope::Success | Envelope::Contradiction) | (200..=299, Envelope::Missing) => {
            transport_failure(ResultLabel::Unrecognized, true)
        }
        (_, Envelope::Missing) => transport_failure(ResultLabel::Http4xx, false),
    }
}

#[cfg(any(test, fuzzing))]
pub mod invariants;
#[cfg(test)]
mod tests;
