//! A dead letter as JSON.

use serde::{Serialize, Serializer, ser::SerializeMap as _};

use crate::domain::{Ambiguity, Fingerprint, Lane, StoredLetter, rfc3339};

/// Writes a dead letter with the names of its headers, if there are any. A field that it lacks is null.
#[derive(Debug, Clone, Copy)]
pub(super) struct LetterJson<'a>(pub(super) &'a StoredLetter);

impl Serialize for LetterJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(letter) = self;
        let fingerprint = letter.fingerprint.as_ref().map(Fingerprint::to_string);
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", letter.id.as_str())?;
        map.serialize_entry("fingerprint", &fingerprint)?;
        map.serialize_entry("reason", letter.reason.as_str())?;
        map.serialize_entry("detail", &letter.detail)?;
        map.serialize_entry("lane", &letter.lane.map(Lane::as_str))?;
        map.serialize_entry("client_id", &letter.client_id)?;
        map.serialize_entry("code", &letter.code)?;
        map.serialize_entry("http_status", &letter.http_status)?;
        map.serialize_entry("attempts", &letter.attempts)?;
        map.serialize_entry("last_error", &letter.last_error)?;
        map.serialize_entry("ambiguous", &letter.ambiguity.is_some())?;
        map.serialize_entry("ambiguity", &letter.ambiguity.map(Ambiguity::as_str))?;
        map.serialize_entry("published_at", &letter.published_at.and_then(rfc3339))?;
        map.serialize_entry("first_failed_at", &letter.first_failed_at.and_then(rfc3339))?;
        map.serialize_entry("dead_at", &letter.dead_at.and_then(rfc3339))?;
        map.serialize_entry("replays", &letter.replays)?;
        map.serialize_entry("headers_dropped", &letter.headers_dropped)?;
        map.serialize_entry("is_job", &letter.is_job)?;
        map.serialize_entry("body_bytes", &letter.body_bytes)?;
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::dead_letters::testing::letter;

    #[test]
    fn a_field_that_a_letter_lacks_is_null() {
        let silent = StoredLetter { lane: None, dead_at: None, ..letter() };
        let json = serde_json::to_value(LetterJson(&silent)).unwrap();
        assert_eq!(json["id"], "logout-7");
        assert_eq!(json["fingerprint"], "ba7816bf8f01");
        assert_eq!(json["reason"], "exhausted");
        for name in ["lane", "code", "http_status", "ambiguity", "dead_at", "published_at"] {
            assert!(json[name].is_null(), "{name}");
        }
        let json = serde_json::to_value(LetterJson(&letter())).unwrap();
        assert_eq!(
            (&json["lane"], &json["dead_at"]),
            (&"bulk".into(), &"2023-11-14T22:12:20Z".into())
        );
    }
}
