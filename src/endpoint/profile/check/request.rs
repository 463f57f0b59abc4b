//! Checks the request of a profile.

use std::ops::Range;

use http::{
    HeaderMap, HeaderName, HeaderValue, Method,
    header::{
        ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HOST,
        PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
    },
};
use toml::{Spanned, de::DeValue};
use url::Url;

use crate::endpoint::profile::{
    AuthMethod, FieldValue, RequestTemplate, Segment, UrlSource,
    reader::{Faults, Section, text},
    request::is_segment,
    terms::BodyForm,
};

/// Headers that a profile cannot set, because the worker sets them or they would change the reading of the answer.
const OUR_HEADERS: [HeaderName; 14] = [
    AUTHORIZATION,
    PROXY_AUTHORIZATION,
    HOST,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    TRANSFER_ENCODING,
    CONNECTION,
    ACCEPT_ENCODING,
    EXPECT,
    TE,
    TRAILER,
    UPGRADE,
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
];

pub(super) fn read(faults: &mut Faults, mut section: Section<'_>) -> Option<RequestTemplate> {
    section.need(faults, &["method", "url", "body", "auth"]);
    let method = section.get(faults, "method", "\"POST\" or \"DELETE\"", method);
    let url = section.text(faults, "url").and_then(|url| source(faults, &url));
    let path = section.list(faults, "path", "a list of texts, one for each segment", text);
    let path = path.map(Spanned::into_inner).unwrap_or_default().into_iter();
    let path = path.filter_map(|part| segment(faults, &part)).collect();
    let body = section.word(faults, "body", BodyForm::ALL);
    let auth = section.word(faults, "auth", AuthMethod::ALL);
    let headers = section.table(faults, "headers").map(|of| headers(faults, of));
    let before = faults.found.len();
    let fields = section.table(faults, "fields").map(|of| fields(faults, of)).unwrap_or_default();
    let are_sound = faults.found.len() == before;
    let hint = section.text(faults, "token_type_hint");
    let span = section.span.clone();
    section.finish(faults);
    let (body, auth) = (body?, auth?);
    let has_fields = *body.get_ref() != BodyForm::None || fields.is_empty();
    faults.require(
        body.span(),
        has_fields,
        "the body is \"none\", so remove the fields, or choose \"form\" or \"json\"",
    );
    if are_sound {
        agree(faults, span, &auth, &fields, hint.as_ref());
    }
    Some(RequestTemplate {
        method: method?.into_inner(),
        url: url?,
        path,
        body: body.into_inner(),
        auth: auth.into_inner(),
        headers: headers.unwrap_or_default(),
        fields: fields.into_iter().map(|(name, value)| (name, value.into_inner())).collect(),
        token_type_hint: hint.map(Spanned::into_inner),
    })
}

fn method(value: &DeValue<'_>) -> Option<Method> {
    match value.as_str()? {
        "POST" => Some(Method::POST),
        "DELETE" => Some(Method::DELETE),
        _ => None,
    }
}

/// The fields carry the token, and what the method of authentication needs.
fn agree(
    faults: &mut Faults,
    span: Range<usize>,
    auth: &Spanned<AuthMethod>,
    fields: &[(String, Spanned<FieldValue>)],
    hint: Option<&Spanned<String>>,
) {
    let uses = |value| fields.iter().filter(move |(_, field)| *field.get_ref() == value);
    let is_self = *auth.get_ref() == AuthMethod::SelfBearer;
    let tokens = uses(FieldValue::Token).count();
    faults.require(
        span,
        tokens == 1 || (tokens == 0 && is_self),
        "the token must be the value of one field: write \"$token\" there, or set auth = \"self\"",
    );
    let by_fields = *auth.get_ref() == AuthMethod::Fields;
    let mut secrets = uses(FieldValue::ClientSecret);
    match secrets.next() {
        None => faults.require(
            auth.span(),
            !by_fields,
            "the auth is \"fields\", and no field is \"$client_secret\": add one, or change the auth",
        ),
        Some((_, secret)) => faults.require(
            secret.span(),
            by_fields,
            "a field is \"$client_secret\", and the auth is not \"fields\": remove it, or change the auth",
        ),
    }
    if let Some(hint) = hint {
        faults.require(
            hint.span(),
            uses(FieldValue::TokenTypeHint).next().is_some(),
            "no field takes the hint: add one with the value \"$token_type_hint\"",
        );
        faults.require(
            hint.span(),
            !hint.get_ref().contains('$'),
            "the hint must be a literal: remove the $",
        );
    }
}

