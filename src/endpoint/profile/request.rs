//! The template of a request, and its body for one call.

use http::{HeaderMap, Method};
use serde::ser::SerializeMap as _;
use url::{Url, form_urlencoded};

use super::{AuthMethod, terms::BodyForm};

/// The template of the request for a token.
#[derive(Debug)]
pub struct RequestTemplate {
    pub(in crate::endpoint) method: Method,
    pub(in crate::endpoint) url: UrlSource,
    /// Segments that are appended to the URL.
    pub(in crate::endpoint) path: Vec<Segment>,
    pub(in crate::endpoint) body: BodyForm,
    pub(in crate::endpoint) auth: AuthMethod,
    pub(in crate::endpoint) headers: HeaderMap,
    pub(in crate::endpoint) fields: Vec<(String, FieldValue)>,
    /// The hint of the token's type, unless the configuration has one.
    pub(in crate::endpoint) token_type_hint: Option<String>,
}

/// The source of the URL.
#[derive(Debug)]
pub enum UrlSource {
    /// The configuration.
    Config,
    /// The profile. The configuration may replace it.
    Fixed(Url),
}

/// One segment of the path.
#[derive(Debug)]
pub enum Segment {
    Literal(String),
    /// A value of the job, but no token and no secret.
    Value(FieldValue),
}

/// The value of a field: a text of the profile, or one whole value of the call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldValue {
    Literal(String),
    Token,
    ClientId,
    ClientSecret,
    Username,
    Audience,
    TokenTypeHint,
}

/// The values of one call. An absent one leaves its field out.
#[derive(Clone, Copy, Default)]
pub struct CallValues<'a> {
    pub token: &'a str,
    pub client_id: Option<&'a str>,
    /// Present if the client authenticates by fields of the profile.
    pub client_secret: Option<&'a str>,
    pub username: Option<&'a str>,
    pub audience: Option<&'a str>,
    pub token_type_hint: Option<&'a str>,
}

impl FieldValue {
    /// The placeholders by their names.
    pub const PLACEHOLDERS: [(&'static str, Self); 6] = [
        ("$token", Self::Token),
        ("$client_id", Self::ClientId),
        ("$client_secret", Self::ClientSecret),
        ("$username", Self::Username),
        ("$audience", Self::Audience),
        ("$token_type_hint", Self::TokenTypeHint),
    ];

    /// The value in a call.
    pub fn of<'a>(&'a self, values: &CallValues<'a>) -> Option<&'a str> {
        match self {
            Self::Literal(text) => Some(text),
            Self::Token => Some(values.token),
            Self::ClientId => values.client_id,
            Self::ClientSecret => values.client_secret,
            Self::Username => values.username,
            Self::Audience => values.audience,
            Self::TokenTypeHint => values.token_type_hint,
        }
    }

    /// The field of a job that holds the value.
    pub const fn job_field(&self) -> &'static str {
        match self {
            Self::ClientId => "client_id",
            Self::Username => "username",
            Self::Audience => "audience",
            Self::Token => "refresh_token",
            Self::Literal(_) | Self::ClientSecret | Self::TokenTypeHint => "",
        }
    }
}

impl RequestTemplate {
    /// Whether a call names this value.
    pub fn uses(&self, value: &FieldValue) -> bool {
        let in_path =
            self.path.iter().any(|part| matches!(part, Segment::Value(of) if of == value));
        in_path || self.fields.iter().any(|(_, of)| of == value)
    }

    /// The body of one call: the profile's fields, and those of the authentication. It exposes the secrets.
    ///
    /// # Errors
    ///
    /// Never in practice, because strings always serialize.
    pub fn body(
        &self,
        values: &CallValues<'_>,
        of_auth: &[(&str, &str)],
    ) -> Result<Vec<u8>, serde_json::Error> {
        let own = self.fields.iter();
        let own = own.filter(|(name, _)| !of_auth.iter().any(|(other, _)| other == name));
        let own = own.filter_map(|(name, value)| Some((name.as_str(), value.of(values)?)));
        let fields = own.chain(of_auth.iter().copied());
        match self.body {
            BodyForm::None => Ok(Vec::new()),
            BodyForm::Form => {
                let mut form = form_urlencoded::Serializer::new(String::new());
                fields.for_each(|(name, value)| {
                    form.append_pair(name, value);
                });
                Ok(form.finish().into_bytes())
            }
            BodyForm::Json => {
                let mut json = serde_json::Serializer::new(Vec::new());
                let mut map = serde::Serializer::serialize_map(&mut json, None)?;
                for (name, value) in fields {
                    map.serialize_entry(name, value)?;
                }
                map.end()?;
                Ok(json.into_inner())
            }
        }
    }

    /// The URL of one call: `base` with the profile's path. `None` if a value is no valid segment.
    pub fn url(&self, base: &Url, values: &CallValues<'_>) -> Option<Url> {
        let mut url = base.clone();
        if self.path.is_empty() {
            return Some(url);
        }
        let mut path = url.path_segments_mut().ok()?;
        path.pop_if_empty();
        for segment in &self.path {
            path.push(segment.of(values).filter(|segment| is_segment(segment))?);
        }
        drop(path);
        Some(url)
    }
}

impl Segment {
    /// The segment in a call.
    pub fn of<'a>(&'a self, values: &CallValues<'a>) -> Option<&'a str> {
        match self {
            Self::Literal(text) => Some(text),
            Self::Value(value) => value.of(values),
        }
    }
}

/// Whether a text is one valid segment of a path. The URL parser would drop `.` and `..`, which changes the path.
pub fn is_segment(text: &str) -> bool {
    !matches!(text, "" | "." | "..") && !text.contains(['\t', '\n', '\r'])
}
