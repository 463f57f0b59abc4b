//! The invariants of every answer and its verdict, for property tests and for `fuzz/`.

use http::{HeaderName, HeaderValue};
use secrecy::SecretString;
use serde_json::Value;

use super::{
    super::{envelope::ACTION, message::MAX_MESSAGE_CHARS},
    *,
};
use crate::domain::without_mark;

/// The secrets of the call, which an answer may echo.
pub const SECRETS: [&str; 2] = ["canary-token", "canary-secret"];

/// Judges an answer. The first line has the status, and the cause of an incomplete body. Then come its headers, an
/// empty line and the body.
pub fn hold(answer: &[u8]) {
    let split = answer.windows(2).position(|pair| pair == b"\n\n");
    let (head, body) = split.map_or((answer, &b""[..]), |at| (&answer[..at], &answer[at + 2..]));
    let head = String::from_utf8_lossy(head);
    let mut lines = head.lines();
    let mut first = lines.next().unwrap_or_default().split(' ');
    let status = first.next().and_then(|status| StatusCode::from_bytes(status.as_bytes()).ok());
    let came = match first.next() {
        Some("unread") => ResponseBody::Unread,
        Some("too-large") => ResponseBody::TooLarge,
        Some("timeout") => ResponseBody::Broken(Breakage::Timeout),
        Some("reset") => ResponseBody::Broken(Breakage::Reset),
        _ => ResponseBody::Whole(body),
    };
    let mut headers = HeaderMap::new();
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        let name = HeaderName::try_from(name).ok();
        if let Some((name, value)) = name.zip(HeaderValue::from_str(value).ok()) {
            headers.append(name, value);
        }
    }
    let answer = HttpResponse { status: status.unwrap_or_default(), headers: &headers, body: came };
    hold_of(&answer);
    if matches!(came, ResponseBody::Whole(_)) {
        hold_of_rewritten(&answer, body);
    }
}

/// The verdict claims no more than the answer proves.
fn hold_of(answer: &HttpResponse<'_>) {
    let (says, may_say): (Word, fn(Word, Word) -> bool) = match answer.body {
        // A body that the other reader cannot read is not compared.
        ResponseBody::Whole(body) => match word(body) {
            Some(word) => (word, |word, wanted| word == wanted),
            None => (Word::Nothing, |_, _| true),
        },
        _ => (Word::Nothing, |word, wanted| word == wanted),
    };
    match judge(answer) {
        Verdict::Revoked => {
            assert!(may_say(says, Word::Success), "revoked without the endpoint's own word");
            assert!(answer.status.is_success(), "revoked with {}", answer.status);
        }
        Verdict::Rejected(rejection) => {
            assert!(may_say(says, Word::Refusal), "rejected without the endpoint's own word");
            assert!(!speaks_for_itself(answer.status), "rejected with {}", answer.status);
            assert_eq!(rejection.code, CODE_ERROR);
            assert_eq!(rejection.http_status, answer.status.as_u16());
            rejection.message.iter().for_each(|message| hold_of_message(message));
        }
        verdict @ (Verdict::Acknowledged
        | Verdict::Accepted
        | Verdict::Gone(_)
        | Verdict::Verified
        | Verdict::StillActive(_)) => {
            unreachable!("the default profile says no such thing: {verdict:?}");
        }
        Verdict::Transient(failure) => {
            hold_of_failure(&failure, answer.status);
            hold_of_class(&failure, answer, says);
            let job_fault = failure.blame == Blame::Job;
            assert!(!job_fault || may_say(says, Word::Refusal), "blamed without its own word");
        }
    }
}

/// The text of a rejection is one short line without the call's secrets.
fn hold_of_message(message: &str) {
    assert!(message.chars().count() <= MAX_MESSAGE_CHARS, "{message}");
    assert!(!message.chars().any(char::is_control), "{message}");
    let shown = message.to_lowercase();
    for secret in SECRETS {
        let hex = crate::domain::to_hex(secret.as_bytes());
        for form in [secret, &secret[..8], &secret[4..], &hex, &hex[6..]] {
            assert!(!shown.contains(form), "{message} shows {form}");
        }
    }
}

