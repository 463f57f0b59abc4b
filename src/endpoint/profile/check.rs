//! The rules of a profile: from its file to a profile, or to every fault.

use std::ops::Range;

use http::{
    HeaderMap, HeaderName, HeaderValue, Method,
    header::{
        AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, PROXY_AUTHORIZATION,
        TRANSFER_ENCODING,
    },
};
use toml::{Spanned, Value};
use url::Url;

use super::{
    AuthMethod, BodyForm, FieldValue, Kills, PointerTree, Profile, ProfileFault, Proof, Repeat,
    RequestTemplate, Segment, UrlSource,
    answer::{AnswerKind, AnswerRule, BodyKind, Condition, PlaceCondition, Scalar, StatusPattern},
    body::{PointerFault, pointer_keys},
    file::{AnswerFile, Lines, ProfileFile, RequestFile, RequestMethod},
    request::is_segment,
};
use crate::{domain::MAX_TEXT_CHARS, endpoint::classify::is_fixed};

/// A longer token does not fit into the body of a job.
const LONGEST_TOKEN: usize = 32 * 1024;

/// The longest name, in characters.
const LONGEST_NAME: usize = 40;

/// The most rules, and the most places that they look at.
const MOST_RULES: usize = 64;
const MOST_PLACES: usize = 64;

/// Headers that are ours alone.
const OUR_HEADERS: [HeaderName; 9] = [
    AUTHORIZATION,
    PROXY_AUTHORIZATION,
    HOST,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    TRANSFER_ENCODING,
    CONNECTION,
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
];

/// Checks a profile's file.
pub(super) struct Checker {
    lines: Lines,
    faults: Vec<ProfileFault>,
    pointers: PointerTree,
}

impl Checker {
    pub fn new(lines: Lines) -> Self {
        Self { lines, faults: Vec::new(), pointers: PointerTree::default() }
    }

    fn fault(&mut self, span: Range<usize>, what: impl Into<String>) {
        let line = self.lines.line(span.start);
        self.faults.push(ProfileFault { line, what: what.into() });
    }

    fn require(&mut self, span: Range<usize>, holds: bool, what: impl Into<String>) {
        if !holds {
            self.fault(span, what);
        }
    }

    /// The profile, or every fault in the order of the lines.
    pub fn profile(mut self, file: ProfileFile) -> Result<Profile, Vec<ProfileFault>> {
        let name = file.name.get_ref();
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let is_name = !name.is_empty() && name.len() <= LONGEST_NAME && name.chars().all(plain);
        self.require(file.name.span(), is_name, "the name is not 1 to 40 of a-z, 0-9 and -");
        let token_max = self.number(file.token_max, MAX_TEXT_CHARS, LONGEST_TOKEN);
        let guard = file.after_rejections.is_some();
        let after_rejections = self.number(file.after_rejections, 0, 1_000_000);
        let after_rejections = u32::try_from(after_rejections).ok().filter(|_| guard);
        let request_span = file.request.span();
        let request = self.request(file.request.into_inner(), request_span.clone());
        self.require(
            request_span,
            !file.answers.is_empty() && file.answers.len() <= MOST_RULES,
            format!("there must be 1 to {MOST_RULES} rules [[answer]]"),
        );
        let answers: Vec<_> = file.answers.into_iter().map(|rule| self.rule(rule, guard)).collect();
        self.agree(&answers, &file.proof, &file.repeat);
        if self.pointers.len() > MOST_PLACES {
            self.fault(0..0, format!("the rules look at more than {MOST_PLACES} places"));
        }
        match request {
            Some(request) if self.faults.is_empty() => Ok(Profile {
                name: file.name.into_inner(),
                token_max,
                repeat: file.repeat.into_inner(),
                proof: file.proof.into_inner(),
                kills: file.scope.unwrap_or(Kills::Unknown),
                after_rejections,
                request,
                answers,
                pointers: self.pointers,
            }),
            _ => {
                self.faults.sort_by_key(|fault| fault.line);
                Err(self.faults)
            }
        }
    }

    fn number(&mut self, value: Option<Spanned<i64>>, default: usize, most: usize) -> usize {
        let Some(value) = value else { return default };
        match usize::try_from(*value.get_ref()) {
            Ok(number) if (1..=most).contains(&number) => number,
            _ => {
                self.fault(value.span(), format!("the number is not from 1 to {most}"));
                default
            }
        }
    }

