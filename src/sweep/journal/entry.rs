//! The outcome of a line, as an entry of the journal.

use std::{borrow::Cow, time::SystemTime};

use serde::{Deserialize, Serialize, Serializer};
use thiserror::Error;

use super::record::time_text;
use crate::domain::{
    Ambiguity, Completion, Fingerprint, History, Job, JobKey, Outcome, Proof, Reason, ResultLabel,
    TokenHash, TokenName, parse_rfc3339,
};

/// The outcome of a line.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "EntryFields<'static>")]
pub struct JournalEntry {
    /// The line number, from 1.
    pub line: u64,
    /// `None` for a line that is no job.
    pub key: Option<JobKey>,
    /// Empty for a line that is no job, and if tokens must not be named.
    pub token: TokenName,
    pub kind: EntryKind,
    pub history: History,
    /// The time, to the millisecond.
    pub at: SystemTime,
}

/// The outcome of a line. The first three are final.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryKind {
    Ended(Completion),
    /// An earlier line asks for the same job, and its outcome is that of this line.
    Repeated,
    /// The line failed, with the details of a dead letter.
    Failed(LineFailure),
    Parked,
    HandedBack,
}

/// The details of a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineFailure {
    pub reason: Reason,
    /// One sentence for a person, without any secret of the job.
    pub detail: String,
    /// The endpoint's code.
    pub code: Option<String>,
    /// The HTTP status of the last response.
    pub http_status: Option<u16>,
}

/// The job of a line, as its entry names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineJob {
    pub key: JobKey,
    pub token: TokenName,
}

impl LineJob {
    pub fn of(job: &Job, hash: TokenHash) -> Self {
        Self { key: job.key(), token: TokenName::of(job, hash) }
    }

    /// A job for tests in which it does not matter.
    #[cfg(test)]
    pub fn any() -> Self {
        let job = Job::parse(br#"{"refresh_token":"t"}"#, &crate::domain::JobDefaults::default());
        Self::of(&job.unwrap(), TokenHash::Short)
    }
}

impl JournalEntry {
    /// The entry of a settled job.
    pub fn of(
        line: u64,
        job: LineJob,
        outcome: &Outcome,
        history: &History,
        at: SystemTime,
    ) -> Self {
        let kind = match outcome {
            Outcome::Done(completion) => EntryKind::Ended(*completion),
            Outcome::DeadLettered(letter) => EntryKind::Failed(LineFailure {
                reason: letter.reason,
                detail: letter.detail.clone(),
                code: letter.code.clone(),
                http_status: letter.http_status,
            }),
            Outcome::Parked(_) => EntryKind::Parked,
            Outcome::Requeued => EntryKind::HandedBack,
        };
        Self { line, key: Some(job.key), token: job.token, kind, history: *history, at }.dated()
    }

    /// The entry of a line that is no job.
    pub fn refused(line: u64, detail: String, at: SystemTime) -> Self {
        let reason = Reason::InvalidJob;
        let failed = LineFailure { reason, detail, code: None, http_status: None };
        let kind = EntryKind::Failed(failed);
        let token = TokenName::default();
        Self { line, key: None, token, kind, history: History::default(), at }
    }

    /// The entry of a job that was reopened and not called.
    pub fn put_back(line: u64, job: LineJob, history: History, at: SystemTime) -> Self {
        let LineJob { key, token } = job;
        Self { line, key: Some(key), token, kind: EntryKind::HandedBack, history, at }.dated()
    }

    /// Sets the start of the delay: pauses count from then on.
    fn dated(mut self) -> Self {
        let put_off = matches!(self.kind, EntryKind::Parked | EntryKind::HandedBack);
        self.history.parked_at = put_off.then_some(self.at);
        self
    }

    /// The entry of a line whose job another line or an earlier sweep has done.
    pub fn without_a_call(line: u64, job: LineJob, kind: EntryKind, at: SystemTime) -> Self {
        let LineJob { key, token } = job;
        Self { line, key: Some(key), token, kind, history: History::default(), at }
    }

    /// What proves that the token is dead, according to this entry; `None` if the line has not ended, or if its
    /// outcome is that of an earlier line.
    pub const fn proof(&self) -> Option<Proof> {
        match &self.kind {
            EntryKind::Ended(ending) => Some(Proof::of_completion(*ending, self.history.verified)),
            EntryKind::Failed(_) => Some(Proof::Nothing),
            EntryKind::Repeated | EntryKind::Parked | EntryKind::HandedBack => None,
        }
    }
}

/// The names of each [`EntryKind`] that is no [`Completion`].
const REPEATED: &str = "repeated";
const FAILED: &str = "failed";
const PARKED: &str = "parked";
const HANDED_BACK: &str = "handed_back";

/// The proof beyond the endpoint's answer.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum EntryProof {
    /// A check found the token dead.
    Verified,
}

