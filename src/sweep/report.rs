//! What is told at the end: of all lines by the journal, of the calls by this run.

use std::{
    fmt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use serde::{Serialize, Serializer, ser::SerializeMap as _};

use super::{
    calls::Calls,
    journal::{InputId, Past},
    tally::{Counts, Tally},
};
use crate::domain::{Ending, Reason, ResultLabel};

/// The end of a sweep, or of a part of it.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The file that was swept, or `-`.
    pub input: PathBuf,
    /// What it is known again by; `None` if it cannot be.
    #[serde(flatten)]
    pub id: Option<InputId>,
    /// Where each line's ending stands.
    pub journal: PathBuf,
    /// The list of failed lines, if there is one.
    pub failed_lines: Option<PathBuf>,
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
    /// This run alone.
    pub this_run: Run,
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
            results: Results(results.filter(|(_, count)| *count > 0).collect()),
            latency: percentiles(),
        }
    }
}