fn source(faults: &mut Faults, url: &Spanned<String>) -> Option<UrlSource> {
    let text = url.get_ref().as_str();
    if text == "$config" {
        return Some(UrlSource::Config);
    }
    if text.contains('$') {
        faults.add(url.span(), "a placeholder stands in the URL: write a literal, or \"$config\"");
        return None;
    }
    let is_one_line = !text.contains(|c: char| c.is_whitespace() || c.is_control());
    let parsed = Url::parse(text).ok().filter(|url| {
        let is_plain = url.username().is_empty() && url.password().is_none();
        let is_safe = url.scheme() == "https" && url.has_host();
        is_one_line && is_plain && is_safe && url.fragment().is_none()
    });
    let what = "the URL is not https:// with a host: write it without a user, blanks and a #";
    faults.require(url.span(), parsed.is_some(), what);
    parsed.map(UrlSource::Fixed)
}

fn segment(faults: &mut Faults, part: &Spanned<String>) -> Option<Segment> {
    let span = part.span();
    let fault = match value(faults, part, "a segment of the path")? {
        FieldValue::Token | FieldValue::ClientSecret => {
            "a token or a secret stands in the path: move it to a field, because URLs are logged"
        }
        FieldValue::TokenTypeHint => "the hint stands in the path: move it to a field",
        FieldValue::Literal(text) if !is_segment(&text) || text.contains('/') => {
            "a segment is empty, a dot or has a slash: write each segment as an entry of its own"
        }
        FieldValue::Literal(text) => return Some(Segment::Literal(text)),
        value => return Some(Segment::Value(value)),
    };
    faults.add(span, fault);
    None
}

fn headers(faults: &mut Faults, section: Section<'_>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in section.entries() {
        let text = value.get_ref().as_str().filter(|text| text.is_ascii()).unwrap_or("\n");
        let header = HeaderName::try_from(&name).ok().zip(HeaderValue::from_str(text).ok());
        let fault = match header {
            _ if text.contains('$') => {
                "a placeholder stands in a header: write a literal".to_owned()
            }
            None => {
                "this is no header: write a name and an ASCII text without a line end".to_owned()
            }
            Some((name, _)) if OUR_HEADERS.contains(&name) => {
                format!("the worker sets the header {name} itself: remove it")
            }
            Some((name, _)) if headers.contains_key(&name) => {
                format!("the header {name} stands twice: keep one")
            }
            Some((name, value)) => {
                headers.insert(name, value);
                continue;
            }
        };
        faults.add(value.span(), fault);
    }
    headers
}

fn fields(faults: &mut Faults, section: Section<'_>) -> Vec<(String, Spanned<FieldValue>)> {
    let mut fields = Vec::new();
    for (name, given) in section.entries() {
        faults.require(given.span(), !name.is_empty(), "a field has no name: give it one");
        let Some(text) = text(given.get_ref()) else {
            faults.add(given.span(), "a field must be a text in double quotes");
            continue;
        };
        let text = Spanned::new(given.span(), text);
        let value = value(faults, &text, "a field");
        fields.extend(value.map(|value| (name, Spanned::new(text.span(), value))));
    }
    fields
}

/// A literal, or one whole placeholder.
fn value(faults: &mut Faults, text: &Spanned<String>, place: &str) -> Option<FieldValue> {
    let mut placeholders = FieldValue::PLACEHOLDERS.into_iter();
    match placeholders.find(|(name, _)| name == text.get_ref()) {
        Some((_, value)) => Some(value),
        None if text.get_ref().contains('$') => {
            let names = FieldValue::PLACEHOLDERS.map(|(name, _)| name).join(", ");
            let what = format!("{place} has a $: a placeholder is a whole value, one of {names}");
            faults.add(text.span(), what);
            None
        }
        None => Some(FieldValue::Literal(text.get_ref().clone())),
    }
}
