//! The invariants of every profile file, and of every answer under every profile, for property tests and for `fuzz/`.

use std::sync::Arc;

use http::{HeaderMap, StatusCode};
use secrecy::SecretString;
use serde_json::Value;

use super::{
    BUILTIN, CallValues, Profile, ProfileFault, Proof, Segment, UrlSource,
    answer::{AnswerRule, Condition, PlaceCondition, Scalar},
    builtin,
    terms::{AnswerKind, BodyKind},
};
use crate::{
    domain::{Redactor, ResultLabel, Verdict},
    endpoint::{
        classify::{ClassifyContext, HttpResponse, ResponseBody, classify},
        message::MAX_MESSAGE_CHARS,
    },
};

/// The separator between a profile and an answer.
const SEPARATOR: &str = "\n---\n";

/// The token and the secret of a call.
const SECRETS: [&str; 2] = ["canary-token", "canary-secret"];

/// Reads bytes as the file of a profile. A valid profile puts a token into exactly one field.
pub fn hold_file(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match Profile::parse(&text) {
        Err(faults) => hold_of_faults(&faults, text.split('\n').count()),
        Ok(profile) => hold_of_request(&profile),
    }
}

/// Each fault names a line of the file.
fn hold_of_faults(faults: &[ProfileFault], lines: usize) {
    assert!(!faults.is_empty(), "refused without a fault");
    for fault in faults {
        assert!((1..=lines).contains(&fault.line), "{fault} of {lines} lines");
        assert!(!fault.what.contains('\n'), "{fault:?}");
    }
}

fn hold_of_request(profile: &Profile) {
    let [token, secret] = SECRETS;
    let values = CallValues {
        token,
        client_id: Some("an/../id"),
        client_secret: Some(secret),
        username: Some("?user"),
        audience: Some("#audience"),
        token_type_hint: None,
    };
    let base = match &profile.request.url {
        UrlSource::Fixed(url) => url.clone(),
        UrlSource::Config => "https://auth.example/base".parse().unwrap_or_else(|_| unreachable!()),
    };
    let Some(url) = profile.request.url(&base, &values) else {
        return assert!(!profile.request.path.is_empty(), "a URL without a path is one");
    };
    let own = profile.request.path.iter().filter(|part| matches!(part, Segment::Literal(_)));
    let literals = own.count() + base.as_str().matches("canary").count();
    assert!(literals > 0 || !url.as_str().contains("canary"), "{url}");
    assert_eq!((url.scheme(), url.host_str()), (base.scheme(), base.host_str()));
    assert_eq!((url.port(), url.query()), (base.port(), base.query()));
    let body = profile.request.body(&values, &[]);
    assert!(body.is_ok(), "strings always serialize");
}

/// Reads bytes as a profile and an answer: a status in the first line behind the separator, then the body. Without a
/// valid profile, a built-in one is used.
pub fn hold_answer(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (file, answer) = text.split_once(SEPARATOR).unwrap_or(("", &text));
    let (status, body) = answer.split_once('\n').unwrap_or((answer, ""));
    let status = StatusCode::from_bytes(status.as_bytes()).unwrap_or_default();
    let any = || builtin(BUILTIN[bytes.len() % BUILTIN.len()].0);
    let profile = Profile::parse(file).ok().map(Arc::new).or_else(any);
    if let Some(profile) = profile {
        hold_of(&profile, status, body);
    }
}

/// The verdict matches the first matching rule, according to another reader.
fn hold_of(profile: &Profile, status: StatusCode, body: &str) {
    let verdict = judged(profile, status, body);
    hold_of_texts(&verdict);
    assert!(verdict != Verdict::Revoked || profile.proof == Proof::Said, "revoked without proof");
    if body.trim_ascii().is_empty() {
        return assert_eq!(verdict.label(), expected(profile, status, None));
    }
    // Written anew, with no key twice and nothing that readers disagree on.
    let unmarked = body.strip_prefix('\u{feff}').unwrap_or(body);
    let Ok(json) = serde_json::from_str::<Value>(unmarked) else { return };
    let again = json.to_string();
    let label = judged(profile, status, &again).label();
    assert_eq!(label, expected(profile, status, Some(&json)), "{status} {again}");
}

