//! A letter as JSON shows it.

use serde::Serialize;

use super::moment::rfc3339;
use crate::domain::{Lane, StoredLetter};

/// One letter. The names are those of its headers where there is one; what it does not tell is null.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Record {
    id: String,
    fingerprint: Option<String>,
    reason: &'static str,
    detail: String,
    lane: Option<&'static str>,
    client_id: Option<String>,
    code: Option<String>,
    http_status: Option<u32>,
    attempts: Option<u32>,
    last_error: Option<String>,
    ambiguous: bool,
    ambiguity: Option<&'static str>,
    published_at: Option<String>,
    first_failed_at: Option<String>,
    dead_at: Option<String>,
    replays: u32,
    headers_dropped: bool,
    is_job: bool,
    body_bytes: usize,
}

impl From<&StoredLetter> for Record {
    fn from(letter: &StoredLetter) -> Self {
        Self {
            id: letter.id.to_string(),
            fingerprint: letter.fingerprint.map(|fingerprint| fingerprint.to_string()),
            reason: letter.reason.as_str(),
            detail: letter.detail.clone(),
            lane: letter.lane.map(Lane::as_str),
            client_id: letter.client_id.clone(),
            code: letter.code.clone(),
            http_status: letter.http_status,
            attempts: letter.attempts,
            last_error: letter.last_error.clone(),
            ambiguous: letter.ambiguity.is_some(),
            ambiguity: letter.ambiguity.map(crate::domain::Ambiguity::as_str),
            published_at: letter.published_at.and_then(rfc3339),
            first_failed_at: letter.first_failed_at.and_then(rfc3339),
            dead_at: letter.dead_at.and_then(rfc3339),
            replays: letter.replays,
            headers_dropped: letter.headers_dropped,
            is_job: letter.is_job,
            body_bytes: letter.body_bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::dead_letters::filter::tests::letter;

    #[test]
    fn what_a_letter_does_not_tell_is_null() {
        let silent = StoredLetter { lane: None, dead_at: None, ..letter() };
        let json = serde_json::to_value(Record::from(&silent)).unwrap();
        assert_eq!(json["id"], "logout-7");
        assert_eq!(json["fingerprint"], "ba7816bf8f01");
        assert_eq!(json["reason"], "exhausted");
        for name in ["lane", "code", "http_status", "ambiguity", "dead_at", "published_at"] {
            assert!(json[name].is_null(), "{name}");
        }
        let json = serde_json::to_value(Record::from(&letter())).unwrap();
        assert_eq!(
            (&json["lane"], &json["dead_at"]),
            (&"bulk".into(), &"2023-11-14T22:12:20Z".into())
        );
    }
}
