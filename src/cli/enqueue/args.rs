//! The options of `revoker enqueue`.

use std::{ffi::OsString, num::NonZeroU64, path::PathBuf};

use crate::{
    cli::{
        job_file::{self, JobFileArgs},
        output::OutputArgs,
    },
    domain::Lane,
};

const REFUSED: &str = ".refused.ndjson";

const SUMMARY: &str = ".summary.txt";

/// Publish the jobs of a file, each confirmed by its queue.
///
/// Reads NDJSON (one JSON object a line), CSV (a header row with a job's field names) or text (one token a line).
/// The file may be compressed with gzip or zstd.
///
/// The worker's own rules check every line first. FILE.refused.ndjson lists each refused line with its number
/// and reason, and the exit code is 3. Duplicates inside the file are dropped and counted. If the
/// connection is lost, the command waits for the broker and skips no line.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  revoker enqueue --dry-run leak.csv
      Checks every line, publishes nothing.
  revoker enqueue --client-id shop --audience https://api.example leak.csv.gz
      Publishes into the bulk lane. Lines without a client or an audience get these.
  revoker enqueue --rate 500 --expires-at 2030-01-31T00:00:00Z tokens.txt
      One token a line, at most 500 a second. After that date the worker makes no calls for them.
  revoker enqueue --delimiter semicolon --column refresh_token=token export.csv
      Reads a file with other columns: the column token holds the tokens.
  psql -qAtc 'SELECT token FROM leaked' | revoker enqueue --format text -
  revoker enqueue --from-line 52001 leak.csv
      Resumes an interrupted run, with the line number that it printed at its end. Earlier lines are \
neither checked nor published, and later lines are not compared with them.

Exit codes: 0 every job is in its queue; 1 interrupted or failed, and it prints the command to resume; \
2 wrong usage, configuration or file; 3 every job is in its queue, but lines were refused.")]
pub struct EnqueueArgs {
    #[command(flatten)]
    pub input: JobFileArgs,

    /// The lane to publish into: bulk or interactive
    #[arg(long, default_value = "bulk", value_parser = job_file::lane())]
    pub lane: Lane,

    /// Start at this line of the file
    #[arg(long, value_name = "N", default_value = "1")]
    pub from_line: NonZeroU64,

    /// The maximum number of jobs a second
    #[arg(long, value_name = "N", value_parser = |text: &str| job_file::rate(text, LEAST_RATE, "jobs"))]
    pub rate: Option<f64>,

    /// Check every line, publish nothing, write nothing. With --json, every refused line is listed
    #[arg(long)]
    pub dry_run: bool,

    #[command(flatten)]
    pub output: OutputArgs,
}

impl EnqueueArgs {
    pub fn input_name(&self) -> String {
        if self.input.is_stdin() {
            "standard input".into()
        } else {
            self.input.file.display().to_string()
        }
    }

    /// Returns the path of the list of refused lines: beside the file, or in the working directory.
    pub fn refused_file(&self) -> PathBuf {
        self.beside(REFUSED)
    }

    /// Returns the path of a summary that cannot be printed.
    pub fn summary_file(&self) -> PathBuf {
        self.beside(SUMMARY)
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = if self.input.is_stdin() {
            OsString::from("stdin")
        } else {
            self.input.file.clone().into()
        };
        name.push(suffix);
        name.into()
    }
}

/// The least rate, one job a day: less is a typing error.
const LEAST_RATE: f64 = 1.0 / 86_400.0;
