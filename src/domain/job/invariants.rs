//! The invariants of every body, valid or not, for property tests and for `fuzz/`.

use std::{collections::BTreeSet, sync::LazyLock};

use super::*;
use crate::domain::{History, JobId, Lane, MessageMetadata, TimeUnit, to_hex};

/// Every text of a fault, without digits: a fault contains only lengths and positions of the body.
static TEXTS: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let fields = ["refresh_token", "audience", "username", "client_id", "expires_at", "action"];
    let of_field = |field| {
        let kinds = ["null", "a boolean", "a number", "a string", "an array", "an object"];
        let not_a_string = kinds.map(|kind| InvalidJob::NotAString(field, kind));
        let others = [
            InvalidJob::Missing(field),
            InvalidJob::Blank(field),
            InvalidJob::TooLong(field, 0, 0),
        ];
        others.into_iter().chain(not_a_string)
    };
    let of_body = [
        InvalidJob::Empty,
        InvalidJob::TooLarge(0),
        InvalidJob::NotUtf8(0),
        InvalidJob::NotAnObject,
        InvalidJob::Syntax { line: 0, column: 0 },
        InvalidJob::CutShort,
        InvalidJob::Duplicate { line: 0, column: 0 },
        InvalidJob::UnknownAction,
    ];
    let units = [TimeUnit::Milliseconds, TimeUnit::Microseconds, TimeUnit::Nanoseconds];
    let of_expiry = [
        ExpiryFault::Zero,
        ExpiryFault::Negative,
        ExpiryFault::Lifetime,
        ExpiryFault::EarlyDate,
        ExpiryFault::TooLate,
        ExpiryFault::Quoted,
        ExpiryFault::NotATime,
    ];
    let of_expiry = of_expiry.into_iter().chain(units.map(ExpiryFault::Unit));
    let all = of_body
        .into_iter()
        .chain(of_expiry.map(InvalidJob::Expiry))
        .chain(fields.into_iter().flat_map(of_field));
    all.map(|fault| without_digits(&fault.to_string())).collect()
});

/// Reads a body as a job, and compares the result with the body.
pub fn hold(body: &[u8]) {
    let defaults = JobDefaults {
        audience: "its audience".into(),
        client_id: Some("its client".into()),
        ..JobDefaults::default()
    };
    match Job::parse(body, &defaults) {
        Err(fault) => {
            hold_of_fault(fault, body);
            hold_of_id(body);
        }
        Ok(job) => {
            hold_of_job(&job, body, &defaults);
            hold_of_copy(&job, &defaults);
        }
    }
}

/// A fault names its kind and its position, and repeats no content.
fn hold_of_fault(fault: InvalidJob, body: &[u8]) {
    let text = fault.to_string();
    assert!(TEXTS.contains(&without_digits(&text)), "{text}");
    match fault {
        InvalidJob::TooLarge(bytes) => assert!(bytes == body.len() && bytes > MAX_BODY_BYTES),
        InvalidJob::NotUtf8(valid) => assert!(std::str::from_utf8(&body[..valid]).is_ok()),
        InvalidJob::Syntax { line, column } | InvalidJob::Duplicate { line, column } => {
            assert!(line <= body.split(|byte| *byte == b'\n').count());
            assert!(column <= body.len() + 1);
        }
        _ => {}
    }
}

/// If the body is no job, any message id is shown as its fingerprint.
fn hold_of_id(body: &[u8]) {
    let Some(Ok(id)) = body.get(..12).map(std::str::from_utf8) else { return };
    let shown = JobId::of_invalid(&metadata(id));
    assert_eq!(shown.as_str(), Fingerprint::of(id).to_string());
}

/// A job has the values that another JSON reader finds, and its debug output shows none of them.
fn hold_of_job(job: &Job, body: &[u8], defaults: &JobDefaults) {
    let token = job.token.expose_secret();
    assert!(body.len() <= MAX_BODY_BYTES);
    assert!((1..=MAX_TEXT_CHARS).contains(&token.chars().count()));
    assert_eq!(job.fingerprint, Fingerprint::of(token));
    assert_eq!(format!("{job:?}"), format!("Job {{ fingerprint: {}, .. }}", job.fingerprint));
    let in_hex = to_hex(token.as_bytes());
    let encoded = (token.len() >= 4).then_some(in_hex);
    for id in [token.to_owned(), format!("logout of {token}")].into_iter().chain(encoded) {
        assert_eq!(JobId::of(&metadata(&id), job).as_str(), job.fingerprint.to_string());
    }
    // The other reader is stricter about fields that are skipped here.
    let Ok(json) = serde_json::from_slice::<Value>(body) else { return };
    let text = |name: &str| json[name].as_str();
    assert_eq!(text("refresh_token"), Some(token));
    assert_eq!(text("audience").unwrap_or(&defaults.audience), &*job.audience);
    assert_eq!(text("client_id").or(defaults.client_id.as_deref()), job.client_id.as_deref());
    assert_eq!(text("username"), job.username.as_deref());
    assert!(json["action"].is_null() || json["action"] == "revoke");
    assert_eq!(json["expires_at"].is_null(), job.expires_at.is_none());
    let carries = json.get("client_secret").is_some_and(|secret| !secret.is_null());
    assert_eq!(carries, job.carried_client_secret.is_some());
}

/// A body written from a job is the same job.
fn hold_of_copy(job: &Job, defaults: &JobDefaults) {
    let copy = serde_json::json!({
        "refresh_token": job.token.expose_secret(),
        "audience": &*job.audience,
        "client_id": job.client_id.as_deref(),
        "username": job.username,
    });
    match Job::parse(copy.to_string().as_bytes(), defaults) {
        Ok(copy) => assert!(copy.key() == job.key() && copy.fingerprint == job.fingerprint),
        // The only text without a limit may be longer after escaping.
        Err(fault) => assert!(matches!(fault, InvalidJob::TooLarge(_)), "{fault}"),
    }
}

fn metadata(message_id: &str) -> MessageMetadata {
    MessageMetadata {
        lane: Lane::Bulk,
        message_id: Some(message_id.to_owned()),
        published_at: None,
        redelivered: false,
        trace: None,
        history: History::default(),
    }
}

fn without_digits(text: &str) -> String {
    text.chars().filter(|c| !c.is_ascii_digit()).collect()
}
