//! Decides which texts of a dead letter a command may show.

use crate::domain::{Fingerprint, Job, Redactor, cut};

/// Content types and encodings that cannot be a token.
const HARMLESS: [&str; 13] = [
    "application/json",
    "application/json; charset=utf-8",
    "application/json;charset=utf-8",
    "application/octet-stream",
    "text/plain",
    "text/csv",
    "utf-8",
    "UTF-8",
    "gzip",
    "deflate",
    "zstd",
    "identity",
    "base64",
];

/// Hides possible secrets of the job. Without a job the token is unknown: the body may be compressed, encoded or too
/// large to read. So no text that came with such a body is shown.
pub(super) struct Redaction<'a>(Option<Redactor<'a>>);

impl<'a> Redaction<'a> {
    /// The redaction for a message's job; `None` for a body that is no job.
    pub(super) fn of(job: Option<&'a Job>) -> Self {
        Self(job.map(Job::redactor))
    }

    /// An id, property or name of at most `max` characters. Its fingerprint in brackets, if it could contain a
    /// part of a secret.
    pub(super) fn id(&self, text: &str, max: usize) -> String {
        match &self.0 {
            Some(redactor) if !redactor.concerns(text) => cut(&redactor.clean(text), max),
            None if HARMLESS.contains(&text) => text.to_owned(),
            _ => fingerprint(text),
        }
    }

    /// A text of at most `max` characters with its secrets redacted. Without a job: its fingerprint in brackets.
    pub(super) fn text(&self, text: &str, max: usize) -> String {
        match &self.0 {
            Some(redactor) => cut(&redactor.clean(text), max),
            None => fingerprint(text),
        }
    }

    /// The same for a word that is shown as it is if it `is_known`.
    pub(super) fn word(&self, text: &str, is_known: bool, max: usize) -> String {
        if is_known { text.to_owned() } else { self.text(text, max) }
    }
}

fn fingerprint(text: &str) -> String {
    format!("[{}]", Fingerprint::of(text))
}
