//! Classifies an HTTP response into a verdict, in one pure function. The first matching row decides.
//!
//! Only the endpoint's own answer can end a job: an envelope of the default profile, or a rule of another one. Any
//! other response proves nothing, with any status: gateways, proxies and captive portals respond in the endpoint's
//! place. The job is then retried. The rows for statuses come first, and no profile can change them.

use std::time::SystemTime;

use http::{HeaderMap, StatusCode};

use super::{
    envelope::{CODE_ERROR, Envelope},
    message,
    profile::{AnswerBody, Profile, TextContext},
    retry_after, unread,
};
use crate::domain::{Blame, Failure, FailureClass, Redactor, Rejection, ResultLabel, Verdict};

/// The response of a call. Without `Debug`: it may repeat the token and the client's secret.
#[derive(Clone, Copy)]
pub(super) struct HttpResponse<'a> {
    pub(super) status: StatusCode,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: ResponseBody<'a>,
}

/// The result of reading the body.
#[derive(Clone, Copy)]
pub(super) enum ResponseBody<'a> {
    /// It was not read: the body of a redirect is irrelevant.
    Unread,
    /// The whole body.
    Whole(&'a [u8]),
    /// It exceeds the cap.
    TooLarge,
    /// It is incomplete.
    Broken(Breakage),
}

/// The cause of an incomplete body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Breakage {
    /// The time of the call ran out.
    Timeout,
    /// The connection was lost, or the framing was.
    Reset,
}

/// The context of classification, besides the response.
#[derive(Debug)]
pub(super) struct ClassifyContext<'a> {
    /// The profile whose rules apply; `None` for the default one.
    pub(super) profile: Option<&'a Profile>,
    /// The locale of the message to keep.
    pub(super) locale: &'a str,
    /// Redacts the sent secrets, which the endpoint may echo.
    pub(super) redactor: Redactor<'a>,
    /// When the response came.
    pub(super) now: SystemTime,
}

/// Whether a status is a transport failure with any body. No profile can change that.
pub(super) const fn is_fixed(status: u16) -> bool {
    matches!(status, 300..=399 | 408 | 429 | 500..=599)
}

/// The verdict on a response.
pub(super) fn classify(answer: &HttpResponse<'_>, context: &ClassifyContext<'_>) -> Verdict {
    let status = answer.status.as_u16();
    let retry_after =
        matches!(answer.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE)
            .then(|| retry_after::read(answer.headers, context.now))
            .flatten();
    let transient = |label, ambiguous, blame| {
        let (class, size) = class_of(answer, context.profile);
        let http_status = Some(status);
        Verdict::Transient(Failure {
            label,
            class,
            ambiguous,
            http_status,
            size,
            retry_after,
            blame,
        })
    };
    let transport_failure = |label, ambiguous| transient(label, ambiguous, Blame::Transport);

    let answered = match answer.body {
        ResponseBody::Broken(Breakage::Timeout) => {
            return transport_failure(ResultLabel::Timeout, true);
        }
        ResponseBody::Broken(Breakage::Reset) => {
            return transport_failure(ResultLabel::Reset, true);
        }
        body => Answered::read(body, context.profile),
    };
    match status {
        // "See other" can mean that the server has carried out the request.
        300..=399 => {
            transport_failure(ResultLabel::Http3xx, answer.status == StatusCode::SEE_OTHER)
        }
        408 => transport_failure(ResultLabel::Http408, true),
        429 => transport_failure(ResultLabel::Http429, false),
        500..=599 if answered.rejects_job(status) => {
            transient(ResultLabel::Http5xx, true, Blame::Job)
        }
        500..=599 => transport_failure(ResultLabel::Http5xx, true),
        _ => answered.judge(answer, context).unwrap_or_else(|| {
            if answer.status.is_success() {
                transport_failure(ResultLabel::Unrecognized, true)
            } else {
                transport_failure(ResultLabel::Http4xx, false)
            }
        }),
    }
}

/// A body, read by the rules of the profile.
enum Answered<'a> {
    Alignet(Envelope<'a>),
    Profile(&'a Profile, AnswerBody<'a>),
}

impl<'a> Answered<'a> {
    fn read(body: ResponseBody<'a>, profile: Option<&'a Profile>) -> Self {
        match (profile, body) {
            (None, ResponseBody::Whole(body)) => Self::Alignet(Envelope::read(body)),
            (None, _) => Self::Alignet(Envelope::Missing),
            (Some(profile), ResponseBody::Whole(body)) => {
                Self::Profile(profile, profile.read(body))
            }
            (Some(profile), _) => Self::Profile(profile, AnswerBody::Other),
        }
    }

    /// Whether the body is the endpoint's own rejection, with any status.
    fn rejects_job(&self, status: u16) -> bool {
        match self {
            Self::Alignet(envelope) => matches!(envelope, Envelope::Refusal(_)),
            Self::Profile(profile, body) => profile.rejects_job(status, body),
        }
    }

    /// The verdict of the endpoint itself; `None` if the answer is not the endpoint's own.
    fn judge(self, answer: &HttpResponse<'_>, context: &ClassifyContext<'_>) -> Option<Verdict> {
        let status = answer.status;
        let http_status = status.as_u16();
        let envelope = match self {
            Self::Alignet(envelope) => envelope,
            Self::Profile(profile, body) => {
                let texts = TextContext { locale: context.locale, redactor: &context.redactor };
                return profile.judge(answer, &body, &texts);
            }
        };
        match envelope {
            Envelope::Missing => None,
            Envelope::Success if status.is_success() => Some(Verdict::Revoked),
            Envelope::Success => Some(contradiction(answer, FailureClass::Contradiction)),
            Envelope::Contradiction(class) => Some(contradiction(answer, class)),
            Envelope::Refusal(messages) => Some(Verdict::Rejected(Rejection {
                code: CODE_ERROR.to_owned(),
                message: messages.and_then(|m| message::pick(m, context.locale, &context.redactor)),
                http_status,
            })),
        }
    }
}

/// The verdict on an envelope that proves nothing.
fn contradiction(answer: &HttpResponse<'_>, class: FailureClass) -> Verdict {
    Verdict::Transient(Failure {
        class,
        http_status: Some(answer.status.as_u16()),
        size: unread::look(answer).1,
        ..Failure::unanswered(ResultLabel::Unrecognized, true)
    })
}

/// Why a response proves nothing, and the size of its body.
#[cold]
fn class_of(answer: &HttpResponse<'_>, profile: Option<&Profile>) -> (FailureClass, Option<usize>) {
    let (class, size) = unread::look(answer);
    let is_fixed = is_fixed(answer.status.as_u16());
    let class = match (class, answer.body, profile) {
        (FailureClass::StatusOnly, ResponseBody::Whole(body), None) if !is_fixed => {
            Envelope::class_of_object(body)
        }
        (FailureClass::StatusOnly, ResponseBody::Whole(body), Some(profile)) if !is_fixed => {
            profile.class_of_object(body)
        }
        (class, ..) => class,
    };
    (class, size)
}

#[cfg(test)]
pub(super) mod generators;
#[cfg(any(test, fuzzing))]
pub mod invariants;
#[cfg(test)]
mod tests;
