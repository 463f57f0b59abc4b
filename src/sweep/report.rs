//! What is told at the end: of all lines by the journal, of the calls by this run.

use std::{fmt, path::Path, time::Duration};

use serde::{Serialize, Serializer, ser::SerializeMap as _};

use super::{
    begin::STDIN,
    calls::Calls,
    journal::{InputId, Past},
    tally::{Counts, Tally},
};
use crate::{
    domain::{Completion, Reason, ResultLabel},
    input::{Expired, Remarks},
};

/// The end of a sweep, or of a part of it.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The file that was swept, or `-`.
    pub input: String,
    /// What it is known again by; `None` if it cannot be.
    #[serde(flatten)]
    pub id: Option<InputId>,
    /// Where each line's ending stands.
    pub journal: String,
    /// The list of failed lines, if there is one.
    pub failed_lines: Option<String>,
    /// The URL that was called.
    pub endpoint: String,
    /// Whether every line has ended.
    pub finished: bool,
    /// All lines that have ended, of all runs.
    pub lines: Counts,
    /// Lines that were taken up and have not ended: they wait, or were broken off.
    pub open: u64,
    /// The share of the input that was read, from 0 to 1; `None` if its size is not known.
    pub read: Option<f64>,
    /// What goes on with it; `None` once it is finished.
    pub goes_on: Option<GoesOn>,
    /// This run alone.
    pub this_run: Run,
}

/// What goes on with a sweep that is not finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GoesOn {
    /// The same command.
    SameCommand,
    /// The same command with `--force`, for nobody can tell whether a pipe brings the same once more.
    SameInput,
    /// The same command with `--force`, once the input can be read: it ends at the same place until then.
    MendedInput,
}

impl fmt::Display for GoesOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SameCommand => "The same command goes on.",
            Self::SameInput => "With the same input, the same command with --force goes on.",
            Self::MendedInput => {
                "The input has to be mended first: until then, this command ends at the same place. \
                 After that, it goes on with --force."
            }
        })
    }
}

/// One run of a sweep.
#[derive(Debug, Clone, Serialize)]
pub struct Run {
    /// From the first line to the last settlement, in seconds.
    #[serde(rename = "seconds", serialize_with = "seconds")]
    pub took: Duration,
    /// Calls of the endpoint.
    pub calls: u64,
    /// Calls that were not the first one for their job.
    pub retries: u64,
    /// What is to be said of the lines that were read.
    pub remarks: Remarks,
    /// Calls by what they came to.
    pub results: Results,
    /// How long calls took; `None` without any.
    #[serde(rename = "latency_seconds")]
    pub latency: Option<Percentiles>,
}

/// Calls by what they came to; those that never happened are left out.
#[derive(Debug, Clone)]
pub struct Results(Vec<(ResultLabel, u64)>);

/// How long calls took: so many in a hundred took no longer.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Percentiles {
    /// Half of them.
    #[serde(serialize_with = "seconds")]
    pub p50: Duration,
    /// 90 of a hundred.
    #[serde(serialize_with = "seconds")]
    pub p90: Duration,
    /// 99 of a hundred.
    #[serde(serialize_with = "seconds")]
    pub p99: Duration,
    /// 999 of a thousand.
    #[serde(serialize_with = "seconds")]
    pub p999: Duration,
    /// The longest.
    #[serde(serialize_with = "seconds")]
    pub max: Duration,
}

impl Run {
    /// A run that took so long.
    #[must_use]
    pub fn of(took: Duration, calls: &Calls, tally: &Tally) -> Self {
        let results = ResultLabel::ALL.into_iter().map(|result| (result, calls.came_to(result)));
        let latencies = calls.latencies();
        let percentiles = || {
            Some(Percentiles {
                p50: latencies.per_mille(500)?,
                p90: latencies.per_mille(900)?,
                p99: latencies.per_mille(990)?,
                p999: latencies.per_mille(999)?,
                max: latencies.longest(),
            })
        };
        Self {
            took,
            calls: calls.all(),
            retries: tally.retries(),
            remarks: tally.remarks(),
            results: Results(results.filter(|(_, count)| *count > 0).collect()),
            latency: percentiles(),
        }
    }
}

impl Serialize for Counts {
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

impl Serialize for Results {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(result, count)| (result.as_str(), count)))
    }
}

fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

/// The report for a person.
impl fmt::Display for Report {
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

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        row(f, 2, "calls in this run", self.calls)?;
        row(f, 4, "of these retries", self.retries)?;
        for (result, count) in &self.results.0 {
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

/// To a tenth of a millisecond below a second, else to the millisecond.
fn shown(duration: Duration) -> humantime::FormattedDuration {
    let step = if duration < Duration::from_secs(1) { 100_000 } else { 1_000_000 };
    let nanos = duration.subsec_nanos() / step * step;
    humantime::format_duration(Duration::new(duration.as_secs(), nanos))
}

/// A path as text: JSON has no other.
fn shown_path(path: &Path) -> String {
    path.display().to_string()
}

/// Where the parts of a report come from.
#[derive(Debug)]
pub struct Sources<'a> {
    /// The file that was swept.
    pub input: &'a Path,
    /// Its journal.
    pub journal: &'a Path,
    /// The list of failed lines; `None` if it could not be written.
    pub failed_lines: Option<&'a Path>,
    /// What the journal says, read back.
    pub past: &'a Past,
    /// The share of the input that was read.
    pub read: Option<f64>,
    /// Whether every line has ended.
    pub finished: bool,
    /// Whether the input cannot be read to its end as it is.
    pub input_is_broken: bool,
}

impl Report {
    /// What to say of the expired jobs, among all that have ended. What is repeated or no job is none.
    #[must_use]
    pub fn expiry(&self) -> Option<Expired> {
        let lines = &self.lines;
        let no_jobs = lines.repeated() + lines.failed_for(Reason::InvalidJob);
        Expired::of(lines.ended(Completion::Expired), lines.all().saturating_sub(no_jobs))
    }

    /// The report of a run.
    #[must_use]
    pub fn new(sources: &Sources<'_>, this_run: Run) -> Self {
        let past = sources.past;
        let lines = Counts::of(past.fates());
        let failed_lines = sources.failed_lines.filter(|_| lines.failed() > 0).map(shown_path);
        let id = past.header().input.clone();
        let goes_on = match (sources.input_is_broken, &id) {
            (true, _) => GoesOn::MendedInput,
            (false, None) => GoesOn::SameInput,
            (false, Some(_)) => GoesOn::SameCommand,
        };
        Self {
            input: shown_path(sources.input),
            id,
            goes_on: (!sources.finished).then_some(goes_on),
            journal: shown_path(sources.journal),
            failed_lines,
            endpoint: past.header().endpoint.clone(),
            finished: sources.finished,
            lines,
            open: past.open(),
            read: sources.read,
            this_run,
        }
    }
}
