//! Endpoint profiles: how a token is put into a request, and how an answer is judged.
//!
//! A profile is data, written in TOML ([`Profile::parse`]). There is no template language: a placeholder is a whole
//! value or nothing, and a serializer encodes it. Templates were turned down, because they concatenate values into a
//! URL, a header or JSON. Then tokens can leak into URLs, and requests can be split.

mod answer;
mod body;
mod builtin;
mod check;
#[cfg(any(test, fuzzing))]
pub mod invariants;
mod reader;
mod request;
mod server_side;
mod terms;
#[cfg(test)]
mod tests;

use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};

use super::unread;
use crate::domain::{FailureClass, MAX_TEXT_CHARS};

pub use builtin::{BUILTIN, builtin};
pub use reader::ProfileFault;
pub use server_side::{SampleAnswer, SampleOf, ServedCall};
pub use terms::{AuthMethod, Kills, Proof, Repeat};

pub(super) use answer::{AnswerRule, TextContext};
pub(super) use body::{AnswerBody, PointerTree};
pub(super) use request::{CallValues, FieldValue, RequestTemplate, Segment, UrlSource, is_segment};

/// The name of the default profile. Its calls and its answers are hand-written for speed.
pub const ALIGNET: &str = "alignet";

use terms::BodyForm;

/// The longest secret of most profiles, in characters: some are signed texts themselves.
const LONGEST_SECRET: usize = 8192;

/// The request and the rules for answers of one kind of endpoint.
#[derive(Debug)]
pub struct Profile {
    /// Its name, for people and metrics.
    pub name: String,
    /// The longest token, in characters.
    pub token_max: usize,
    /// The endpoint's answer to the second revocation of a token.
    pub repeat: Repeat,
    /// The proof that a success gives.
    pub proof: Proof,
    /// The tokens that are revoked together.
    pub kills: Kills,
    /// Pauses a client after this many rejections in a row; `None` to leave that to the operator.
    pub after_rejections: Option<u32>,
    /// The template of the request.
    pub(super) request: RequestTemplate,
    /// The rules for answers: the first matching rule decides.
    pub(super) answers: Vec<AnswerRule>,
    /// The places in a body that the rules use.
    pub(super) pointers: PointerTree,
}

impl Profile {
    /// Whether it is the default profile.
    #[must_use]
    pub fn is_alignet(&self) -> bool {
        self.name == ALIGNET
    }

    /// Whether the endpoint may reject the second of two calls for one token because the first one worked.
    #[must_use]
    pub fn rejects_repeats(&self) -> bool {
        self.repeat == Repeat::Rejected
    }

    /// The longest secret of a client, in characters.
    #[must_use]
    pub fn secret_max(&self) -> usize {
        if self.is_alignet() { MAX_TEXT_CHARS } else { LONGEST_SECRET }
    }

    /// The default method of client authentication.
    #[must_use]
    pub const fn auth(&self) -> AuthMethod {
        self.request.auth
    }

    /// The default URL; `None` if the configuration must set it.
    #[must_use]
    pub const fn url(&self) -> Option<&url::Url> {
        match &self.request.url {
            UrlSource::Config => None,
            UrlSource::Fixed(url) => Some(url),
        }
    }

    /// Whether a call names the job's audience.
    #[must_use]
    pub fn takes_audience(&self) -> bool {
        self.request.uses(&FieldValue::Audience)
    }

    /// Whether a call names the job's user.
    #[must_use]
    pub fn takes_username(&self) -> bool {
        self.request.uses(&FieldValue::Username)
    }

    /// Whether a call names its client if it authenticates by `method`.
    #[must_use]
    pub fn names_client(&self, method: AuthMethod) -> bool {
        self.request.uses(&FieldValue::ClientId)
            || self.adds_client_id(method)
            || method == AuthMethod::PrivateKeyJwt
    }

    /// Whether the profile takes any client that a job names, because a call with this `method` names none.
    #[must_use]
    pub fn takes_any_client(&self, method: AuthMethod) -> bool {
        !method.needs_secret() && !self.names_client(method)
    }

    /// Whether the body gets the client's id, although the profile has no field for it. Only the id identifies a client
    /// without a secret.
    pub(super) fn adds_client_id(&self, method: AuthMethod) -> bool {
        match method {
            AuthMethod::None => self.auth() != AuthMethod::None,
            AuthMethod::Mtls => true,
            _ => false,
        }
    }

    /// Whether a call has a place for a hint of the token's type.
    #[must_use]
    pub fn takes_hint(&self) -> bool {
        self.request.uses(&FieldValue::TokenTypeHint)
    }

    /// The headers of every call: the profile's, and the type of the body.
    pub(super) fn headers(&self) -> HeaderMap {
        let mut headers = self.request.headers.clone();
        let content_type = match self.request.body {
            BodyForm::Form => "application/x-www-form-urlencoded",
            BodyForm::Json => "application/json",
            BodyForm::None => return headers,
        };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers
    }

    /// Reads the values of a body that the rules use.
    pub(super) fn read<'a>(&self, body: &'a [u8]) -> AnswerBody<'a> {
        AnswerBody::read(body, &self.pointers)
    }

    /// The class of a JSON object that no rule matches.
    #[cold]
    pub(super) fn class_of_object(&self, body: &[u8]) -> FailureClass {
        match AnswerBody::refused(body, &self.pointers) {
            Some(error) => unread::of_refused(&error),
            None => FailureClass::NoRule,
        }
    }

    /// Whether a call names the token if it authenticates by `method`.
    #[must_use]
    pub fn names_token(&self, method: AuthMethod) -> bool {
        method == AuthMethod::SelfBearer || self.request.uses(&FieldValue::Token)
    }
}
