//! The record of a job that ended: the content of an outcome event.

use std::{sync::Arc, time::SystemTime};

use serde::{Serialize, Serializer};

use super::{
    lane::Lane,
    outcome::Reason,
    proof::Proof,
    rfc3339::{Rfc3339Text, has_rfc3339, rfc3339_millis},
    token_name::TokenName,
};

/// What is known of a job that ended. It holds no token and no secret.
#[derive(Debug, Clone, Serialize)]
pub struct JobRecord {
    /// The job's id; `None` if the job has none, and the token must not be named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_id: Option<String>,
    /// The name of the token, if the body could be read.
    #[serde(flatten)]
    pub token: TokenName,
    /// The lane of the job.
    pub lane: Lane,
    /// The name of the outcome, as in the metrics.
    pub outcome: &'static str,
    /// Why the job was dead-lettered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// The same as one sentence for a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The endpoint's code of a rejection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The HTTP status of the last answer to a dead-lettered job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
    /// The number of calls known to have been made.
    pub attempts: u32,
    /// When the producer published the job, according to the producer.
    #[serde(skip_serializing_if = "has_no_text", serialize_with = "time_if_given")]
    pub requested_at: Option<SystemTime>,
    /// When the outcome was known.
    #[serde(serialize_with = "time")]
    pub settled_at: SystemTime,
    /// The endpoint's profile.
    #[serde(serialize_with = "shared")]
    pub profile: Arc<str>,
    /// The endpoint's origin: scheme, host and port.
    #[serde(serialize_with = "shared")]
    pub endpoint: Arc<str>,
    /// The client of the call.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "shared_if_given")]
    pub client_id: Option<Arc<str>>,
    /// What proves that the token is dead.
    pub proof: Proof,
    /// The trace of the job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// Whether nothing of the record may be made of the token.
    #[serde(skip)]
    pub hides_token: bool,
}

fn text(time: SystemTime) -> Rfc3339Text {
    // The clock may be beyond the format.
    rfc3339_millis(time).unwrap_or(Rfc3339Text::LAST)
}

impl JobRecord {
    /// When the outcome was known, as RFC 3339 text with milliseconds.
    #[must_use]
    pub fn settled_at_text(&self) -> Rfc3339Text {
        text(self.settled_at)
    }
}

fn time<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    text(*time).serialize(serializer)
}

/// Whether there is no time, or one that RFC 3339 cannot hold: a producer may send any number.
#[allow(clippy::ref_option, reason = "serde passes the field by reference")]
fn has_no_text(given: &Option<SystemTime>) -> bool {
    !given.is_some_and(has_rfc3339)
}

#[allow(clippy::ref_option, reason = "serde passes the field by reference")]
fn time_if_given<S: Serializer>(
    given: &Option<SystemTime>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match given.and_then(rfc3339_millis) {
        Some(text) => serializer.serialize_some(&text),
        None => serializer.serialize_none(),
    }
}

fn shared<S: Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

#[allow(clippy::ref_option, reason = "serde passes the field by reference")]
fn shared_if_given<S: Serializer>(
    given: &Option<Arc<str>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    given.as_deref().serialize(serializer)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn record(token: TokenName) -> JobRecord {
        JobRecord {
            job_id: None,
            token,
            lane: Lane::Bulk,
            outcome: "revoked",
            reason: None,
            detail: None,
            code: None,
            http_status: None,
            attempts: 1,
            requested_at: None,
            settled_at: SystemTime::UNIX_EPOCH + Duration::from_millis(1_500),
            profile: "alignet".into(),
            endpoint: "https://auth.example".into(),
            client_id: None,
            proof: Proof::Said,
            trace_id: None,
            hides_token: false,
        }
    }

    #[test]
    fn fields_without_a_value_are_left_out() {
        let written = serde_json::to_string(&record(TokenName::default())).unwrap();
        assert_eq!(
            written,
            r#"{"lane":"bulk","outcome":"revoked","attempts":1,"settled_at":"1970-01-01T00:00:01.5Z","profile":"alignet","endpoint":"https://auth.example","proof":"said"}"#
        );
    }

    #[test]
    fn a_clock_beyond_the_format_breaks_no_record() {
        let at = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(400_000_000_000));
        let odd =
            JobRecord { settled_at: at.unwrap(), requested_at: at, ..record(TokenName::default()) };
        let written: serde_json::Value = serde_json::to_value(odd).unwrap();
        assert_eq!(written["settled_at"], *Rfc3339Text::LAST);
        assert_eq!(written.get("requested_at"), None, "the schema knows no null");
    }
}
