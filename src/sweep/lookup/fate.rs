//! What became of a token.

use std::{fmt, time::SystemTime};

use serde::{Serialize, Serializer};

use crate::{
    domain::{JobKey, Proof, Reason, rfc3339_millis},
    sweep::journal::{EntryKind, JournalEntry},
};

/// The most lines that are named for a token.
const MOST_LINES: usize = 16;

/// How an entry was recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MatchedBy {
    /// By the whole SHA-256 of the token.
    Sha256,
    /// By the first 12 hex digits of it.
    Fingerprint,
    /// By the key of the job, because its entry names no token.
    Key,
}

/// What the journal says of one job.
pub(super) struct Fate {
    /// The entry that counts.
    entry: JournalEntry,
    by: MatchedBy,
    /// The line was opened again, and has no outcome since.
    reopened: bool,
    /// The first lines that ask for it, in order, and the number of all.
    lines: Vec<u64>,
    count: usize,
}

impl Fate {
    pub(super) fn new(entry: JournalEntry, by: MatchedBy) -> Self {
        Self { lines: vec![entry.line], count: 1, entry, by, reopened: false }
    }

    pub(super) fn is_of(&self, key: Option<JobKey>) -> bool {
        self.entry.key == key
    }

    pub(super) fn enter(&mut self, entry: &JournalEntry) {
        // A repeated line may have its entry before the line that it repeats.
        if let Err(place) = self.lines.binary_search(&entry.line) {
            self.count += 1;
            self.lines.insert(place, entry.line);
            self.lines.truncate(MOST_LINES);
        }
        // A revoked token stays dead. A later rejection or expiry of its job says no more.
        let speaks_of_another = match &entry.kind {
            EntryKind::Repeated => true,
            EntryKind::Ended(_) => self.is_proved() && self.rank().0 >= rank(entry.proof()),
            EntryKind::Failed(failed) => self.is_proved() && failed.reason != Reason::StillActive,
            EntryKind::Parked | EntryKind::HandedBack => false,
        };
        let is_of_another = self.entry.kind == EntryKind::Repeated;
        if is_of_another || !speaks_of_another {
            self.entry = entry.clone();
            self.reopened = false;
        }
    }

    pub(super) const fn reopen(&mut self, line: u64) {
        if self.entry.line == line {
            self.reopened = true;
        }
    }

    /// The more it proves, the greater.
    pub(super) fn rank(&self) -> (u8, SystemTime) {
        let is_failed = matches!(self.entry.kind, EntryKind::Failed(_));
        let rank = if is_failed { 0 } else { rank(self.proof()) };
        (rank, self.entry.at)
    }

    fn proof(&self) -> Option<Proof> {
        self.entry.proof().filter(|_| !self.reopened)
    }

    fn is_proved(&self) -> bool {
        self.proof().is_some_and(Proof::is_of_the_endpoint)
    }

    fn outcome(&self) -> &'static str {
        match &self.entry.kind {
            _ if self.reopened => "in_doubt",
            EntryKind::Ended(ending) => ending.as_str(),
            EntryKind::Repeated => "repeated",
            EntryKind::Failed(_) => "failed",
            EntryKind::Parked | EntryKind::HandedBack => "not_ended",
        }
    }
}

/// The more it proves, the greater.
const fn rank(proof: Option<Proof>) -> u8 {
    match proof {
        Some(Proof::Verified) => 6,
        Some(Proof::Said) => 5,
        Some(Proof::Earlier) => 4,
        Some(Proof::Presumed) => 3,
        Some(Proof::Producer) => 2,
        Some(Proof::Nothing) => 1,
        None => 0,
    }
}

/// The result for one line of the input. It names the token by line and fingerprint alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Looked {
    Found(Box<Found>),
    NotFound {
        line: u64,
        fingerprint: String,
        /// Lines of the journal that were refused: the token may be on one of them, and was not called then.
        refused_lines: u64,
    },
    /// The line holds no token.
    Refused {
        line: u64,
        refused: String,
    },
}

/// What became of a token. Fields without a value are left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Found {
    /// The line of the input, from 1.
    line: u64,
    fingerprint: String,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    http_status: Option<u16>,
    #[serde(serialize_with = "time")]
    at: SystemTime,
    /// `None` if it has not ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    proof: Option<Proof>,
    attempts: u32,
    matched_by: MatchedBy,
    /// The lines of the swept file.
    file_lines: Vec<u64>,
    /// How many there are, if they are more than are named.
    #[serde(skip_serializing_if = "Option::is_none")]
    file_lines_in_all: Option<usize>,
    /// Other jobs with the same token: for another client, audience or user.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    other_jobs: Vec<OtherJob>,
}

