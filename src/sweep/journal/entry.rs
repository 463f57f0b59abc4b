//! What became of a line, as the journal tells it.

use std::{borrow::Cow, time::SystemTime};

use serde::{Deserialize, Serialize};

use super::record::time_text;
use crate::domain::{
    Ambiguity, Completion, History, JobKey, Outcome, Reason, ResultLabel, parse_rfc3339,
};

/// What became of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number, from 1.
    pub line: u64,
    /// The job's key; `None` for a line that is no job.
    pub key: Option<JobKey>,
    /// What became of it.
    pub what: What,
    /// What happened to the job before.
    pub history: History,
    /// When, to the millisecond.
    pub at: SystemTime,
}

/// What became of a line. The first three end it, the last two put it off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// Its job ended well.
    Ended(Completion),
    /// A line before asks for the same job: what became of that one is true of this one.
    Repeated,
    /// It failed: what would be a dead letter.
    Failed(Failed),
    /// It waits for a while.
    Parked,
    /// It goes back as it came.
    HandedBack,
}

/// What is told of a failure besides the job itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// Why.
    pub reason: Reason,
    /// One sentence for a person, without any secret of the job.
    pub detail: String,
    /// The endpoint's code, if it gave one.
    pub code: Option<String>,
    /// The HTTP status of the last answer, if there was one.
    pub http_status: Option<u16>,
    /// How the token is shown; `None` for a line that is no job.
    pub fingerprint: Option<String>,
}

impl Entry {
    /// The entry of a job whose delivery was settled so.
    #[must_use]
    pub fn of(
        line: u64,
        key: JobKey,
        outcome: &Outcome,
        history: &History,
        at: SystemTime,
    ) -> Self {
        let what = match outcome {
            Outcome::Done(completion) => What::Ended(*completion),
            Outcome::DeadLettered(letter) => What::Failed(Failed {
                reason: letter.reason,
                detail: letter.detail.clone(),
                code: letter.code.clone(),
                http_status: letter.http_status,
                fingerprint: letter.fingerprint.map(|shown| shown.to_string()),
            }),
            Outcome::Parked(_) => What::Parked,
            Outcome::Requeued => What::HandedBack,
        };
        Self { line, key: Some(key), what, history: *history, at }.dated()
    }

    /// The entry of a line that is no job.
    #[must_use]
    pub fn refused(line: u64, detail: String, at: SystemTime) -> Self {
        let reason = Reason::InvalidJob;
        let failed = Failed { reason, detail, code: None, http_status: None, fingerprint: None };
        Self { line, key: None, what: What::Failed(failed), history: History::default(), at }
    }

    /// The entry of a job that was to be called again, and was not.
    #[must_use]
    pub fn put_back(line: u64, key: JobKey, history: History, at: SystemTime) -> Self {
        Self { line, key: Some(key), what: What::HandedBack, history, at }.dated()
    }

    /// What puts a line off says when: pauses are counted from then on.
    fn dated(mut self) -> Self {
        let put_off = matches!(self.what, What::Parked | What::HandedBack);
        self.history.parked_at = put_off.then_some(self.at);
        self
    }

    /// The entry of a line whose job another line asks for, or an earlier sweep has done.
    #[must_use]
    pub fn without_a_call(line: u64, key: Option<JobKey>, what: What, at: SystemTime) -> Self {
        Self { line, key, what, history: History::default(), at }
    }
}

/// The names of [`What`] that are not those of a [`Completion`].
const REPEATED: &str = "repeated";
const FAILED: &str = "failed";
const PARKED: &str = "parked";
const HANDED_BACK: &str = "handed_back";

/// An entry as it is written, flat; what there is nothing to say of is left out.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EntryFields<'a> {
    line: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    outcome: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    http_status: Option<u16>,
    attempts: u32,
    #[serde(default, skip_serializing_if = "is_zero")]
    parked: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    first_failed_at: Option<String>,
    #[serde(default, skip_serializing_if = "is_none")]
    paused_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_error: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ambiguity: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fingerprint: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    detail: Option<Cow<'a, str>>,
    at: String,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
const fn is_zero(count: &u32) -> bool {
    *count == 0
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
const fn is_none(millis: &u64) -> bool {
    *millis == 0
}

impl<'a> From<&'a Entry> for EntryFields<'a> {
    fn from(entry: &'a Entry) -> Self {
        let (outcome, failed) = match &entry.what {
            What::Ended(ending) => (ending.as_str(), None),
            What::Repeated => (REPEATED, None),
            What::Failed(failed) => (FAILED, Some(failed)),
            What::Parked => (PARKED, None),
            What::HandedBack => (HANDED_BACK, None),
        };
        let History { attempts, stays, first_failed_at, last_error, ambiguity, .. } = entry.history;
        Self {
            line: entry.line,
            key: entry.key.map(JobKey::to_hex),
            outcome: outcome.into(),
            reason: failed.map(|failed| failed.reason.as_str().into()),
            code: failed.and_then(|failed| failed.code.as_deref()).map(Cow::from),
            http_status: failed.and_then(|failed| failed.http_status),
            attempts,
            parked: stays,
            first_failed_at: first_failed_at.map(time_text),
            paused_ms: entry.history.paused_millis(),
            last_error: last_error.map(|label| label.as_str().into()),
            ambiguity: ambiguity.map(|ambiguity| ambiguity.as_str().into()),
            fingerprint: failed.and_then(|failed| failed.fingerprint.as_deref()).map(Cow::from),
            detail: failed.map(|failed| failed.detail.as_str().into()),
            at: time_text(entry.at),
        }
    }
}

/// The fields of a line make no entry.
pub(super) struct NoEntry;

/// A text that must be known if it is there.
fn known<T>(
    text: Option<&str>,
    read: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<T>, NoEntry> {
    text.map(|text| read(text).ok_or(NoEntry)).transpose()
}

impl TryFrom<EntryFields<'_>> for Entry {
    type Error = NoEntry;

    fn try_from(fields: EntryFields<'_>) -> Result<Self, NoEntry> {
        let reason = known(fields.reason.as_deref(), Reason::from_name)?;
        let what = match (fields.outcome.as_ref(), reason) {
            (FAILED, Some(reason)) => What::Failed(Failed {
                reason,
                detail: fields.detail.unwrap_or_default().into_owned(),
                code: fields.code.map(Cow::into_owned),
                http_status: fields.http_status,
                fingerprint: fields.fingerprint.map(Cow::into_owned),
            }),
            (REPEATED, None) => What::Repeated,
            (PARKED, None) => What::Parked,
            (HANDED_BACK, None) => What::HandedBack,
            (outcome, None) => What::Ended(Completion::from_name(outcome).ok_or(NoEntry)?),
            (_, Some(_)) => return Err(NoEntry),
        };
        Ok(Self {
            line: fields.line,
            key: known(fields.key.as_deref(), JobKey::from_hex)?,
            what,
            history: History {
                attempts: fields.attempts,
                stays: fields.parked,
                first_failed_at: known(fields.first_failed_at.as_deref(), parse_rfc3339)?,
                last_error: known(fields.last_error.as_deref(), ResultLabel::from_name)?,
                ambiguity: known(fields.ambiguity.as_deref(), Ambiguity::from_name)?,
                paused: History::paused_for(fields.paused_ms),
                parked_at: None,
            },
            at: parse_rfc3339(&fields.at).ok_or(NoEntry)?,
        }
        .dated())
    }
}