    /// What the rules prove is what the profile says of them.
    fn agree(&mut self, rules: &[AnswerRule], proof: &Spanned<Proof>, repeat: &Spanned<Repeat>) {
        let has = |kind| rules.iter().any(|rule| rule.is == kind);
        let (wanted, kind) = match proof.get_ref() {
            Proof::Said => ("revoked", AnswerKind::Revoked),
            Proof::Acknowledged => ("acknowledged", AnswerKind::Acknowledged),
            Proof::Accepted => ("accepted", AnswerKind::Accepted),
        };
        let name = proof.get_ref().as_str();
        self.require(
            proof.span(),
            has(kind),
            format!("the proof is \"{name}\", and no rule is \"{wanted}\""),
        );
        self.require(
            proof.span(),
            *proof.get_ref() == Proof::Said || !has(AnswerKind::Revoked),
            format!("the proof is \"{name}\", and a rule is \"revoked\": an answer that does not speak of the token proves less"),
        );
        self.require(
            repeat.span(),
            *repeat.get_ref() != Repeat::Gone || has(AnswerKind::Gone),
            "the repeat is \"gone\", and no rule is \"gone\"",
        );
    }

    fn request(&mut self, file: RequestFile, span: Range<usize>) -> Option<RequestTemplate> {
        let url = self.url(&file.url);
        let path: Vec<_> = file.path.into_iter().filter_map(|part| self.segment(part)).collect();
        let mut headers = HeaderMap::new();
        for (name, value) in file.headers {
            if let Some((name, value)) = self.header(&name, &value) {
                headers.insert(name, value);
            }
        }
        let (body, auth) = (*file.body.get_ref(), *file.auth.get_ref());
        let mut fields = Vec::new();
        for (name, value) in file.fields {
            if let Some(field) = self.field(&name, &value, auth) {
                fields.push((name, field));
            }
        }
        let uses = |value| fields.iter().any(|(_, field)| *field == value);
        let tokens = fields.iter().filter(|(_, field)| *field == FieldValue::Token).count();
        let is_named = tokens == 1 || (tokens == 0 && auth == AuthMethod::SelfBearer);
        self.require(
            span,
            is_named,
            "the token must be the value of one field: write \"$token\" there, or set auth = \"self\"",
        );
        self.require(
            file.body.span(),
            body != BodyForm::None || fields.is_empty(),
            "the body is \"none\", so there can be no fields",
        );
        self.require(
            file.auth.span(),
            body != BodyForm::None || !matches!(auth, AuthMethod::Post | AuthMethod::Fields),
            "the body is \"none\", so the client cannot prove itself in it",
        );
        self.require(
            file.auth.span(),
            auth != AuthMethod::Fields || uses(FieldValue::ClientSecret),
            "the auth is \"fields\", and no field is \"$client_secret\"",
        );
        if let Some(hint) = &file.token_type_hint {
            self.require(
                hint.span(),
                uses(FieldValue::TokenTypeHint) && !hint.get_ref().contains('$'),
                "the hint needs a field that is \"$token_type_hint\", and is a literal itself",
            );
        }
        Some(RequestTemplate {
            method: match file.method {
                RequestMethod::Post => Method::POST,
                RequestMethod::Delete => Method::DELETE,
            },
            url: url?,
            path,
            body,
            auth,
            headers,
            fields,
            token_type_hint: file.token_type_hint.map(Spanned::into_inner),
        })
    }

    fn url(&mut self, url: &Spanned<String>) -> Option<UrlSource> {
        let text = url.get_ref().as_str();
        if text == "$config" {
            return Some(UrlSource::Config);
        }
        if text.contains('$') {
            self.fault(url.span(), "a placeholder in the URL: it is \"$config\" or a literal");
            return None;
        }
        let parsed = Url::parse(text).ok().filter(|url| {
            let is_plain = url.username().is_empty() && url.password().is_none();
            url.scheme() == "https" && url.has_host() && is_plain && url.fragment().is_none()
        });
        let is_one_line = !text.contains(|c: char| c.is_whitespace() || c.is_control());
        self.require(
            url.span(),
            parsed.is_some() && is_one_line,
            "the URL is not https:// with a host, without a user and a fragment",
        );
        parsed.map(UrlSource::Fixed)
    }

