//! A period of time, with the work and the resources of the worker in it.

use revoker::mock_endpoint::{Ledger, LedgerTotals};
use std::time::Duration;
use tokio::time::Instant;

use super::{
    Fallible, broker,
    command::Taken,
    figures::{median_of, number},
    usage::{Measured, Usage},
};

/// The number of jobs that CPU time is given for.
const JOBS: f64 = 10_000.0;

const KIB_PER_MIB: f64 = 1024.0;

/// The heads of [`Window::cells`].
pub const HEADS: [&str; 3] = ["jobs/s", "CPU s per 10,000 jobs", "peak RSS, MiB"];

/// The heads of [`Window::cells_with_broker`].
pub const HEADS_WITH_BROKER: [&str; 4] =
    ["jobs/s", "CPU s per 10,000 jobs", "broker's CPU s", "peak RSS, MiB"];

/// The counters at one moment.
#[derive(Debug)]
pub struct Snapshot {
    at: Instant,
    /// The endpoint's ledger.
    pub totals: LedgerTotals,
    usage: Usage,
    broker: Option<Duration>,
}

impl Snapshot {
    /// Takes a snapshot now.
    ///
    /// # Errors
    ///
    /// The process has ended.
    pub fn take(ledger: &Ledger, process: &mut impl Measured) -> Fallible<Self> {
        let (at, totals) = (Instant::now(), ledger.totals());
        Ok(Self { at, totals, usage: process.usage()?, broker: broker::cpu() })
    }
}

/// The figures of the time between two snapshots.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    /// Jobs answered per second, revoked or rejected.
    pub throughput: f64,
    /// The share of calls that were answered 429.
    pub throttled: f64,
    /// CPU seconds of the worker per 10,000 jobs answered.
    pub cpu: f64,
    /// CPU seconds of the broker per 10,000 jobs answered; no number if the broker is not ours.
    pub broker: f64,
    /// The most memory that the worker had resident since its start, in MiB.
    pub peak_rss: f64,
}

impl Window {
    /// The figures from one snapshot to a later one. A division by zero gives NaN.
    pub fn between(before: &Snapshot, after: &Snapshot) -> Self {
        let answered = |snapshot: &Snapshot| snapshot.totals.revoked + snapshot.totals.rejected;
        let jobs = number(answered(after) - answered(before));
        let calls = number(after.totals.calls - before.totals.calls);
        Self {
            throughput: jobs / (after.at - before.at).as_secs_f64(),
            throttled: number(after.totals.throttled - before.totals.throttled) / calls,
            cpu: after.usage.cpu.saturating_sub(before.usage.cpu).as_secs_f64() / jobs * JOBS,
            broker: after.broker.zip(before.broker).map_or(f64::NAN, |(after, before)| {
                after.saturating_sub(before).as_secs_f64() / jobs * JOBS
            }),
            peak_rss: number(after.usage.peak_rss) / KIB_PER_MIB,
        }
    }

    /// The figures of a command that processed this many jobs, its start and end included.
    pub fn of_command(taken: &Taken, jobs: u32) -> Self {
        Self {
            throughput: f64::from(jobs) / taken.time.as_secs_f64(),
            throttled: 0.0,
            cpu: taken.usage.cpu.as_secs_f64() / f64::from(jobs) * JOBS,
            broker: taken.broker.map_or(f64::NAN, |cpu| cpu.as_secs_f64() / f64::from(jobs) * JOBS),
            peak_rss: number(taken.usage.peak_rss) / KIB_PER_MIB,
        }
    }

    /// The medians of the columns of every table, under [`HEADS`].
    pub fn cells(windows: &[Self]) -> [String; 3] {
        [
            format!("{:.0}", median_of(windows, |window| window.throughput)),
            format!("{:.2}", median_of(windows, |window| window.cpu)),
            format!("{:.0}", median_of(windows, |window| window.peak_rss)),
        ]
    }

    /// The medians of the columns under [`HEADS_WITH_BROKER`].
    pub fn cells_with_broker(windows: &[Self]) -> [String; 4] {
        let [throughput, cpu, peak_rss] = Self::cells(windows);
        [throughput, cpu, format!("{:.2}", median_of(windows, |window| window.broker)), peak_rss]
    }
}
