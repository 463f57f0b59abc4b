//! What comes with a job's body: who it is, how old, from where, and what happened to it before.

use std::{fmt, time::SystemTime};

use super::{
    fingerprint::Fingerprint,
    history::History,
    job::Job,
    lane::Lane,
    redact::{Redactor, cut},
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

/// A W3C `traceparent` that was checked: version 00, lower-case hex, no field all zeros.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceContext(String);

impl TraceContext {
    /// Reads a `traceparent`; `None` for anything malformed, which is dropped.
    ///
    /// Source: W3C Trace Context, section 3.2.
    #[must_use]
    pub fn parse(traceparent: &str) -> Option<Self> {
        let mut fields = traceparent.split('-');
        let (version, trace, parent, flags) =
            (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        let hex = |field: &str, len| {
            field.len() == len && field.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        };
        let told = |field: &str| field.bytes().any(|b| b != b'0');
        let sound = fields.next().is_none()
            && version == "00"
            && hex(trace, 32)
            && told(trace)
            && hex(parent, 16)
            && told(parent)
            && hex(flags, 2);
        sound.then(|| Self(traceparent.to_owned()))
    }

    /// The whole header value.
    #[must_use]
    pub fn traceparent(&self) -> &str {
        &self.0
    }

    /// The trace id, 32 hex digits.
    #[must_use]
    pub fn trace_id(&self) -> &str {
        self.0.split('-').nth(1).unwrap_or_default()
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

    #[test]
    fn only_a_sound_traceparent_is_kept() {
        let sound = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let trace = TraceContext::parse(sound).unwrap();
        assert_eq!(trace.trace_id(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(trace.traceparent(), sound);
        for malformed in [
            "",
            "00",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-zz",
        ] {
            assert_eq!(TraceContext::parse(malformed), None, "{malformed}");
        }
    }
}
