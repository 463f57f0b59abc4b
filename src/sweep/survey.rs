//! What a sweep would do: every line judged, nothing called, nothing written.

use std::{fmt, path::PathBuf, time::SystemTime};

use serde::Serialize;

use super::{
    begin::{BeginError, Settings, header, open_input},
    journal::{self, Fate, Past, Standing},
};
use crate::input::{self, Expired, Kind, Line, ReadError, Remarks};

/// Refused lines that are named one by one; the rest is counted.
const NAMED: usize = 20;

/// What would be done.
#[derive(Debug, Default, Serialize)]
pub struct Survey {
    /// The file.
    pub input: String,
    /// Lines that are not blank.
    pub lines: u64,
    /// Jobs that would be called.
    pub to_call: u64,
    /// Those of them that may have been called already.
    pub in_doubt: u64,
    /// Jobs whose token has expired: they would end without a call.
    pub expired: u64,
    /// Lines that ask for the same as a line before.
    pub repeated: u64,
    /// Lines that are no jobs.
    pub refused: u64,
    /// The first of them.
    pub refused_lines: Vec<Refused>,
    /// What is to be said of all lines besides.
    pub remarks: Remarks,
    /// Lines that ended before, by the journal.
    pub ended_before: u64,
    /// Those of them that failed, and would not be taken up again.
    pub failed_before: u64,
}

/// A line that is no job.
#[derive(Debug, Serialize)]
pub struct Refused {
    /// Its number, from 1.
    pub line: u64,
    /// Why, without any of its content.
    pub detail: String,
}

/// Why there is no survey.
#[derive(Debug, thiserror::Error)]
pub enum SurveyError {
    /// The sweep could not begin either.
    #[error(transparent)]
    Begin(#[from] BeginError),
    /// The input is not whole.
    #[error("the input")]
    Read(#[from] ReadError),
}

/// Reads all of input and journal, and blocks for as long as that takes.
///
/// # Errors
///
/// [`SurveyError`].
pub fn survey(settings: &Settings) -> Result<Survey, SurveyError> {
    let lines = open_input(settings)?;
    let (header, _) = header(settings)?;
    let has_lone_returns = || input::has_lone_returns(&settings.input);
    let sweep = journal::Sweep {
        header: &header,
        force: settings.force,
        has_lone_returns: &has_lone_returns,
    };
    let inspect = |journal: &PathBuf| {
        journal::inspect(journal, &sweep).map_err(|source| BeginError::journal(journal, source))
    };
    let past = settings.journal.as_ref().map(inspect).transpose()?.flatten();
    let mut survey = Survey { input: settings.input.display().to_string(), ..Survey::default() };
    let now = SystemTime::now();
    for line in lines {
        survey.add(line?, past.as_ref(), settings.retry_failed, now);
    }
    Ok(survey)
}

impl Survey {
    /// What to say of the expired jobs, among all that would be taken up.
    #[must_use]
    pub fn expiry(&self) -> Option<Expired> {
        Expired::of(self.expired, self.expired + self.to_call)
    }

    fn add(&mut self, line: Line, past: Option<&Past>, retry_failed: bool, now: SystemTime) {
        self.lines += 1;
        let number = line.number;
        let standing = past.map_or(Standing::Fresh, |past| past.standing(number));
        let failed = matches!(standing, Standing::Ended(Fate::Failed(..)));
        if matches!(standing, Standing::Ended(_)) && !(failed && retry_failed) {
            self.ended_before += 1;
            self.failed_before += u64::from(failed);
            return;
        }
        if let Some(remark) = line.remark() {
            self.remarks.add(remark);
        }
        match line.kind {
            Kind::Job(job) if past.is_some_and(|past| past.proves(&job.key)) => self.repeated += 1,
            Kind::Job(job) if job.has_expired(now) => self.expired += 1,
            Kind::Job(_) => {
                self.to_call += 1;
                self.in_doubt += u64::from(standing.is_in_doubt());
            }
            Kind::Duplicate => self.repeated += 1,
            Kind::Refused(refusal) => {
                self.refused += 1;
                if self.refused_lines.len() < NAMED {
                    self.refused_lines.push(Refused { line: number, detail: refusal.to_string() });
                }
            }
        }
    }
}

/// The survey for a person.
impl fmt::Display for Survey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: nothing was called, nothing was written", self.input)?;
        let rows = [
            ("lines", self.lines),
            ("  to be called", self.to_call),
            ("    of these perhaps called before", self.in_doubt),
            ("  expired, not to be called", self.expired),
            ("  repeated", self.repeated),
            ("  refused", self.refused),
        ];
        let by_journal = [
            ("  ended before, by the journal", self.ended_before),
            ("    of these failed", self.failed_before),
        ];
        let rows = rows.map(|(name, count)| (name.to_owned(), count)).into_iter();
        let kinds = self.remarks.refused();
        let kinds = kinds.map(|(kind, count)| (format!("    of these {kind}"), count));
        let by_journal = by_journal.map(|(name, count)| (name.to_owned(), count));
        for (name, count) in rows.chain(kinds).chain(by_journal) {
            writeln!(f, "  {name:<34} {count:>12}")?;
        }
        write!(f, "{}", self.remarks)?;
        for Refused { line, detail } in &self.refused_lines {
            writeln!(f, "line {line}: {detail}")?;
        }
        match self.refused.saturating_sub(self.refused_lines.len() as u64) {
            0 => {}
            more => writeln!(f, "and {more} more")?,
        }
        self.expiry().map_or(Ok(()), |expired| writeln!(f, "{expired}"))
    }
}
