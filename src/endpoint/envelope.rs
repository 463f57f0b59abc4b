//! Recognizes the endpoint's own envelope among all bodies that a response may have.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::shape::Shape;

/// The only action, in requests and responses alike.
pub(super) const ACTION: &str = "revoke";

/// The endpoint's code for a success.
const CODE_SUCCESS: &str = "00";

/// The endpoint's code for an error, the only one.
pub(super) const CODE_ERROR: &str = "01";

/// The meaning of a body.
#[derive(Debug)]
pub(super) enum Envelope<'a> {
    /// Not an envelope: not JSON, not an object, a duplicate key, or neither `success` nor a code.
    Missing,
    /// `success` true and code `00`.
    Success,
    /// Code `01` and `success` not true, with its raw messages.
    Refusal(Option<&'a RawValue>),
    /// An envelope that contradicts itself, has an unknown code, or lacks fields.
    Contradiction,
}

impl<'a> Envelope<'a> {
    /// Reads a whole body. The reader bounds the depth of nesting.
    pub(super) fn read(body: &'a [u8]) -> Self {
        let fields = std::str::from_utf8(body)
            .ok()
            .and_then(|text| serde_json::from_str::<Shape<'_, EnvelopeFields<'_>>>(text).ok())
            .and_then(Shape::object);
        fields.map_or(Self::Missing, Self::judge)
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
            _ if !consistent => Self::Contradiction,
            (SuccessField::True, code) if code.text() == Some(CODE_SUCCESS) => Self::Success,
            (SuccessField::False | SuccessField::Absent, code)
                if code.text() == Some(CODE_ERROR) =>
            {
                Self::Refusal(status.message_ilgn)
            }
            _ => Self::Contradiction,
        }
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
