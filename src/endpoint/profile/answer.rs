//! Judges an answer by the rules of a profile: the first matching rule decides.

use super::{
    AnswerBody, Profile,
    body::Found,
    terms::{AnswerKind, BodyKind},
};
use crate::{
    domain::{Blame, Failure, FailureClass, Redactor, Rejection, ResultLabel, Verdict, cut},
    endpoint::{classify::HttpResponse, message, unread},
};

/// The longest code that is kept, in characters.
pub const MAX_CODE_CHARS: usize = 100;

/// One rule.
#[derive(Debug)]
pub struct AnswerRule {
    /// Its line in the file, counted from 1.
    pub line: usize,
    /// The allowed statuses; empty for any status.
    pub status: Vec<StatusPattern>,
    /// The allowed kinds of body; empty for any kind.
    pub body: Vec<BodyKind>,
    /// All of them must hold.
    pub json: Vec<PlaceCondition>,
    /// The resulting verdict.
    pub is: AnswerKind,
    /// The place of the endpoint's code.
    pub code: Option<usize>,
    /// The place of the endpoint's text.
    pub detail: Option<usize>,
}

/// Statuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusPattern {
    Code(u16),
    /// A class of statuses: 2 for 2xx.
    Class(u16),
}

/// A condition on the value at a place. `null` counts as absent.
#[derive(Debug)]
pub struct PlaceCondition {
    /// The keys that lead to the place.
    pub keys: Vec<String>,
    pub place: usize,
    pub condition: Condition,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    Present,
    Absent,
    OneOf(Vec<Scalar>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scalar {
    Text(String),
    Integer(i64),
    Bool(bool),
}

impl StatusPattern {
    pub fn fits(self, status: u16) -> bool {
        match self {
            Self::Code(code) => code == status,
            Self::Class(class) => class == status / 100,
        }
    }
}

impl Condition {
    fn holds(&self, found: Option<&Found<'_>>) -> bool {
        let is_present = found.is_some_and(Found::is_present);
        match self {
            Self::Present => is_present,
            Self::Absent => !is_present,
            Self::OneOf(scalars) => {
                found.is_some_and(|found| scalars.iter().any(|scalar| scalar.is(found)))
            }
        }
    }
}

impl Scalar {
    fn is(&self, found: &Found<'_>) -> bool {
        match self {
            Self::Text(text) => found.value.text() == Some(text),
            Self::Integer(number) => found.integer() == Some(*number),
            Self::Bool(flag) => found.value.flag() == Some(*flag),
        }
    }
}

impl AnswerBody<'_> {
    fn at(&self, place: usize) -> Option<&Found<'_>> {
        match self {
            Self::Object(found) => found.get(place),
            Self::Empty | Self::Other => None,
        }
    }
}

impl AnswerRule {
    fn fits(&self, status: u16, body: &AnswerBody<'_>) -> bool {
        let is = |kind: &BodyKind| match kind {
            BodyKind::Empty => matches!(body, AnswerBody::Empty),
            BodyKind::JsonObject => matches!(body, AnswerBody::Object(_)),
        };
        (self.status.is_empty() || self.status.iter().any(|pattern| pattern.fits(status)))
            && (self.body.is_empty() || self.body.iter().any(is))
            && self.json.iter().all(|of| of.condition.holds(body.at(of.place)))
    }

    /// The rejection in an answer. Its texts are redacted before they are cut.
    fn rejection(
        &self,
        status: u16,
        body: &AnswerBody<'_>,
        context: &TextContext<'_>,
    ) -> Rejection {
        let at = |place: Option<usize>| body.at(place?);
        let code = at(self.code).and_then(|found| {
            let text = found.value.text().map(str::to_owned);
            text.or_else(|| found.integer().map(|number| number.to_string()))
        });
        Rejection {
            code: code.map_or_else(String::new, |code| {
                cut(
                    &context.redactor.clean(&cut(&code, message::MAX_SEARCHED_CHARS)),
                    MAX_CODE_CHARS,
                )
            }),
            message: at(self.detail)
                .and_then(|found| message::pick(found.raw?, context.locale, context.redactor)),
            http_status: status,
        }
    }
}

/// The context for reading the texts of an answer.
pub struct TextContext<'a> {
    pub locale: &'a str,
    pub redactor: &'a Redactor<'a>,
}

impl Profile {
    /// The first rule that fits an answer, and its number from 1.
    pub(in crate::endpoint) fn first_fit(
        &self,
        status: u16,
        body: &AnswerBody<'_>,
    ) -> Option<(usize, &AnswerRule)> {
        (1..).zip(&self.answers).find(|(_, rule)| rule.fits(status, body))
    }

    /// Whether an answer rejects its job with any status. A 5xx that does so is a failure of this job alone.
    pub(in crate::endpoint) fn rejects_job(&self, status: u16, body: &AnswerBody<'_>) -> bool {
        let fits = self.first_fit(status, body);
        fits.is_some_and(|(_, rule)| matches!(rule.is, AnswerKind::Rejected | AnswerKind::Gone))
    }

    /// The verdict of the first rule that fits; `None` if none does.
    pub(in crate::endpoint) fn judge(
        &self,
        answer: &HttpResponse<'_>,
        body: &AnswerBody<'_>,
        context: &TextContext<'_>,
    ) -> Option<Verdict> {
        let status = answer.status.as_u16();
        let (_, rule) = self.first_fit(status, body)?;
        let transient = |label, class, ambiguous, blame| {
            let (http_status, size) = (Some(status), unread::look(answer).1);
            let failure = Failure::unanswered(label, ambiguous);
            Verdict::Transient(Failure { class, http_status, size, blame, ..failure })
        };
        Some(match rule.is {
            AnswerKind::Revoked => Verdict::Revoked,
            AnswerKind::Acknowledged => Verdict::Acknowledged,
            AnswerKind::Accepted => Verdict::Accepted,
            AnswerKind::Gone => Verdict::Gone(rule.rejection(status, body, context)),
            AnswerKind::Rejected => Verdict::Rejected(rule.rejection(status, body, context)),
            AnswerKind::Misconfigured => transient(
                ResultLabel::Misconfigured,
                FailureClass::ClientRefused,
                false,
                Blame::Client,
            ),
            AnswerKind::Transient => transient(
                ResultLabel::Unrecognized,
                FailureClass::Inconclusive,
                true,
                Blame::Transport,
            ),
        })
    }
}
