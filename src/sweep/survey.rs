//! A dry run of a sweep: checks every line, without calls and without writing.

use std::{fmt, path::PathBuf, time::SystemTime};

use serde::Serialize;

use super::{
    begin::{BeginError, SweepSettings, header, open_input},
    journal::{self, JournalState, LineOutcome, LineState},
};
use crate::{
    domain::{Completion, Reason},
    input::{self, InputJob, InputLine, LineKind, ReadError, Remarks, of_expired},
    ports::{Clock, SystemClock},
};

/// The maximum number of refused lines that are listed.
const NAMED: usize = 20;

#[derive(Debug, Default, Serialize)]
pub struct Survey {
    pub input: String,
    /// Without blank lines.
    pub lines: u64,
    pub to_call: u64,
    /// Jobs among them that may have been called already.
    pub in_doubt: u64,
    /// Jobs whose token has expired: they would end without a call.
    pub expired: u64,
    /// Lines that ask for the same call as an earlier line.
    pub repeated: u64,
    /// Lines that are no jobs.
    pub refused: u64,
    /// The first of them.
    pub refused_lines: Vec<RefusedLine>,
    pub remarks: Remarks,
    /// Lines that have ended, by the journal.
    pub ended_before: u64,
    /// Lines among them that failed and would not be retried.
    pub failed_before: u64,
    /// Lines among them that expired, and were not called.
    pub expired_before: u64,
    /// Lines among them that are jobs, without repeated ones.
    #[serde(skip)]
    jobs_before: u64,
    /// Whether the input was read to its end.
    pub finished: bool,
    /// The lines after this place are not counted.
    #[serde(skip)]
    pub fault: Option<ReadError>,
}

#[derive(Debug, Serialize)]
pub struct RefusedLine {
    /// The line number, from 1.
    pub line: u64,
    /// Without any content of the line.
    pub detail: String,
}

/// Reads input and journal completely, and blocks meanwhile. A broken input is surveyed up to the fault.
///
/// Fails if the sweep could not begin either.
pub fn survey(settings: &SweepSettings) -> Result<Survey, BeginError> {
    let lines = open_input(settings)?;
    let (header, _) = header(settings)?;
    let has_lone_returns = || input::has_lone_returns(&settings.input);
    let sweep = journal::ResumeCheck {
        header: &header,
        force: settings.force,
        has_lone_returns: &has_lone_returns,
    };
    let inspect = |journal: &PathBuf| {
        journal::inspect(journal, &sweep).map_err(|source| BeginError::journal(journal, source))
    };
    let state = settings.journal.as_ref().map(inspect).transpose()?.flatten();
    let mut survey = Survey { input: settings.input.display().to_string(), ..Survey::default() };
    let now = SystemClock.now();
    for line in lines {
        match line {
            Ok(line) => survey.add(line, state.as_ref(), settings.retry_failed, now),
            Err(fault) => survey.fault = Some(fault),
        }
    }
    survey.finished = survey.fault.is_none();
    Ok(survey)
}

impl Survey {
    /// Returns the sentence on expired jobs among all jobs, with those that ended before.
    pub fn expiry(&self) -> Option<String> {
        let expired = self.expired + self.expired_before;
        of_expired(expired, self.expired + self.to_call + self.jobs_before)
    }

    fn add(
        &mut self,
        line: InputLine,
        state: Option<&JournalState>,
        retry_failed: bool,
        now: SystemTime,
    ) {
        self.lines += 1;
        let number = line.number;
        let line_state = state.map_or(LineState::Fresh, |state| state.line_state(number));
        if let Some(outcome) = state.and_then(|state| state.ended(number, retry_failed)) {
            self.ended_before(outcome);
            return;
        }
        if let Some(remark) = line.remark() {
            self.remarks.add(remark);
        }
        match line.kind {
            LineKind::Job(InputJob { job, .. })
                if state.is_some_and(|state| state.proves(&job.key())) =>
            {
                self.repeated += 1;
            }
            LineKind::Job(InputJob { job, .. }) if job.expired(|| now) => self.expired += 1,
            LineKind::Job(_) => {
                self.to_call += 1;
                self.in_doubt += u64::from(line_state.is_in_doubt());
            }
            LineKind::Duplicate => self.repeated += 1,
            LineKind::Refused(refusal) => {
                self.refused += 1;
                if self.refused_lines.len() < NAMED {
                    self.refused_lines
                        .push(RefusedLine { line: number, detail: refusal.to_string() });
                }
            }
        }
    }
}

impl Survey {
    fn ended_before(&mut self, outcome: LineOutcome) {
        self.ended_before += 1;
        match outcome {
            LineOutcome::Failed(reason, _) => {
                self.failed_before += 1;
                self.jobs_before += u64::from(reason != Reason::InvalidJob);
            }
            LineOutcome::Ended(ending) => {
                self.expired_before += u64::from(ending == Completion::Expired);
                self.jobs_before += 1;
            }
            LineOutcome::Repeated => {}
        }
    }
}

/// Writes the text for a person.
impl fmt::Display for Survey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: nothing was called, nothing was written", self.input)?;
        let mut row = |name: &str, count: u64| writeln!(f, "  {name:<34} {count:>12}");
        row("lines", self.lines)?;
        row("  to be called", self.to_call)?;
        row("    of these perhaps called before", self.in_doubt)?;
        row("  expired, not to be called", self.expired)?;
        row("  repeated", self.repeated)?;
        row("  refused", self.refused)?;
        for (kind, count) in self.remarks.refused() {
            row(&format!("    of these {kind}"), count)?;
        }
        row("  ended before, by the journal", self.ended_before)?;
        row("    of these failed", self.failed_before)?;
        row("    of these expired", self.expired_before)?;
        write!(f, "{}", self.remarks)?;
        for RefusedLine { line, detail } in &self.refused_lines {
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
