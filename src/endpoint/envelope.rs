//! Recognizes the endpoint's own envelope among all bodies that a response may have.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{shape::Shape, unread};
use crate::domain::{FailureClass, without_mark};

/// The only action, in requests and responses alike.
pub(super) const ACTION: &str = "revoke";

/// The endpoint's code for a success.
const CODE_SUCCESS: &str = "00";

/// The endpoint's code for an error, the only one.
pub(super) const CODE_ERROR: &str = "01";

/// The meaning of a body. Without `Debug`: a message may repeat the token and the client's secret.
pub(super) enum Envelope<'a> {
    /// Not an envelope: not JSON, not an object, a duplicate key, or neither `success` nor a code.
    Missing,
    /// `success` true and code `00`.
    Success,
    /// Code `01` and `success` not true, with its raw messages.
    Refusal(Option<&'a RawValue>),
    /// An envelope that contradicts itself, has an unknown code, or lacks fields: the class says which.
    Contradiction(FailureClass),
}

impl<'a> Envelope<'a> {
    /// Reads a whole body. The reader bounds the depth of nesting. A byte order mark before the JSON is ignored.
    pub(super) fn read(body: &'a [u8]) -> Self {
        let fields = std::str::from_utf8(without_mark(body))
            .ok()
            .and_then(|text| parse(text).ok())
            .and_then(Shape::object);
        fields.map_or(Self::Missing, Self::judge)
    }

    /// The class of a JSON object that is no envelope.
    #[cold]
    pub(super) fn class_of_object(body: &[u8]) -> FailureClass {
        let refused =
            std::str::from_utf8(without_mark(body)).ok().and_then(|text| parse(text).err());
        refused.map_or(FailureClass::MissingFields, |error| unread::of_refused(&error))
    }

    fn judge(fields: EnvelopeFields<'a>) -> Self {
        let status = fields
            .revoke
            .object()
            .and_then(|revoke| revoke.meta.object())
            .and_then(|meta| meta.status.object())
            .unwrap_or_default();
        let consistent = match &fields.action {
            Shape::Absent => true,
            action => action.text() == Some(ACTION),
        };
        match (SuccessField::of(&fields.success), &status.code) {
            (SuccessField::Absent, Shape::Absent) => Self::Missing,
            _ if !consistent => Self::Contradiction(FailureClass::Contradiction),
            (SuccessField::True, code) if code.text() == Some(CODE_SUCCESS) => Self::Success,
            (SuccessField::False | SuccessField::Absent, code)
                if code.text() == Some(CODE_ERROR) =>
            {
                Self::Refusal(status.message_ilgn)
            }
            (success, code) => Self::Contradiction(odd(success, code)),
        }
    }
}

fn parse(text: &str) -> serde_json::Result<Shape<'_, EnvelopeFields<'_>>> {
    serde_json::from_str(text)
}

/// Why an envelope proves nothing.
fn odd(success: SuccessField, code: &Shape<'_>) -> FailureClass {
    match (success, code) {
        (SuccessField::Odd, _) => FailureClass::OddSuccess,
        (_, Shape::Absent) => FailureClass::MissingFields,
        (_, code) if [Some(CODE_SUCCESS), Some(CODE_ERROR)].contains(&code.text()) => {
            FailureClass::Contradiction
        }
        _ => FailureClass::UnknownCode,
    }
}

/// The field `success`. The endpoint's documentation shows a boolean, related endpoints a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SuccessField {
    Absent,
    True,
    False,
    /// Anything else. It contradicts every code.
    Odd,
}

impl SuccessField {
    fn of(field: &Shape<'_>) -> Self {
        match field {
            Shape::Absent => Self::Absent,
            Shape::Bool(true) => Self::True,
            Shape::Bool(false) => Self::False,
            Shape::Text(text) => match text.as_ref() {
                "true" => Self::True,
                "false" => Self::False,
                _ => Self::Odd,
            },
            Shape::Object(_) | Shape::Other => Self::Odd,
        }
    }
}

#[derive(Deserialize)]
struct EnvelopeFields<'a> {
    #[serde(borrow, default)]
    action: Shape<'a>,
    #[serde(borrow, default)]
    success: Shape<'a>,
    #[serde(borrow, default)]
    revoke: Shape<'a, Revoke<'a>>,
}

#[derive(Deserialize)]
struct Revoke<'a> {
    #[serde(borrow, default)]
    meta: Shape<'a, Meta<'a>>,
}

#[derive(Deserialize)]
struct Meta<'a> {
    #[serde(borrow, default)]
    status: Shape<'a, EnvelopeStatus<'a>>,
}

#[derive(Deserialize, Default)]
struct EnvelopeStatus<'a> {
    #[serde(borrow, default)]
    code: Shape<'a>,
    /// Not parsed here: only the text of a rejection is kept, and an invalid one must not invalidate the envelope.
    #[serde(borrow, default)]
    message_ilgn: Option<&'a RawValue>,
}
