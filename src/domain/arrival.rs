//! What comes with a job's body: who it is, how old, from where, and what happened to it before.

use std::{fmt, time::SystemTime};

use super::{
    fingerprint::Fingerprint,
    history::History,
    job::Job,
    lane::Lane,
    redact::{Redactor, cut},
    trace::TraceContext,
};

/// Characters of a foreign id that are kept in logs.
const MAX_ID_CHARS: usize = 128;

/// Bytes of a body that is no job in which its id is looked for.
const SEARCHED_BYTES: usize = 4096;

/// So many bytes of a token in a row tell something of it.
const TELLING_BYTES: usize = 6;

/// One delivery's particulars, besides its body.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// The lane that it came in.
    pub lane: Lane,
    /// The producer's id of the job, as sent.
    pub message_id: Option<String>,
    /// When the producer sent it, by the producer's word.
    pub published_at: Option<SystemTime>,
    /// Whether the broker delivered it before.
    pub redelivered: bool,
    /// The trace that it belongs to.
    pub trace: Option<TraceContext>,
    /// What our own headers tell of its past.
    pub history: History,
}

/// The id under which a job appears in logs and tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobId(String);

impl JobId {
    /// The producer's message id, or the fingerprint where that is missing or would show the token.
    #[must_use]
    pub fn of(arrival: &Arrival, job: &Job) -> Self {
        let redactor = Redactor::new([&job.token]);
        match arrival.message_id.as_deref() {
            Some(id) if !id.is_empty() && !redactor.concerns(id) => {
                Self(cut(&redactor.clean(id), MAX_ID_CHARS))
            }
            _ => Self(job.fingerprint.to_string()),
        }
    }

    /// The id of a message whose body is no job: the producer's message id, unless the body contains
    /// it (it may be the token), then its fingerprint.
    #[must_use]
    pub fn of_invalid(arrival: &Arrival, body: &[u8]) -> Self {
        match arrival.message_id.as_deref() {
            None | Some("") => Self("unknown".to_owned()),
            Some(id) if shares_a_part(id, body) => Self(Fingerprint::of(id).to_string()),
            Some(id) => Self(cut(&Redactor::default().clean(id), MAX_ID_CHARS)),
        }
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a part of a text that could tell something stands in the beginning of a body that is no job:
/// one that was cut off within its token contains no more than a part of a message id that is the token.
#[must_use]
pub fn shares_a_part(text: &str, body: &[u8]) -> bool {
    let body = &body[..body.len().min(SEARCHED_BYTES)];
    let text = text.as_bytes();
    text.windows(text.len().clamp(1, TELLING_BYTES))
        .any(|part| body.windows(part.len()).any(|b| b == part))
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::job::JobDefaults;

    fn arrival(message_id: Option<&str>) -> Arrival {
        Arrival {
            lane: Lane::Bulk,
            message_id: message_id.map(str::to_owned),
            published_at: None,
            redelivered: false,
            trace: None,
            history: History::default(),
        }
    }

    #[test]
    fn a_job_goes_by_its_message_id_unless_that_shows_the_token() {
        let job = Job::parse(br#"{"refresh_token":"abc"}"#, &JobDefaults::default()).unwrap();
        let id = |message_id| JobId::of(&arrival(message_id), &job).to_string();
        assert_eq!(id(Some("logout-7")), "logout-7");
        assert_eq!(id(Some("evil\nline")), "evil line");
        assert_eq!(id(Some("id of abc")), "ba7816bf8f01");
        assert_eq!(id(Some("")), "ba7816bf8f01");
        assert_eq!(id(None), "ba7816bf8f01");
    }

    #[test]
    fn an_invalid_job_goes_by_its_message_id_unless_the_body_contains_it() {
        let id = |message_id| JobId::of_invalid(&arrival(message_id), b"not json: abc").to_string();
        assert_eq!(id(Some("logout-7")), "logout-7");
        assert_eq!(id(Some("abc")), "ba7816bf8f01");
        assert_ne!(id(Some("the json: abcdef")), "the json: abcdef", "a part of the body");
        assert_eq!(id(None), "unknown");
    }
}
