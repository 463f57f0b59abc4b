//! The report of a sweep: all lines from the journal, the calls of this run.

use std::{collections::BTreeMap, fmt, path::Path, time::Duration};

use serde::{Serialize, Serializer, ser::SerializeMap as _};

use super::{
    calls::Calls,
    counters::{LineCounts, SweepCounts},
    journal::{InputId, JournalState},
};
use crate::{
    domain::{Completion, Reason, ResultLabel},
    input::{Remarks, STDIN, of_expired},
};

/// The report of a finished or interrupted sweep.
#[derive(Debug, Clone, Serialize)]
pub struct SweepReport {
    /// The file, or `-`.
    pub input: String,
    /// `None` if the input cannot be recognised.
    #[serde(flatten)]
    pub id: Option<InputId>,
    pub journal: String,
    /// `None` if no line failed, or the list could not be written.
    pub failed_lines: Option<String>,
    /// The URL of the endpoint.
    pub endpoint: String,
    /// Whether every line has ended.
    pub finished: bool,
    /// The lines that have ended, in all runs.
    pub lines: LineCounts,
    /// Lines that were started and have not ended.
    pub open: u64,
    /// The share of the input that was read, from 0 to 1; `None` if its size is unknown.
    pub read: Option<f64>,
    /// The hint for resuming; `None` if the sweep is finished.
    pub goes_on: Option<ResumeHint>,
    pub this_run: RunReport,
}

/// The hint for resuming a sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ResumeHint {
    SameCommand,
    /// With `--force`, because the content of a pipe may differ.
    SameInput,
    /// With `--force`, once the input can be read: another run would end at the same line.
    MendedInput,
}

impl fmt::Display for ResumeHint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SameCommand => "The same command continues.",
            Self::SameInput => "With the same input, the same command with --force continues.",
            Self::MendedInput => {
                "The input must be repaired first: until then, this command ends at the same \
                 place. After that, it continues with --force."
            }
        })
    }
}

#[derive(Debug, Clone, Serialize)]
pub struct RunReport {
    /// From the first line to the last settlement, in seconds.
    #[serde(rename = "seconds", serialize_with = "seconds")]
    pub took: Duration,
    pub calls: u64,
    /// Calls that were not the first of their job.
    pub retries: u64,
    pub remarks: Remarks,
    /// The number of calls by result, without zeros.
    pub results: BTreeMap<ResultLabel, u64>,
    /// `None` without calls.
    #[serde(rename = "latency_seconds")]
    pub latency: Option<Percentiles>,
}

/// Percentiles of the durations of calls.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Percentiles {
    #[serde(serialize_with = "seconds")]
    pub p50: Duration,
    #[serde(serialize_with = "seconds")]
    pub p90: Duration,
    #[serde(serialize_with = "seconds")]
    pub p99: Duration,
    #[serde(serialize_with = "seconds")]
    pub p999: Duration,
    #[serde(serialize_with = "seconds")]
    pub max: Duration,
}

impl RunReport {
    pub fn of(took: Duration, calls: &Calls, counts: SweepCounts) -> Self {
        let results =
            ResultLabel::ALL.into_iter().map(|result| (result, calls.with_result(result)));
        Self {
            took,
            calls: calls.all(),
            retries: counts.retries,
            remarks: counts.remarks,
            results: results.filter(|(_, count)| *count > 0).collect(),
            latency: calls.percentiles(),
        }
    }
}

impl Serialize for LineCounts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for ending in Completion::ALL {
            map.serialize_entry(ending.as_str(), &self.ended(ending))?;
        }
        map.serialize_entry("repeated", &self.repeated())?;
        map.serialize_entry("failed", &self.failed())?;
        for reason in Reason::ALL {
            map.serialize_entry(reason.as_str(), &self.failed_for(reason))?;
        }
        map.end()
    }
}

fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