/// An entry as it is written. Empty fields are left out.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryFields<'a> {
    line: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    outcome: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    http_status: Option<u16>,
    attempts: u32,
    #[serde(default, skip_serializing_if = "is_default")]
    parked: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    first_failed_at: Option<String>,
    #[serde(default, skip_serializing_if = "is_default")]
    paused_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_error: Option<ResultLabel>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ambiguity: Option<Ambiguity>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    proof: Option<EntryProof>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fingerprint: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token_sha256: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    detail: Option<Cow<'a, str>>,
    at: String,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl<'a> From<&'a JournalEntry> for EntryFields<'a> {
    fn from(entry: &'a JournalEntry) -> Self {
        let (outcome, failed) = match &entry.kind {
            EntryKind::Ended(ending) => (ending.as_str(), None),
            EntryKind::Repeated => (REPEATED, None),
            EntryKind::Failed(failed) => (FAILED, Some(failed)),
            EntryKind::Parked => (PARKED, None),
            EntryKind::HandedBack => (HANDED_BACK, None),
        };
        let History { attempts, stays, first_failed_at, last_error, ambiguity, verified, .. } =
            entry.history;
        Self {
            line: entry.line,
            key: entry.key.map(JobKey::to_hex),
            outcome: outcome.into(),
            reason: failed.map(|failed| failed.reason),
            code: failed.and_then(|failed| failed.code.as_deref()).map(Cow::from),
            http_status: failed.and_then(|failed| failed.http_status),
            attempts,
            parked: stays,
            first_failed_at: first_failed_at.map(time_text),
            paused_ms: entry.history.paused_millis(),
            last_error,
            ambiguity,
            proof: verified.then_some(EntryProof::Verified),
            fingerprint: entry.token.fingerprint.map(|shown| shown.to_string().into()),
            token_sha256: entry.token.token_sha256.as_deref().map(Cow::from),
            detail: failed.map(|failed| failed.detail.as_str().into()),
            at: time_text(entry.at),
        }
    }
}

impl Serialize for JournalEntry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        EntryFields::from(self).serialize(serializer)
    }
}

#[derive(Debug, Error)]
#[error("a field of the entry has no such value")]
struct InvalidEntry;

/// Reads a text, if there is one; unknown texts are errors.
fn known<T>(
    text: Option<&str>,
    read: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<T>, InvalidEntry> {
    text.map(|text| read(text).ok_or(InvalidEntry)).transpose()
}

impl TryFrom<EntryFields<'_>> for JournalEntry {
    type Error = InvalidEntry;

    fn try_from(fields: EntryFields<'_>) -> Result<Self, InvalidEntry> {
        let kind = match (fields.outcome.as_ref(), fields.reason) {
            (FAILED, Some(reason)) => EntryKind::Failed(LineFailure {
                reason,
                detail: fields.detail.unwrap_or_default().into_owned(),
                code: fields.code.map(Cow::into_owned),
                http_status: fields.http_status,
            }),
            (REPEATED, None) => EntryKind::Repeated,
            (PARKED, None) => EntryKind::Parked,
            (HANDED_BACK, None) => EntryKind::HandedBack,
            (outcome, None) => {
                EntryKind::Ended(Completion::from_name(outcome).ok_or(InvalidEntry)?)
            }
            (_, Some(_)) => return Err(InvalidEntry),
        };
        Ok(Self {
            line: fields.line,
            key: known(fields.key.as_deref(), JobKey::from_hex)?,
            token: TokenName {
                // Any other text names no token; the key still does.
                fingerprint: fields.fingerprint.as_deref().and_then(Fingerprint::parse),
                token_sha256: fields.token_sha256.map(Cow::into_owned),
            },
            kind,
            history: History {
                attempts: fields.attempts,
                stays: fields.parked,
                first_failed_at: known(fields.first_failed_at.as_deref(), parse_rfc3339)?,
                last_error: fields.last_error,
                ambiguity: fields.ambiguity,
                paused: History::paused_for(fields.paused_ms),
                parked_at: None,
                verified: fields.proof.is_some(),
            },
            at: parse_rfc3339(&fields.at).ok_or(InvalidEntry)?,
        }
        .dated())
    }
}
