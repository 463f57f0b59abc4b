//! The report of a sweep: all lines from the journal, the calls of this run.

use std::{
    collections::BTreeMap,
    fmt,
    path::Path,
    time::{Duration, SystemTime},
};

use serde::{Serialize, Serializer};

use super::{
    calls::Calls,
    close::ReadBack,
    counters::{LineCounts, SweepCounts, count_lines},
    journal::InputId,
};
use crate::{
    domain::{Completion, Proof, Reason, ResultLabel, rfc3339},
    input::{Remarks, STDIN, of_expired},
    report::{CountRows, Origin, ProofCounts, Remaining, Timeline, remaining},
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
    /// The SHA-256 of the journal that the report was made from.
    pub journal_sha256: String,
    /// `None` if no line failed, or the list could not be written.
    pub failed_lines: Option<String>,
    /// The URL of the endpoint.
    pub endpoint: String,
    /// The endpoint's profile.
    pub profile: String,
    /// Whether every line has ended.
    pub finished: bool,
    /// When the first line ended, in any run.
    #[serde(serialize_with = "time")]
    pub first_ended_at: Option<SystemTime>,
    /// When the last line ended so far.
    #[serde(serialize_with = "time")]
    pub last_ended_at: Option<SystemTime>,
    /// When every line had ended; `None` if the sweep is not finished.
    #[serde(serialize_with = "time")]
    pub finished_at: Option<SystemTime>,
    /// The lines that have ended, in all runs.
    pub lines: LineCounts,
    /// The lines by what proves that their tokens are dead, without repeated ones.
    pub proof: ProofCounts,
    /// The lines whose tokens are not proved dead, by cause.
    pub not_proved: Vec<Remaining>,
    /// Lines that were started and have not ended.
    pub open: u64,
    /// The share of the input that was read, from 0 to 1; `None` if its size is unknown.
    pub read: Option<f64>,
    /// The hint for resuming; `None` if the sweep is finished.
    pub goes_on: Option<ResumeHint>,
    pub this_run: RunReport,
    /// When the lines ended, in all runs.
    pub timeline: Timeline,
    #[serde(flatten)]
    pub origin: Origin,
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
    #[serde(serialize_with = "time")]
    pub started_at: Option<SystemTime>,
    #[serde(serialize_with = "time")]
    pub ended_at: Option<SystemTime>,
    /// Lines that ended in this run.
    pub lines: LineCounts,
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
    /// Returns the report of a run that ended at `ended`, and took so long.
    pub fn of(ended: SystemTime, took: Duration, calls: &Calls, counts: SweepCounts) -> Self {
        let results =
            ResultLabel::ALL.into_iter().map(|result| (result, calls.with_result(result)));
        Self {
            started_at: ended.checked_sub(took),
            ended_at: Some(ended),
            lines: counts.lines_now,
            took,
            calls: calls.all(),
            retries: counts.retries,
            remarks: counts.remarks,
            results: results.filter(|(_, count)| *count > 0).collect(),
            latency: calls.percentiles(),
        }
    }
}

fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

#[allow(clippy::ref_option, reason = "serde calls it so")]
fn time<S: Serializer>(time: &Option<SystemTime>, serializer: S) -> Result<S::Ok, S::Error> {
    match time.and_then(rfc3339) {
        Some(text) => serializer.serialize_some(&text),
        None => serializer.serialize_none(),
    }
}

/// Writes the text for a person.
impl fmt::Display for SweepReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", heading(&self.input, self.finished))?;
        write!(f, "{}", self.rows())?;
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

impl SweepReport {
    fn rows(&self) -> CountRows {
        let mut rows = CountRows::new(34);
        for ending in Completion::ALL {
            rows.add(2, ending, self.lines.ended(ending));
        }
        rows.add(2, "repeated", self.lines.repeated());
        rows.add(2, "failed", self.lines.failed());
        for reason in Reason::ALL {
            match self.lines.failed_for(reason) {
                0 => {}
                count => rows.add(4, format_args!("of these {reason}"), count),
            }
        }
        if !self.finished {
            rows.add(2, "taken up, not ended", self.open);
        }
        rows.add(2, "proved dead", self.lines.proved());
        for proof in Proof::ALL.into_iter().filter(|proof| proof.is_of_the_endpoint()) {
            match self.lines.proved_by(proof) {
                0 => {}
                count => rows.add(4, format_args!("of these {proof}"), count),
            }
        }
        rows.add(2, "not proved", self.lines.jobs() - self.lines.proved());
        let RunReport { calls, retries, results, .. } = &self.this_run;
        rows.add(2, "calls in this run", *calls);
        rows.add(4, "of these retries", *retries);
        for (result, count) in results {
            rows.add(4, format_args!("of these {result}"), *count);
        }
        rows
    }
}

/// Writes the lines below the rows.
impl fmt::Display for RunReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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

/// Rounds down to 0.1 ms below a second, otherwise to 1 ms.
pub(super) fn shown(duration: Duration) -> humantime::FormattedDuration {
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
    pub read_back: &'a ReadBack,
    /// The endpoint's profile.
    pub profile: &'a str,
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

    pub fn new(sources: &ReportSources<'_>, this_run: RunReport, origin: Origin) -> Self {
        let ReadBack { state, sha256 } = sources.read_back;
        let lines = count_lines(state.outcomes());
        let (first_ended_at, last_ended_at) = state.timeline().span().unzip();
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
            journal_sha256: sha256.clone(),
            failed_lines,
            endpoint: state.header().endpoint.clone(),
            profile: sources.profile.to_owned(),
            finished: sources.finished,
            first_ended_at,
            last_ended_at,
            finished_at: state.finished().filter(|_| sources.finished),
            proof: ProofCounts::of(&lines),
            not_proved: remaining(&lines),
            lines,
            open: state.open(),
            read: sources.read,
            this_run,
            timeline: state.timeline().clone(),
            origin,
        }
    }
}