/// Writes the text for a person.
impl fmt::Display for SweepReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", heading(&self.input, self.finished))?;
        for ending in Completion::ALL {
            row(f, 2, ending.as_str(), self.lines.ended(ending))?;
        }
        row(f, 2, "repeated", self.lines.repeated())?;
        row(f, 2, "failed", self.lines.failed())?;
        for reason in Reason::ALL {
            match self.lines.failed_for(reason) {
                0 => {}
                count => row(f, 4, &format!("of these {reason}"), count)?,
            }
        }
        if !self.finished {
            row(f, 2, "taken up, not ended", self.open)?;
        }
        write!(f, "{}", self.this_run)?;
        write!(f, "{}", self.this_run.remarks)?;
        if let Some(goes_on) = self.goes_on {
            if let Some(read) = self.read {
                write!(f, "{:.1} % of the file was read. ", read * 100.0)?;
            }
            writeln!(f, "{goes_on}")?;
        }
        write!(f, "The journal is {}", self.journal)?;
        match &self.failed_lines {
            None => writeln!(f, ".")?,
            Some(list) => writeln!(f, "; {list} lists the failed lines.")?,
        }
        self.expiry().map_or(Ok(()), |expired| writeln!(f, "{expired}"))
    }
}

impl fmt::Display for RunReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        row(f, 2, "calls in this run", self.calls)?;
        row(f, 4, "of these retries", self.retries)?;
        for (result, count) in &self.results {
            row(f, 4, &format!("of these {result}"), *count)?;
        }
        #[allow(clippy::cast_precision_loss, reason = "a rate for people")]
        let rate = self.calls as f64 / self.took.as_secs_f64().max(f64::MIN_POSITIVE);
        writeln!(f, "  in {}, {rate:.0} calls per second", shown(self.took))?;
        let Some(Percentiles { p50, p90, p99, p999, max }) = self.latency else { return Ok(()) };
        let [p50, p90, p99, p999, max] = [p50, p90, p99, p999, max].map(shown);
        writeln!(f, "  a call took: p50 {p50}, p90 {p90}, p99 {p99}, p99.9 {p999}, longest {max}")
    }
}

fn heading(input: &str, finished: bool) -> String {
    let input = if input == STDIN { "standard input" } else { input };
    format!("{input}: {}", if finished { "every line has ended" } else { "not finished" })
}

fn row(f: &mut fmt::Formatter<'_>, indent: usize, name: &str, count: u64) -> fmt::Result {
    writeln!(f, "{:indent$}{name:<width$} {count:>12}", "", width = 34 - indent)
}

/// Rounds down to 0.1 ms below a second, otherwise to 1 ms.
fn shown(duration: Duration) -> humantime::FormattedDuration {
    let step = if duration < Duration::from_secs(1) { 100_000 } else { 1_000_000 };
    let nanos = duration.subsec_nanos() / step * step;
    humantime::format_duration(Duration::new(duration.as_secs(), nanos))
}

fn shown_path(path: &Path) -> String {
    path.display().to_string()
}

#[derive(Debug)]
pub struct ReportSources<'a> {
    pub input: &'a Path,
    pub journal: &'a Path,
    /// `None` if the list could not be written.
    pub failed_lines: Option<&'a Path>,
    /// The journal's state, as read back.
    pub state: &'a JournalState,
    /// The share of the input that was read.
    pub read: Option<f64>,
    /// Whether every line has ended.
    pub finished: bool,
    /// Whether the input cannot be read to its end.
    pub input_is_broken: bool,
}

impl SweepReport {
    /// Returns the sentence on expired jobs among all jobs that have ended.
    pub fn expiry(&self) -> Option<String> {
        let lines = &self.lines;
        let no_jobs = lines.repeated() + lines.failed_for(Reason::InvalidJob);
        of_expired(lines.ended(Completion::Expired), lines.all().saturating_sub(no_jobs))
    }

    pub fn new(sources: &ReportSources<'_>, this_run: RunReport) -> Self {
        let state = sources.state;
        let lines = LineCounts::of(state.outcomes());
        let failed_lines = sources.failed_lines.filter(|_| lines.failed() > 0).map(shown_path);
        let id = state.header().input.clone();
        let goes_on = match (sources.input_is_broken, &id) {
            (true, _) => ResumeHint::MendedInput,
            (false, None) => ResumeHint::SameInput,
            (false, Some(_)) => ResumeHint::SameCommand,
        };
        Self {
            input: shown_path(sources.input),
            id,
            goes_on: (!sources.finished).then_some(goes_on),
            journal: shown_path(sources.journal),
            failed_lines,
            endpoint: state.header().endpoint.clone(),
            finished: sources.finished,
            lines,
            open: state.open(),
            read: sources.read,
            this_run,
        }
    }
}
