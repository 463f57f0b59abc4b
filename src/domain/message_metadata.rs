//! The metadata of a job's message: its id, its age, its lane and its history.

use std::{fmt, time::SystemTime};

use super::{
    fingerprint::Fingerprint, history::History, job::Job, lane::Lane, redact::cut,
    trace::TraceContext,
};

/// The longest foreign id in logs, in characters.
const MAX_ID_CHARS: usize = 128;

/// The metadata of one delivery: everything except the body.
#[derive(Clone)]
pub struct MessageMetadata {
    /// The lane of its queue.
    pub lane: Lane,
    /// The producer's id of the job, as sent.
    pub message_id: Option<String>,
    /// When the producer sent it, according to the producer.
    pub published_at: Option<SystemTime>,
    /// Whether the broker delivered it before.
    pub redelivered: bool,
    /// The trace of the job.
    pub trace: Option<TraceContext>,
    /// The history in our own headers.
    pub history: History,
}

impl fmt::Debug for MessageMetadata {
    /// Without the producer's texts: a producer may use the token as the message id.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageMetadata")
            .field("lane", &self.lane)
            .field("redelivered", &self.redelivered)
            .field("history", &self.history)
            .finish_non_exhaustive()
    }
}

/// The id under which a job appears in logs and tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobId(String);

impl JobId {
    /// The producer's message id. If it is missing or reveals a part of a secret: the token's fingerprint.
    #[must_use]
    pub fn of(metadata: &MessageMetadata, job: &Job) -> Self {
        let redactor = job.redactor();
        let id = metadata.message_id.as_deref();
        let id = id.filter(|id| !id.is_empty() && !redactor.concerns(id));
        let line = id.and_then(|id| {
            if !id.contains(char::is_control) {
                return Some(cut(id, MAX_ID_CHARS));
            }
            // A part of a secret with a blank can appear only after the text is put on one line.
            let line = id.replace(char::is_control, " ");
            (!redactor.concerns(&line)).then(|| cut(&line, MAX_ID_CHARS))
        });
        Self(line.unwrap_or_else(|| job.fingerprint.to_string()))
    }

    /// The id of a message whose body is not a job: the fingerprint of the producer's message id. That id may be
    /// the token, and a body that cannot be read (compressed, encoded, too large) cannot show whether it is.
    #[must_use]
    pub fn of_invalid(metadata: &MessageMetadata) -> Self {
        match metadata.message_id.as_deref() {
            None | Some("") => Self("unknown".to_owned()),
            Some(id) => Self(Fingerprint::of(id).to_string()),
        }
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id as text.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
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

    fn metadata(message_id: Option<&str>) -> MessageMetadata {
        MessageMetadata {
            lane: Lane::Bulk,
            message_id: message_id.map(str::to_owned),
            published_at: None,
            redelivered: false,
            trace: None,
            history: History::default(),
        }
    }

    #[test]
    fn a_job_is_named_by_its_message_id_unless_that_reveals_a_secret() {
        let job = Job::parse(br#"{"refresh_token":"abc"}"#, &JobDefaults::default()).unwrap();
        let id = |message_id| JobId::of(&metadata(message_id), &job).to_string();
        assert_eq!(id(Some("logout-7")), "logout-7");
        assert_eq!(id(Some("evil\nline")), "evil line");
        assert_eq!(id(Some("id of abc")), "ba7816bf8f01");
        assert_eq!(id(Some("")), "ba7816bf8f01");
        assert_eq!(id(None), "ba7816bf8f01");
    }

    #[test]
    fn debug_output_shows_no_text_of_the_producer() {
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let trace = TraceContext::parse(parent, Some("shop=a-token"));
        assert_eq!(trace.as_ref().and_then(TraceContext::tracestate), Some("shop=a-token"));
        let metadata = MessageMetadata { trace, ..metadata(Some("a-token")) };
        let shown = format!("{metadata:?}{:?}", metadata.trace);
        assert!(shown.contains("Bulk"), "{shown}");
        assert!(!shown.contains("a-token") && !shown.contains("0af7651916cd43dd"), "{shown}");
    }

    #[test]
    fn an_id_that_shows_a_part_of_a_secret_once_it_is_on_one_line_is_a_fingerprint() {
        let body = br#"{"refresh_token":"aaaa bbbb"}"#;
        let job = Job::parse(body, &JobDefaults::default()).unwrap();
        let id = |message_id| JobId::of(&metadata(Some(message_id)), &job).to_string();
        assert_eq!(id("x-aaa\nbb"), job.fingerprint.to_string());
        assert_eq!(id("x-a\nb"), "x-a b");
    }

    /// Each id reveals a part of the token or of the client's secret: a part, an encoded form, or a secret that
    /// contains the id.
    #[test]
    fn an_id_that_shares_a_part_with_a_secret_of_the_job_is_a_fingerprint() {
        let body = br#"{"refresh_token":"qX7+Vb/9zTkLw4Rj","client_secret":"hunter2-hunter2"}"#;
        let job = Job::parse(body, &JobDefaults::default()).unwrap();
        let id = |message_id| JobId::of(&metadata(Some(message_id)), &job).to_string();
        for telling in [
            "qX7+Vb/9zTkLw4Rj",
            "logout-9zTkLw",
            "QX7+VB/9ZTKLW4RJ",
            "7+Vb",
            "cVg3K1ZiLzl6VGtMdzRSag==",
            "7158372b56622f397a546b4c7734526a",
            "qX7%2BVb%2F9zTkLw4Rj",
            "hunter2-hunter2",
            "of-hunter2",
        ] {
            assert_eq!(id(telling), job.fingerprint.to_string(), "{telling}");
        }
        for plain in ["logout-7", "3f2a7c1e-0b9d-4e57-8a61-5d0c9b8e7f12"] {
            assert_eq!(id(plain), plain);
        }
    }

    #[test]
    fn an_invalid_job_is_named_by_the_fingerprint_of_its_message_id() {
        let id = |message_id| JobId::of_invalid(&metadata(message_id)).to_string();
        assert_eq!(id(Some("abc")), "ba7816bf8f01");
        assert_eq!(id(Some("")), "unknown");
        assert_eq!(id(None), "unknown");
    }
}
