//! What may be shown of the texts that came with a dead letter.

use crate::domain::{Fingerprint, Job, Redactor, cut};

/// What a producer says of its body, as far as it cannot be a token.
const PLAIN: [&str; 13] = [
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

/// Hides what could be a secret of the job. Of a body that is no job, nobody can say what its token is:
/// it may be compressed or encoded, or too large to be read. So nothing that came with it is shown there.
pub(super) struct Veil<'a>(Option<Redactor<'a>>);

impl<'a> Veil<'a> {
    /// The veil of a letter's job; of a body that is no job, `None`.
    pub(super) fn of(job: Option<&'a Job>) -> Self {
        Self(job.map(Job::redactor))
    }

    /// An id, a property or a name, of at most `max` characters; its fingerprint, in brackets, where it could
    /// tell something of a secret.
    pub(super) fn id(&self, text: &str, max: usize) -> String {
        match &self.0 {
            Some(redactor) if !redactor.concerns(text) => cut(&redactor.clean(text), max),
            None if PLAIN.contains(&text) => text.to_owned(),
            _ => fingerprint(text),
        }
    }

    /// A text of at most `max` characters, without what tells something of a secret; the fingerprint, in
    /// brackets, where nobody can say.
    pub(super) fn text(&self, text: &str, max: usize) -> String {
        match &self.0 {
            Some(redactor) => cut(&redactor.clean(text), max),
            None => fingerprint(text),
        }
    }

    /// The same for a word that is harmless where it `is_known`.
    pub(super) fn word(&self, text: &str, is_known: bool, max: usize) -> String {
        if is_known { text.to_owned() } else { self.text(text, max) }
    }
}

fn fingerprint(text: &str) -> String {
    format!("[{}]", Fingerprint::of(text))
}