    fn segment(&mut self, part: Spanned<String>) -> Option<Segment> {
        let span = part.span();
        let text = part.into_inner();
        match self.value(&text, span.clone(), "a segment of the path")? {
            FieldValue::Token | FieldValue::ClientSecret => {
                self.fault(span, "a token or a secret in the path: URLs are logged everywhere");
                None
            }
            FieldValue::TokenTypeHint => {
                self.fault(span, "the hint cannot stand in the path");
                None
            }
            FieldValue::Literal(text) if !is_segment(&text) || text.contains('/') => {
                self.fault(
                    span,
                    "a segment is empty, a dot, or holds a slash: each entry is one segment",
                );
                None
            }
            FieldValue::Literal(text) => Some(Segment::Literal(text)),
            value => Some(Segment::Value(value)),
        }
    }

    fn header(&mut self, name: &str, value: &Spanned<String>) -> Option<(HeaderName, HeaderValue)> {
        let (span, text) = (value.span(), value.get_ref());
        if text.contains('$') {
            self.fault(span, "a placeholder in a header: headers are literals");
            return None;
        }
        let parsed = HeaderName::try_from(name).ok().zip(HeaderValue::from_str(text).ok());
        let Some((name, value)) = parsed.filter(|_| text.is_ascii()) else {
            self.fault(
                span,
                "no header: a line end, another control character, or a name that is none",
            );
            return None;
        };
        self.require(
            span,
            !OUR_HEADERS.contains(&name),
            format!("the header {name} is set by the worker"),
        );
        Some((name, value))
    }

    fn field(
        &mut self,
        name: &str,
        value: &Spanned<String>,
        auth: AuthMethod,
    ) -> Option<FieldValue> {
        let span = value.span();
        let field = self.value(value.get_ref(), span.clone(), "a field")?;
        self.require(span.clone(), !name.is_empty(), "a field has no name");
        self.require(
            span,
            field != FieldValue::ClientSecret || auth == AuthMethod::Fields,
            "a field is \"$client_secret\", and the auth is not \"fields\"",
        );
        Some(field)
    }

    /// A literal, or one whole placeholder.
    fn value(&mut self, text: &str, span: Range<usize>, place: &str) -> Option<FieldValue> {
        let placeholder = FieldValue::PLACEHOLDERS.into_iter().find(|(name, _)| *name == text);
        match placeholder {
            Some((_, value)) => Some(value),
            None if text.contains('$') => {
                let names = FieldValue::PLACEHOLDERS.map(|(name, _)| name).join(", ");
                self.fault(
                    span,
                    format!("{place} holds a $: a placeholder is a whole value, one of {names}"),
                );
                None
            }
            None => Some(FieldValue::Literal(text.to_owned())),
        }
    }

    fn rule(&mut self, rule: Spanned<AnswerFile>, guard: bool) -> AnswerRule {
        let span = rule.span();
        let AnswerFile { status, body, json, is, code, detail } = rule.into_inner();
        let (kind, at) = (*is.get_ref(), is.span());
        let status = status.map_or_else(Vec::new, |status| self.statuses(&status));
        let mut conditions = Vec::new();
        for (pointer, value) in json {
            conditions.extend(self.condition(&pointer, &value));
        }
        let json: Vec<PlaceCondition> = conditions;
        let body_kinds = body.as_ref().map(|body| body.get_ref().clone()).unwrap_or_default();
        let asks = |condition: &PlaceCondition| condition.condition != Condition::Absent;
        let looks_inside = json.iter().any(asks);
        match kind {
            AnswerKind::Revoked | AnswerKind::Acknowledged | AnswerKind::Accepted => {
                self.require(
                    at.clone(),
                    !body_kinds.is_empty() || looks_inside,
                    "a status alone settles no job: add body or json, because a gateway answers 200 too",
                );
                let is_success = |pattern: &StatusPattern| match pattern {
                    StatusPattern::Code(code) => (200..300).contains(code),
                    StatusPattern::Class(class) => *class == 2,
                };
                self.require(
                    at,
                    !status.is_empty() && status.iter().all(is_success),
                    "a success needs a status of 2xx, and no other",
                );
            }
            AnswerKind::Gone | AnswerKind::Rejected => self.require(
                at,
                looks_inside || guard,
                "a status alone condemns no job: add json, or set after_rejections as a guard against surges",
            ),
            AnswerKind::Misconfigured | AnswerKind::Transient => {}
        }
        if let Some(body) = body {
            self.require(
                body.span(),
                !looks_inside
                    || body_kinds.is_empty()
                    || body_kinds.contains(&BodyKind::JsonObject),
                "the rule can never fit: json looks into a body that is no JSON object",
            );
        }
        for text in [&code, &detail].into_iter().flatten() {
            self.require(
                text.span(),
                matches!(kind, AnswerKind::Gone | AnswerKind::Rejected),
                "a code or a detail is kept of \"gone\" and \"rejected\" only",
            );
        }
        let code = code.map(|pointer| self.place(pointer.get_ref(), pointer.span(), true));
        let detail = detail.map(|pointer| self.place(pointer.get_ref(), pointer.span(), false));
        let line = self.lines.line(span.start);
        AnswerRule {
            line,
            status,
            body: body_kinds,
            json,
            is: kind,
            code: code.flatten(),
            detail: detail.flatten(),
        }
    }

