//! A job: one refresh token to revoke, as a producer asked for it.

use std::{fmt, sync::Arc, time::SystemTime};

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::Value;
use thiserror::Error;

use super::{fingerprint::Fingerprint, redact::Redactor, unix_time};

mod expiry;

pub use expiry::ExpiryFault;

/// The largest body that is parsed, in bytes.
pub const MAX_BODY_BYTES: usize = 64 * 1024;

/// The limit on string fields, in characters. Profiles may allow longer tokens.
pub const MAX_TEXT_CHARS: usize = 100;

/// Some programs write it in front of UTF-8 text. It is not part of the JSON.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// A body without a byte order mark in front.
#[must_use]
pub fn without_mark(body: &[u8]) -> &[u8] {
    let mut mark = [0; 3];
    body.strip_prefix(BYTE_ORDER_MARK.encode_utf8(&mut mark).as_bytes()).unwrap_or(body)
}

/// The values of fields that a job leaves out, and the limit of its token.
#[derive(Debug, Clone)]
pub struct JobDefaults {
    /// The audience, if the job names none.
    pub audience: Arc<str>,
    /// The client, if the job names none.
    pub client_id: Option<Arc<str>>,
    /// The longest token, in characters.
    pub token_max: usize,
}

impl Default for JobDefaults {
    fn default() -> Self {
        Self { audience: "".into(), client_id: None, token_max: MAX_TEXT_CHARS }
    }
}

/// One refresh token to revoke.
pub struct Job {
    /// The token, byte for byte as the producer sent it.
    pub token: SecretString,
    /// The fingerprint of the token.
    pub fingerprint: Fingerprint,
    /// The audience to name to the endpoint.
    pub audience: Arc<str>,
    /// The client of the call; `None` if neither the job nor the configuration names one.
    pub client_id: Option<Arc<str>>,
    /// The merchant's user, if given.
    pub username: Option<String>,
    /// When the token expires.
    pub expires_at: Option<SystemTime>,
    /// A client secret in the body. It is never used and must never be shown.
    pub carried_client_secret: Option<SecretString>,
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").field("fingerprint", &self.fingerprint).finish_non_exhaustive()
    }
}

impl Job {
    /// Reads a job from a message body.
    ///
    /// # Errors
    ///
    /// [`InvalidJob`] names what is wrong, and where, without repeating any of the content.
    pub fn parse(body: &[u8], defaults: &JobDefaults) -> Result<Self, InvalidJob> {
        let fields = BodyFields::read(body)?;
        let token = text("refresh_token", fields.refresh_token)?
            .ok_or(InvalidJob::Missing("refresh_token"))?;
        length("refresh_token", &token, 1, defaults.token_max)?;
        let token = SecretString::from(token);

        let audience = text("audience", fields.audience)?.map(Arc::from);
        let client_id = text("client_id", fields.client_id)?;
        if let Some(client_id) = &client_id {
            length("client_id", client_id, 1, MAX_TEXT_CHARS)?;
        }
        let username = text("username", fields.username)?;
        if let Some(username) = &username {
            length("username", username, 0, MAX_TEXT_CHARS)?;
        }
        if text("action", fields.action)?.is_some_and(|action| action != "revoke") {
            return Err(InvalidJob::UnknownAction);
        }

        Ok(Self {
            fingerprint: Fingerprint::of(token.expose_secret()),
            token,
            audience: audience.unwrap_or_else(|| defaults.audience.clone()),
            client_id: client_id.map(Arc::from).or_else(|| defaults.client_id.clone()),
            username,
            expires_at: fields.expires_at.as_ref().map_or(Ok(None), expiry::read)?,
            carried_client_secret: fields.client_secret.and_then(carried),
        })
    }

    /// Finds the job's own secrets in foreign texts.
    #[must_use]
    pub fn redactor(&self) -> Redactor<'_> {
        Redactor::new([&self.token].into_iter().chain(&self.carried_client_secret))
    }

    /// Whether the token has expired, by every clock within the allowed skew. Most jobs have no expiry and do
    /// not read the clock.
    #[must_use]
    pub fn expired(&self, now: impl FnOnce() -> SystemTime) -> bool {
        self.expires_at.is_some_and(|at| unix_time::has_passed(at, now()))
    }
}

