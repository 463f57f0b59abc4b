//! A job as one line of a file.

use secrecy::SecretString;
use serde_json::{Map, Value};

use crate::domain::{Fingerprint, Redactor, without_mark};

const TOKEN: &str = "refresh_token";

/// The field that replaces it without --reveal: no reader of jobs knows this name.
const FINGERPRINT: &str = "refresh_token_fingerprint";

/// Never exported: no worker uses it.
const CLIENT_SECRET: &str = "client_secret";

/// The job's fields besides the token. Other fields may be secret.
const HARMLESS: [&str; 5] = ["action", "audience", "username", "client_id", "expires_at"];

/// The job in `body` as one line, with or without its token. `None` if it is no job.
pub(super) fn of(body: &[u8], reveal: bool) -> Option<String> {
    let body = without_mark(body);
    let Ok(Value::Object(mut fields)) = serde_json::from_slice(body) else { return None };
    let token = fields.get(TOKEN)?.as_str()?.to_owned();
    let secret = fields.remove(CLIENT_SECRET);
    if reveal {
        return Some(Value::Object(fields).to_string());
    }
    let secrets: Vec<SecretString> =
        [Some(token.as_str()), secret.as_ref().and_then(Value::as_str)]
            .into_iter()
            .flatten()
            .map(SecretString::from)
            .collect();
    let redactor = Redactor::new(&secrets);
    let mut shown = Map::new();
    shown.insert(FINGERPRINT.to_owned(), Fingerprint::of(&token).to_string().into());
    for name in HARMLESS {
        let value = match fields.remove(name) {
            Some(Value::String(text)) => redactor.clean(&text).into(),
            Some(value @ (Value::Number(_) | Value::Null)) => value,
            _ => continue,
        };
        shown.insert(name.to_owned(), value);
    }
    Some(Value::Object(shown).to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{Job, JobDefaults};

    const BODY: &[u8] =
        br#"{ "refresh_token": " abc\"d", "client_id": "shop", "expires_at": 1700000000,
        "client_secret": "hush", "username": "not abc\"d", "note": "hush", "audience": null }"#;

    #[test]
    fn a_revealed_job_is_the_same_job_without_the_secret() {
        let line = of(BODY, true).unwrap();
        assert!(!line.contains('\n') && !line.contains("client_secret"), "{line}");
        let defaults = JobDefaults::default();
        let (before, after) = (Job::parse(BODY, &defaults), Job::parse(line.as_bytes(), &defaults));
        let (before, after) = (before.unwrap(), after.unwrap());
        assert!(before.key() == after.key());
        assert_eq!(before.expires_at, after.expires_at);
        assert!(after.carried_client_secret.is_none());
        assert!(line.contains(r#""note":"hush""#), "the producer's own field: {line}");
    }

    #[test]
    fn a_line_without_its_token_is_no_job_and_shows_no_secret() {
        let line = of(BODY, false).unwrap();
        assert_eq!(
            line,
            format!(
                r#"{{"audience":null,"client_id":"shop","expires_at":1700000000,"refresh_token_fingerprint":"{}","username":"not[redacted]"}}"#,
                Fingerprint::of(" abc\"d")
            )
        );
        assert!(Job::parse(line.as_bytes(), &JobDefaults::default()).is_err());
    }

    #[test]
    fn a_byte_order_mark_in_front_of_a_body_is_left_out() {
        let line = of("\u{feff}{\"refresh_token\":\"abc\"}".as_bytes(), true);
        assert_eq!(line.as_deref(), Some(r#"{"refresh_token":"abc"}"#));
    }

    #[test]
    fn a_body_that_is_no_job_has_no_line() {
        for body in ["", "abc", "[]", "{}", r#"{"refresh_token":7}"#] {
            assert_eq!(of(body.as_bytes(), true), None, "{body}");
        }
    }

    proptest! {
        #[test]
        fn tokens_survive_byte_for_byte(token in "\\PC{1,100}") {
            let body = serde_json::json!({ "refresh_token": token, "x": [1, { "y": token }] }).to_string();
            let line = of(body.as_bytes(), true).unwrap();
            let read: Value = serde_json::from_str(&line).unwrap();
            prop_assert_eq!(read["refresh_token"].as_str(), Some(token.as_str()));
            prop_assert!(!line.contains('\n'));
        }
    }
}
