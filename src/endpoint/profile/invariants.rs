//! What holds of every file of a profile, and of every answer under every profile: for property tests and for `fuzz/`.

use std::{collections::BTreeSet, sync::Arc};

use http::{HeaderMap, StatusCode};
use secrecy::SecretString;

use super::{
    BUILTIN, CallValues, Profile, ProfileFault, Proof, Segment, UrlSource, answer::AnswerKind,
    builtin,
};
use crate::{
    domain::{Redactor, Verdict},
    endpoint::{
        classify::{ClassifyContext, HttpResponse, ResponseBody, classify, is_fixed},
        message::MAX_MESSAGE_CHARS,
    },
};

/// What separates a profile from an answer.
const SEPARATOR: &str = "\n---\n";

/// The token and the secret of a call.
const SECRETS: [&str; 2] = ["canary-token", "canary-secret"];

/// Reads bytes as the file of a profile. A sound one puts a token nowhere but into one field.
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
/// sound profile, a built-in one judges.
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

/// The verdict claims no more than a rule of the profile says.
fn hold_of(profile: &Profile, status: StatusCode, body: &str) {
    let secrets = SECRETS.map(SecretString::from);
    let context = ClassifyContext {
        profile: Some(profile),
        locale: "es_PE",
        redactor: Redactor::new(&secrets),
        now: std::time::SystemTime::UNIX_EPOCH,
    };
    let headers = HeaderMap::new();
    let body = ResponseBody::Whole(body.as_bytes());
    let verdict = classify(&HttpResponse { status, headers: &headers, body }, &context);
    let rules: BTreeSet<_> = profile.answers.iter().map(|rule| rule.is as u8).collect();
    let has = |kind: AnswerKind| rules.contains(&(kind as u8));
    let success = |kind| {
        assert!(has(kind), "{verdict:?} without a rule");
        assert!(status.is_success(), "{verdict:?} at {status}");
    };
    match &verdict {
        Verdict::Revoked => {
            success(AnswerKind::Revoked);
            assert_eq!(profile.proof, Proof::Said, "revoked without proof");
        }
        Verdict::Acknowledged => success(AnswerKind::Acknowledged),
        Verdict::Accepted => success(AnswerKind::Accepted),
        Verdict::Gone(said) | Verdict::Rejected(said) => {
            let kind = match verdict {
                Verdict::Gone(_) => AnswerKind::Gone,
                _ => AnswerKind::Rejected,
            };
            assert!(has(kind), "{verdict:?} without a rule");
            assert!(!is_fixed(status.as_u16()), "{verdict:?} at {status}");
            for text in said.message.iter().chain([&said.code]) {
                assert!(text.chars().count() <= MAX_MESSAGE_CHARS, "{text}");
                assert!(!text.chars().any(char::is_control), "{text:?}");
                assert!(!SECRETS.iter().any(|secret| text.contains(secret)), "{text}");
            }
        }
        Verdict::Transient(failure) => assert_eq!(failure.http_status, Some(status.as_u16())),
        Verdict::Verified | Verdict::StillActive(_) => unreachable!("no answer says so"),
    }
}