    fn statuses(&mut self, status: &Spanned<Value>) -> Vec<StatusPattern> {
        let single = std::slice::from_ref(status.get_ref());
        let items = status.get_ref().as_array().map_or(single, Vec::as_slice);
        if let [Value::String(any)] = items
            && any == "any"
        {
            return Vec::new();
        }
        self.require(status.span(), !items.is_empty(), "no status: leave the key out for any");
        let mut patterns = Vec::new();
        for item in items {
            let pattern = match item {
                Value::Integer(code) => u16::try_from(*code)
                    .ok()
                    .filter(|code| (100..600).contains(code))
                    .map(StatusPattern::Code),
                Value::String(class) => match class.as_str() {
                    "2xx" => Some(StatusPattern::Class(2)),
                    "3xx" => Some(StatusPattern::Class(3)),
                    "4xx" => Some(StatusPattern::Class(4)),
                    "5xx" => Some(StatusPattern::Class(5)),
                    _ => None,
                },
                _ => None,
            };
            match pattern {
                None => self.fault(
                    status.span(),
                    "no status: write codes like 200, classes like \"2xx\", or \"any\"",
                ),
                Some(pattern) if is_decided(pattern) => self.fault(
                    status.span(),
                    "no profile decides about 3xx, 408, 429 and 5xx: they are retried",
                ),
                Some(pattern) => patterns.push(pattern),
            }
        }
        patterns
    }

    fn condition(&mut self, pointer: &str, value: &Spanned<Value>) -> Option<PlaceCondition> {
        let place = self.place(pointer, value.span(), true)?;
        let condition = match value.get_ref() {
            Value::String(word) if word == "present" => Some(Condition::Present),
            Value::String(word) if word == "absent" => Some(Condition::Absent),
            Value::Array(items) if !items.is_empty() => {
                items.iter().map(scalar).collect::<Option<Vec<_>>>().map(Condition::OneOf)
            }
            _ => None,
        };
        if condition.is_none() {
            self.fault(
                value.span(),
                "no condition: write \"present\", \"absent\", or a list of texts, whole numbers and booleans",
            );
        }
        Some(PlaceCondition {
            keys: pointer_keys(pointer).unwrap_or_default(),
            place,
            condition: condition?,
        })
    }

    fn place(&mut self, pointer: &str, span: Range<usize>, strict: bool) -> Option<usize> {
        let fault = match self.pointers.add(pointer, strict) {
            Ok(place) => return Some(place),
            Err(PointerFault::Syntax) => {
                "no JSON pointer: write it like \"/error/code\" (RFC 6901)"
            }
            Err(PointerFault::Nested) => "a pointer leads through the place of another one",
        };
        self.fault(span, fault);
        None
    }
}

/// Whether a status is decided before any rule.
fn is_decided(pattern: StatusPattern) -> bool {
    match pattern {
        StatusPattern::Code(code) => is_fixed(code),
        StatusPattern::Class(class) => matches!(class, 3 | 5),
    }
}

fn scalar(value: &Value) -> Option<Scalar> {
    match value {
        Value::String(text) => Some(Scalar::Text(text.clone())),
        Value::Integer(number) => Some(Scalar::Integer(*number)),
        Value::Boolean(flag) => Some(Scalar::Bool(*flag)),
        _ => None,
    }
}
