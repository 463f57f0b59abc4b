//! A dry run of a sweep: checks every line, without calls and without writing.

#[cfg(test)]
mod tests;

use std::{fmt, path::PathBuf, time::SystemTime};

use serde::Serialize;

use super::{
    begin::{BeginError, SweepSettings, header, open_input},
    journal::{self, JournalState, LineOutcome, LineState},
};
use crate::{
    domain::{Completion, Job, Reason},
    input::{self, InputJob, InputLine, LineKind, ReadError, Remarks, named, of_expired},
    ports::{Clock, SystemClock, UnknownClient},
    report::CountRows,
};

/// The maximum number of lines of one kind that the text names.
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
    /// Jobs of a client without a secret: they would fail as `unknown_client`, without a call.
    pub unknown_client: u64,
    /// The first lines of them.
    pub unknown_client_lines: Vec<u64>,
    /// Lines that ask for the same call as an earlier line.
    pub repeated: u64,
    /// Lines that are no jobs.
    pub refused: u64,
    /// The first of them. The caller was told of each.
    #[serde(skip)]
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
    /// The kind of the refusal.
    pub kind: &'static str,
    /// Without any content of the line.
    pub detail: String,
}

/// What decides how a line would end.
struct Rules<'a, A> {
    state: Option<&'a JournalState>,
    retry_failed: bool,
    now: SystemTime,
    admit: A,
}

/// Reads input and journal completely, and blocks meanwhile. A broken input is surveyed up to the fault.
///
/// `admit` says whether a call can be made for a job, as [`Endpoint::admit`](crate::ports::Endpoint::admit) does. Each
/// refused line is passed to `tell`, because a file of the wrong kind has millions of them.
///
/// Fails if the sweep could not begin either.
pub fn survey(
    settings: &SweepSettings,
    admit: impl Fn(&Job) -> Result<(), UnknownClient>,
    mut tell: impl FnMut(&RefusedLine),
) -> Result<Survey, BeginError> {
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
    let (state, retry_failed) = (state.as_ref(), settings.retry_failed);
    let rules = Rules { state, retry_failed, now: SystemClock.now(), admit };
    for line in lines {
        match line {
            Ok(line) => {
                if let Some(refused) = survey.add(line, &rules) {
                    tell(&refused);
                    name(&mut survey.refused_lines, refused);
                }
            }
            Err(fault) => survey.fault = Some(fault),
        }
    }
    survey.finished = survey.fault.is_none();
    Ok(survey)
}

/// Keeps the first lines of a kind.
fn name<T>(named: &mut Vec<T>, line: T) {
    if named.len() < NAMED {
        named.push(line);
    }
}

impl Survey {
    /// Returns the sentence on expired jobs among all jobs, with those that ended before.
    pub fn expiry(&self) -> Option<String> {
        let expired = self.expired + self.expired_before;
        let jobs = self.expired + self.unknown_client + self.to_call + self.jobs_before;
        of_expired(expired, jobs)
    }

    /// Whether lines would fail without a call.
    pub const fn foresees_failures(&self) -> bool {
        self.refused + self.unknown_client > 0
    }

    /// Counts a line. Returns it if it is refused.
    fn add(
        &mut self,
        mut line: InputLine,
        rules: &Rules<'_, impl Fn(&Job) -> Result<(), UnknownClient>>,
    ) -> Option<RefusedLine> {
        self.lines += 1;
        let number = line.number;
        let Rules { state, retry_failed, now, admit } = rules;
        if let Some(outcome) = state.and_then(|state| state.ended(number, *retry_failed)) {
            self.ended_before(outcome);
            return None;
        }
        let known = |job: &Job| state.is_some_and(|state| state.known_end(&job.key()).is_some());
        let admitted = match &line.kind {
            LineKind::Job(InputJob { job, .. }) if !known(job) => admit(job),
            _ => Ok(()),
        };
        if let Err(UnknownClient::Invalid(fault)) = admitted {
            line.kind = LineKind::Refused(fault.into());
        }
        if let Some(remark) = line.remark() {
            self.remarks.add(remark);
        }
        match line.kind {
            LineKind::Job(InputJob { job, .. }) if known(&job) => self.repeated += 1,
            // The pipeline asks for the client first.
            LineKind::Job(_) if admitted.is_err() => {
                self.unknown_client += 1;
                name(&mut self.unknown_client_lines, number);
            }
            LineKind::Job(InputJob { job, .. }) if job.expired(|| *now) => self.expired += 1,
            LineKind::Job(_) => {
                self.to_call += 1;
                let line_state = state.map_or(LineState::Fresh, |state| state.line_state(number));
                self.in_doubt += u64::from(line_state.is_in_doubt());
            }
            LineKind::Duplicate(_) => self.repeated += 1,
            LineKind::Refused(refusal) => {
                self.refused += 1;
                let (kind, detail) = (refusal.label(), refusal.to_string());
                return Some(RefusedLine { line: number, kind, detail });
            }
        }
        None
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
            LineOutcome::Verified => self.jobs_before += 1,
            LineOutcome::Repeated => {}
        }
    }
}

/// Writes the text for a person.
impl fmt::Display for Survey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: nothing was called, nothing was written", self.input)?;
        let mut rows = CountRows::new(36);
        rows.add(2, "lines", self.lines);
        rows.add(4, "to be called", self.to_call);
        rows.add(6, "of these perhaps called before", self.in_doubt);
        rows.add(4, "expired, not to be called", self.expired);
        rows.add(4, "unknown client, not to be called", self.unknown_client);
        rows.add(4, "repeated", self.repeated);
        rows.add(4, "refused", self.refused);
        for (kind, count) in self.remarks.refused() {
            rows.add(6, format_args!("of these {kind}"), count);
        }
        rows.add(4, "ended before, by the journal", self.ended_before);
        rows.add(6, "of these failed", self.failed_before);
        rows.add(6, "of these expired", self.expired_before);
        write!(f, "{rows}{}", self.remarks)?;
        if self.unknown_client > 0 {
            let lines = named(&self.unknown_client_lines, self.unknown_client);
            writeln!(f, "lines of a client without a secret, which would fail: line {lines}")?;
        }
        for RefusedLine { line, detail, .. } in &self.refused_lines {
            writeln!(f, "line {line}: {detail}")?;
        }
        match self.refused.saturating_sub(self.refused_lines.len() as u64) {
            0 => {}
            more => writeln!(f, "and {more} more, which --json lists too")?,
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
