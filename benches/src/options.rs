//! The options of the benches.

use std::{path::PathBuf, time::Duration};

use clap::ValueEnum;

/// Measures the worker and prints tables in Markdown.
#[derive(Debug, clap::Parser)]
#[command(after_help = "Example:\n  scripts/bench --only saturation --scale 0.2 --repetitions 1")]
pub struct Options {
    /// Only this bench (repeatable)
    #[arg(long, value_name = "BENCH")]
    only: Vec<Bench>,

    /// Only the benches that compare the worker with the references: speed, bound, rejected, sweep, long
    #[arg(long, conflicts_with = "only")]
    references: bool,

    /// Only this scenario of the bench `clients` (repeatable)
    #[arg(long, value_name = "LETTER")]
    row: Vec<char>,

    /// The share of the full size, from 0.01 to 1: jobs and times alike. Small runs find faults, not figures
    #[arg(long, value_name = "SHARE", env = "BENCH_SCALE", default_value = "1", value_parser = scale)]
    pub scale: f64,

    /// How often everything is measured, alternately; the tables show medians
    #[arg(long, value_name = "N", env = "BENCH_REPETITIONS", default_value = "3",
          value_parser = clap::value_parser!(u32).range(1..))]
    pub repetitions: u32,

    /// The binary to measure
    #[arg(long, value_name = "PATH", env = "BENCH_WORKER")]
    pub worker: PathBuf,

    /// The broker to use; its queues are named revoker-bench-... and deleted afterwards
    #[arg(long, value_name = "URL", env = "REVOKER_TEST_BROKER_URL", hide_env_values = true)]
    pub broker: String,
}

/// A question, and the module that answers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Bench {
    /// An endpoint that answers at once, beside three references
    Speed,
    /// An endpoint with latency, with many parallel calls, beside the plain worker
    Bound,
    /// From publish to revoked, at a share of the highest rate
    Latency,
    /// Backlogs of growing length
    Growth,
    /// An endpoint that rejects everything
    Rejected,
    /// Jobs with an outcome event each, beside jobs without
    Events,
    /// An endpoint that answers 429 beyond a number of parallel calls
    Saturation,
    /// Logouts behind a sweep
    Lanes,
    /// `sweep` beside the bare client
    Sweep,
    /// The bench `bound` with a million jobs, once
    Long,
    /// `enqueue` and `sweep` of a large file
    Files,
    /// From a start, and from the broker's return, to the first job revoked
    Start,
    /// Many clients, partial failures, bursts and outages: scenarios a to m
    Clients,
}

/// The benches of `--references`.
const REFERENCES: [Bench; 5] =
    [Bench::Speed, Bench::Bound, Bench::Rejected, Bench::Sweep, Bench::Long];

impl Options {
    /// The selected benches, in order.
    pub fn benches(&self) -> Vec<Bench> {
        let only = if self.references { &REFERENCES[..] } else { &self.only };
        let wanted = |bench: &Bench| only.is_empty() || only.contains(bench);
        Bench::value_variants().iter().copied().filter(wanted).collect()
    }

    /// Whether this scenario of the bench `clients` is to be measured.
    pub fn wants_row(&self, letter: char) -> bool {
        self.row.is_empty() || self.row.contains(&letter)
    }

    /// The number of jobs or calls, scaled down in a smaller run, but at least one.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of what fits is not negative, and fits"
    )]
    pub fn scaled(&self, count: u32) -> u32 {
        ((f64::from(count) * self.scale) as u32).max(1)
    }

    /// The time, scaled down in a smaller run.
    pub fn scaled_time(&self, time: Duration) -> Duration {
        time.mul_f64(self.scale)
    }
}

fn scale(value: &str) -> Result<f64, &'static str> {
    let share = value.parse().ok().filter(|share| (0.01..=1.0).contains(share));
    share.ok_or("a share of the full size is a number from 0.01 to 1")
}