fn judged(profile: &Profile, status: StatusCode, body: &str) -> Verdict {
    let secrets = SECRETS.map(SecretString::from);
    let context = ClassifyContext {
        profile: Some(profile),
        locale: "es_PE",
        redactor: Redactor::new(&secrets),
        now: std::time::SystemTime::UNIX_EPOCH,
    };
    let body = ResponseBody::Whole(body.as_bytes());
    classify(&HttpResponse { status, headers: &HeaderMap::new(), body }, &context)
}

/// Texts of the endpoint are short, on one line, and without the call's secrets.
fn hold_of_texts(verdict: &Verdict) {
    let (Verdict::Gone(said) | Verdict::Rejected(said)) = verdict else { return };
    for text in said.message.iter().chain([&said.code]) {
        assert!(text.chars().count() <= MAX_MESSAGE_CHARS, "{text}");
        assert!(!text.chars().any(char::is_control), "{text:?}");
        assert!(!SECRETS.iter().any(|secret| text.contains(secret)), "{text}");
    }
}

/// Judges a sample answer. Its body is a JSON value, or empty.
fn expected(profile: &Profile, status: StatusCode, json: Option<&Value>) -> ResultLabel {
    match status.as_u16() {
        300..=399 => return ResultLabel::Http3xx,
        408 => return ResultLabel::Http408,
        429 => return ResultLabel::Http429,
        500..=599 => return ResultLabel::Http5xx,
        _ => {}
    }
    let rule = profile.answers.iter().find(|rule| fits(rule, status.as_u16(), json));
    match rule.map(|rule| rule.is) {
        Some(AnswerKind::Revoked) => ResultLabel::Revoked,
        Some(AnswerKind::Acknowledged) => ResultLabel::Acknowledged,
        Some(AnswerKind::Accepted) => ResultLabel::Accepted,
        Some(AnswerKind::Gone) => ResultLabel::Gone,
        Some(AnswerKind::Rejected) => ResultLabel::Rejected,
        Some(AnswerKind::Misconfigured) => ResultLabel::Misconfigured,
        Some(AnswerKind::Transient) => ResultLabel::Unrecognized,
        None if status.is_success() => ResultLabel::Unrecognized,
        None => ResultLabel::Http4xx,
    }
}

fn fits(rule: &AnswerRule, status: u16, json: Option<&Value>) -> bool {
    let object = json.filter(|json| json.is_object());
    let is = |kind: &BodyKind| match kind {
        BodyKind::Empty => json.is_none(),
        BodyKind::JsonObject => object.is_some(),
    };
    let at = |keys: &[String]| {
        let found = keys.iter().try_fold(object?, |value, key| value.as_object()?.get(key));
        found.filter(|value| !value.is_null())
    };
    let equals = |scalar: &Scalar, value: &Value| match scalar {
        Scalar::Text(text) => value.as_str() == Some(text),
        Scalar::Integer(number) => value.as_i64() == Some(*number),
        Scalar::Bool(flag) => value.as_bool() == Some(*flag),
    };
    let holds = |of: &PlaceCondition| match (&of.condition, at(&of.keys)) {
        (Condition::Present, value) => value.is_some(),
        (Condition::Absent, value) => value.is_none(),
        (Condition::OneOf(scalars), Some(value)) => scalars.iter().any(|of| equals(of, value)),
        (Condition::OneOf(_), None) => false,
    };
    (rule.status.is_empty() || rule.status.iter().any(|of| of.fits(status)))
        && (rule.body.is_empty() || rule.body.iter().any(is))
        && rule.json.iter().all(holds)
}