/// Another job with the same token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OtherJob {
    outcome: &'static str,
    #[serde(serialize_with = "time")]
    at: SystemTime,
    file_lines: Vec<u64>,
}

impl Found {
    pub(super) fn new(line: u64, fingerprint: String, best: &Fate, fates: &[Fate]) -> Self {
        let failed = match &best.entry.kind {
            EntryKind::Failed(failed) if !best.reopened => Some(failed),
            _ => None,
        };
        let others = fates.iter().filter(|fate| !std::ptr::eq(*fate, best)).take(MOST_LINES);
        let other = |fate: &Fate| OtherJob {
            outcome: fate.outcome(),
            at: fate.entry.at,
            file_lines: fate.lines.clone(),
        };
        Self {
            line,
            fingerprint,
            outcome: best.outcome(),
            reason: failed.map(|failed| failed.reason),
            detail: failed.map(|failed| failed.detail.clone()),
            code: failed.and_then(|failed| failed.code.clone()),
            http_status: failed.and_then(|failed| failed.http_status),
            at: best.entry.at,
            proof: best.proof(),
            attempts: best.entry.history.attempts,
            matched_by: best.by,
            file_lines: best.lines.clone(),
            file_lines_in_all: (best.count > best.lines.len()).then_some(best.count),
            other_jobs: others.map(other).collect(),
        }
    }

    /// Whether the token is proved dead.
    pub fn is_proved(&self) -> bool {
        self.proof.is_some_and(Proof::is_of_the_endpoint)
    }

    /// Whether its line has ended without a failure.
    pub const fn is_done(&self) -> bool {
        self.proof.is_some() && self.reason.is_none()
    }

    /// What it means, in a few words.
    const fn meaning(&self) -> &'static str {
        match self.proof {
            Some(Proof::Said) => "proved dead: the endpoint's answer says so",
            Some(Proof::Verified) => "proved dead: introspection says so",
            Some(Proof::Earlier) => "proved dead: it was revoked before, by the endpoint's answer",
            Some(Proof::Presumed) => "presumed dead: rejected after a lost answer",
            Some(Proof::Producer) => "expired, according to its producer",
            Some(Proof::Nothing) => "not proved dead",
            None => "not ended: a call may have been made",
        }
    }
}

/// Writes a line for a person.
impl fmt::Display for Looked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { line, refused } => write!(f, "line {line}: no token: {refused}"),
            Self::NotFound { line, fingerprint, refused_lines } => {
                write!(f, "line {line}: {fingerprint} is not in the journal")?;
                match refused_lines {
                    0 => Ok(()),
                    1 => f.write_str("; 1 line of it was refused, and the token may be on it"),
                    n => write!(
                        f,
                        "; {n} lines of it were refused, and the token may be on one of them"
                    ),
                }
            }
            Self::Found(found) => found.fmt(f),
        }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = rfc3339_millis(self.at).unwrap_or_default();
        let Self { line, fingerprint, outcome, .. } = self;
        write!(f, "line {line}: {fingerprint} {} {at}", outcome.replace('_', " "))?;
        if let Some(reason) = self.reason {
            write!(f, " ({reason})")?;
        }
        write!(f, ", {}", self.meaning())?;
        write!(f, "; {} of the file", numbered(&self.file_lines, self.file_lines_in_all))?;
        match self.matched_by {
            MatchedBy::Sha256 | MatchedBy::Fingerprint => {}
            MatchedBy::Key => write!(f, ", found by its key")?,
        }
        for OtherJob { outcome, at, file_lines } in &self.other_jobs {
            let (at, lines) = (rfc3339_millis(*at).unwrap_or_default(), numbered(file_lines, None));
            write!(
                f,
                "; the same token in another job: {} {at}, {lines}",
                outcome.replace('_', " ")
            )?;
        }
        match &self.detail {
            None => Ok(()),
            Some(detail) => write!(f, "; {detail}"),
        }
    }
}

/// `line 7`, or `lines 7, 9 and 3 more`.
fn numbered(lines: &[u64], in_all: Option<usize>) -> String {
    let noun = if lines.len() == 1 && in_all.is_none() { "line" } else { "lines" };
    let names: Vec<String> = lines.iter().map(u64::to_string).collect();
    let more = in_all.map_or(0, |all| all - lines.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{noun} {}{more}", names.join(", "))
}

fn time<S: Serializer>(at: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&rfc3339_millis(*at).unwrap_or_default())
}