/// The fault of a body that is not a job. The texts name the fault and its position, never the content, which may be a
/// token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidJob {
    /// The body is empty.
    #[error("the body is empty; a job is one JSON object")]
    Empty,
    /// Over [`MAX_BODY_BYTES`].
    #[error("the body has {0} bytes, the limit is {MAX_BODY_BYTES}")]
    TooLarge(usize),
    /// Not text.
    #[error("the body is not UTF-8: byte {0} begins no character")]
    NotUtf8(usize),
    /// JSON, but not an object.
    #[error("the body is not a JSON object")]
    NotAnObject,
    /// Not JSON.
    #[error("the body is not valid JSON: the error is at line {line}, column {column}")]
    Syntax {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// JSON that ends too early.
    #[error("the body is cut short: the JSON object does not end")]
    CutShort,
    /// The same field twice.
    #[error("a field of the job occurs twice (line {line}, column {column})")]
    Duplicate {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// A required field is not there, or null.
    #[error("the field {0} is missing")]
    Missing(&'static str),
    /// A field that must be a string is something else.
    #[error("the field {0} is {1}, not a string")]
    NotAString(&'static str, &'static str),
    /// A required text that is empty.
    #[error("the field {0} is empty")]
    Blank(&'static str),
    /// A field over its limit: the field, its length, the limit.
    #[error("the field {0} has {1} characters, the limit is {2}")]
    TooLong(&'static str, usize, usize),
    /// A field whose value is invalid in its place of the request: the field, the place.
    #[error("the field {0} is invalid in {1}")]
    Unfit(&'static str, &'static str),
    /// An `action` other than `revoke`.
    #[error("the field action is not \"revoke\"")]
    UnknownAction,
    /// Not a moment at which a token can expire.
    #[error("the field expires_at {0}")]
    Expiry(ExpiryFault),
}

/// The fields of the body. Unknown fields are skipped; a known field that occurs twice is an error.
#[derive(Deserialize)]
struct BodyFields {
    refresh_token: Option<Value>,
    audience: Option<Value>,
    username: Option<Value>,
    client_id: Option<Value>,
    expires_at: Option<Value>,
    action: Option<Value>,
    client_secret: Option<Value>,
}

impl BodyFields {
    fn read(body: &[u8]) -> Result<Self, InvalidJob> {
        if body.len() > MAX_BODY_BYTES {
            return Err(InvalidJob::TooLarge(body.len()));
        }
        let body = std::str::from_utf8(body).map_err(|e| InvalidJob::NotUtf8(e.valid_up_to()))?;
        let body = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
        // The derived reader takes an array for a struct as well: only an object is a job.
        match body.trim_ascii_start().as_bytes().first() {
            None => return Err(InvalidJob::Empty),
            Some(b'{') => {}
            Some(_) => {
                return Err(serde_json::from_str::<IgnoredAny>(body)
                    .map_or_else(|e| InvalidJob::from_json(&e), |_| InvalidJob::NotAnObject));
            }
        }
        serde_json::from_str(body).map_err(|e| InvalidJob::from_json(&e))
    }
}

impl InvalidJob {
    /// Keeps the position of a JSON error and drops its text, which may quote the content.
    fn from_json(error: &serde_json::Error) -> Self {
        let (line, column) = (error.line(), error.column());
        match error.classify() {
            serde_json::error::Category::Eof => Self::CutShort,
            serde_json::error::Category::Data => Self::Duplicate { line, column },
            serde_json::error::Category::Syntax | serde_json::error::Category::Io => {
                Self::Syntax { line, column }
            }
        }
    }
}

/// The string in a field; `null` counts as absent.
fn text(name: &'static str, value: Option<Value>) -> Result<Option<String>, InvalidJob> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(InvalidJob::NotAString(name, kind(&other))),
    }
}

/// A client secret in the body, of any type.
fn carried(value: Value) -> Option<SecretString> {
    match value {
        Value::Null => None,
        Value::String(secret) => Some(SecretString::from(secret)),
        other => Some(SecretString::from(other.to_string())),
    }
}

fn length(name: &'static str, text: &str, min: usize, max: usize) -> Result<(), InvalidJob> {
    match text.chars().count() {
        chars if chars < min => Err(InvalidJob::Blank(name)),
        chars if chars > max => Err(InvalidJob::TooLong(name, chars, max)),
        _ => Ok(()),
    }
}

const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(any(test, fuzzing))]
pub mod invariants;
#[cfg(test)]
mod tests;
