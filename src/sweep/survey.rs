//! What a sweep would do: every line judged, nothing called, nothing written.

use std::{fmt, path::PathBuf, time::SystemTime};

use serde::Serialize;

use super::{
    begin::{BeginError, Settings, header, open_input},
    journal::{self, Fate, Past, Standing},
};
use crate::{
    domain::{Completion, Reason},
    input::{self, Expired, Kind, Line, ReadError, Remarks},
    ports::{Clock, SystemClock},
};

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
    /// Those of them whose token had expired, so that it was not called.
    pub expired_before: u64,
    /// Those of them that are jobs, each another one.
    #[serde(skip)]
    jobs_before: u64,
    /// Whether the input was read to its end.
    pub finished: bool,
    /// Why not: what stands behind that place is not counted.
    #[serde(skip)]
    pub fault: Option<ReadError>,
}

/// A line that is no job.
#[derive(Debug, Serialize)]
pub struct Refused {
    /// Its number, from 1.
    pub line: u64,
    /// Why, without any of its content.
    pub detail: String,
}

/// Reads all of input and journal, and blocks for as long as that takes. Of an input that breaks off, it
/// tells what stands before that place.
///
/// # Errors
///
/// [`BeginError`]: the sweep could not begin either.
pub fn survey(settings: &Settings) -> Result<Survey, BeginError> {
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
    let now = SystemClock.now();
    for line in lines {
        match line {
            Ok(line) => survey.add(line, past.as_ref(), settings.retry_failed, now),
            Err(fault) => survey.fault = Some(fault),
        }
    }
    survey.finished = survey.fault.is_none();
    Ok(survey)
}

impl Survey {
    /// What to say of the expired jobs, those that ended before included, among all jobs.
    #[must_use]
    pub fn expiry(&self) -> Option<Expired> {
        let expired = self.expired + self.expired_before;
        Expired::of(expired, self.expired + self.to_call + self.jobs_before)
    }

    fn add(&mut self, line: Line, past: Option<&Past>, retry_failed: bool, now: SystemTime) {
        self.lines += 1;
        let number = line.number;
        let standing = past.map_or(Standing::Fresh, |past| past.standing(number));
        if let Some(fate) = past.and_then(|past| past.ended(number, retry_failed)) {
            self.ended_before(fate);
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

impl Survey {
    fn ended_before(&mut self, fate: Fate) {
        self.ended_before += 1;
        match fate {
            Fate::Failed(reason, _) => {
                self.failed_before += 1;
                self.jobs_before += u64::from(reason != Reason::InvalidJob);
            }
            Fate::Ended(ending) => {
                self.expired_before += u64::from(ending == Completion::Expired);
                self.jobs_before += 1;
            }
            Fate::Repeated => {}
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
            ("    of these expired", self.expired_before),
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
        if let Some(expired) = self.expiry() {
            writeln!(f, "{expired}")?;
        }
        match &self.fault {
            None => Ok(()),
            Some(ReadError { line, .. }) => {
                writeln!(
                    f,
                    "the file cannot be read from line {line} on: these counts end before it"
                )
            }
        }
    }
}