/// A failure matches the status, and is ambiguous if the call may have worked.
fn hold_of_failure(failure: &Failure, status: StatusCode) {
    let ambiguous = match failure.label {
        ResultLabel::Timeout
        | ResultLabel::Reset
        | ResultLabel::Http408
        | ResultLabel::Http5xx
        | ResultLabel::Unrecognized => true,
        ResultLabel::Http3xx => status == StatusCode::SEE_OTHER,
        ResultLabel::Http429 | ResultLabel::Http4xx => false,
        other => unreachable!("{other} is no failure of an answer"),
    };
    assert_eq!(failure.ambiguous, ambiguous);
    assert_eq!(failure.http_status, Some(status.as_u16()));
    assert!(failure.retry_after.is_none() || matches!(status.as_u16(), 429 | 503));
    assert!(failure.blame == Blame::Transport || status.is_server_error());
}

/// The class fits the part of the response that came, and claims no sound answer.
fn hold_of_class(failure: &Failure, answer: &HttpResponse<'_>, says: Word) {
    let class = failure.class;
    assert!(class.is_answered(), "{class} of a response");
    let by_part = match answer.body {
        ResponseBody::Unread => Some(FailureClass::Redirect),
        ResponseBody::TooLarge => Some(FailureClass::LongBody),
        ResponseBody::Broken(Breakage::Timeout) => Some(FailureClass::SlowBody),
        ResponseBody::Broken(Breakage::Reset) => Some(FailureClass::CutResponse),
        ResponseBody::Whole(_) => None,
    };
    assert!(by_part.is_none_or(|part| part == class), "{class} where {by_part:?} came");
    if let ResponseBody::Whole(body) = answer.body {
        assert_eq!(failure.size, Some(body.len()));
        let blank = body.trim_ascii().is_empty();
        assert_eq!(class == FailureClass::EmptyBody, blank, "{class}");
        let own = says != Word::Nothing && !speaks_for_itself(answer.status);
        let sound = [FailureClass::Contradiction, FailureClass::DuplicateKey];
        assert!(!own || sound.contains(&class), "{class} of an own answer");
    }
}

/// For a rewritten body without duplicate keys, where all readers agree, the verdict matches the answer exactly.
fn hold_of_rewritten(answer: &HttpResponse<'_>, body: &[u8]) {
    let Ok(json) = serde_json::from_slice::<Value>(without_mark(body)) else { return };
    let body = json.to_string();
    let answer = HttpResponse { body: ResponseBody::Whole(body.as_bytes()), ..*answer };
    hold_of(&answer);
    let label = judge(&answer).label();
    let spoken = !speaks_for_itself(answer.status);
    let expected = match word(body.as_bytes()) {
        Some(Word::Success) if answer.status.is_success() => Some(ResultLabel::Revoked),
        Some(Word::Success) if spoken => Some(ResultLabel::Unrecognized),
        Some(Word::Refusal) if spoken => Some(ResultLabel::Rejected),
        _ => None,
    };
    let own_word = [ResultLabel::Revoked, ResultLabel::Rejected].contains(&label);
    assert!(expected.map_or(!own_word, |expected| label == expected), "{label} of {body}");
}

/// Whether a status is a transport failure with any body.
fn speaks_for_itself(status: StatusCode) -> bool {
    matches!(status.as_u16(), 300..=399 | 408 | 429 | 500..=599)
}

/// The meaning of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    Success,
    Refusal,
    Nothing,
}

/// The meaning of a body according to another JSON reader; `None` if that cannot read it. One byte order mark before it
/// is ignored. Of duplicate keys it uses the last.
fn word(body: &[u8]) -> Option<Word> {
    let json = serde_json::from_slice::<Value>(without_mark(body)).ok()?;
    let (code, success) = (&json["revoke"]["meta"]["status"]["code"], &json["success"]);
    let ours = json["action"].is_null() || json["action"] == ACTION;
    let refused = success.is_null() || *success == false || success == "false";
    Some(match code.as_str() {
        Some("00") if ours && (*success == true || success == "true") => Word::Success,
        Some("01") if ours && refused => Word::Refusal,
        _ => Word::Nothing,
    })
}

/// Whether a body proves a revocation, according to another JSON reader.
#[cfg(test)]
#[must_use]
pub fn proves(body: &str) -> bool {
    word(body.as_bytes()) == Some(Word::Success)
}

fn judge(answer: &HttpResponse<'_>) -> Verdict {
    let secrets = SECRETS.map(SecretString::from);
    let redactor = Redactor::new(&secrets);
    classify(
        answer,
        &ClassifyContext { profile: None, locale: "es_PE", redactor, now: SystemTime::UNIX_EPOCH },
    )
}
