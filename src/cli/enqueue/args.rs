//! The options of `revoker enqueue`.

use std::{
    ffi::OsString,
    num::NonZeroU64,
    path::{Path, PathBuf},
};

use crate::{
    domain::{JobDefaults, Lane},
    input::{Column, Columns, Delimiter, Fills, Format, Options},
};

/// The name that means standard input.
const STDIN: &str = "-";

/// What is put behind the input's name for the list of what was refused in it.
const REFUSED: &str = ".refused.ndjson";

/// Publishes the jobs of a file, one a line, each confirmed by its queue.
///
/// Reads NDJSON (one JSON object a line), CSV (a header row with the names of a job's fields) or text
/// (one token a line), gzip and zstd as they are.
///
/// Every line is checked by the worker's own rules first. What is refused is listed with line number
/// and reason in FILE.refused.ndjson, and makes the exit code 3; what stands in the file twice is
/// dropped and counted. A broker that is lost is waited for, and nothing is skipped.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  revoker enqueue --dry-run leak.csv
      Checks every line, publishes nothing.
  revoker enqueue --client-id shop --audience https://api.example leak.csv.gz
      Publishes into the bulk lane; the client and the audience are for lines that name none.
  revoker enqueue --rate 500 --expires-at 2030-01-31T00:00:00Z tokens.txt
      One token a line, 500 a second at most; after that date none is called.
  revoker enqueue --delimiter semicolon --column refresh_token=token export.csv
      Reads a file with other columns: tokens stand in its column token.
  psql -qAtc 'SELECT token FROM leaked' | revoker enqueue --format text -
  revoker enqueue --from-line 52001 leak.csv
      Goes on after an interruption, as its last words say. Lines before are neither checked nor \
published, and no later line counts as a duplicate of one of them.

Exit codes: 0 every job is in its queue; 1 interrupted or failed, with the command that goes on; \
2 wrong usage, configuration or file; 3 every job is in its queue, but lines were refused.")]
pub struct Args {
    /// The file to read; - for standard input
    #[arg(value_name = "FILE|-", default_value = STDIN)]
    pub file: PathBuf,

    /// The lane to publish into: bulk or interactive
    #[arg(long, default_value = "bulk", value_parser = lane)]
    pub lane: Lane,

    /// What the lines are: ndjson, csv or text; by the file's name if not given, ndjson for standard
    /// input
    #[arg(long)]
    pub format: Option<Format>,

    /// The column of a CSV file that holds a field, where it has another name: `refresh_token=token`;
    /// repeat it for more fields
    #[arg(long, value_name = "FIELD=COLUMN")]
    pub column: Vec<Column>,

    /// What divides the columns of a CSV file: comma, semicolon, tab or bar, or the character itself
    #[arg(long, value_name = "CHARACTER")]
    pub delimiter: Option<Delimiter>,

    /// The audience for lines that name none
    #[arg(long, value_name = "URL")]
    pub audience: Option<String>,

    /// The client for lines that name none
    #[arg(long, value_name = "ID")]
    pub client_id: Option<String>,

    /// The user for lines that name none
    #[arg(long, value_name = "NAME")]
    pub username: Option<String>,

    /// When the tokens die by themselves, for lines that do not say: RFC 3339 or Unix seconds
    #[arg(long, value_name = "TIME")]
    pub expires_at: Option<String>,

    /// Publish from this line of the file on
    #[arg(long, value_name = "N", default_value = "1")]
    pub from_line: NonZeroU64,

    /// The most jobs a second
    #[arg(long, value_name = "N", value_parser = rate)]
    pub rate: Option<f64>,

    /// Check every line, publish nothing, write nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Print the summary as one JSON object
    #[arg(long)]
    pub json: bool,
}

impl Args {
    /// How the file is read.
    #[must_use]
    pub fn options(&self, defaults: JobDefaults) -> Options {
        let fills = Fills {
            audience: self.audience.clone(),
            client_id: self.client_id.clone(),
            username: self.username.clone(),
            expires_at: self.expires_at.clone(),
        };
        let columns = Columns::from(self.column.clone());
        Options { format: self.format, columns, delimiter: self.delimiter, fills, defaults }
    }

    /// Whether it reads standard input.
    #[must_use]
    pub fn reads_stdin(&self) -> bool {
        self.file == Path::new(STDIN)
    }

    /// The input's name, for people.
    #[must_use]
    pub fn input_name(&self) -> String {
        if self.reads_stdin() { "standard input".into() } else { self.file.display().to_string() }
    }

    /// Where refused lines are listed: beside the file, or in the working directory.
    #[must_use]
    pub fn refused_file(&self) -> PathBuf {
        let mut name =
            if self.reads_stdin() { OsString::from("stdin") } else { self.file.clone().into() };
        name.push(REFUSED);
        name.into()
    }
}

fn lane(name: &str) -> Result<Lane, String> {
    Lane::from_name(name).ok_or_else(|| {
        let names = Lane::ALL.map(Lane::as_str).join(" or ");
        format!("expected {names}")
    })
}

/// The least rate that is one: less than a job in a day is a slip.
const LEAST_RATE: f64 = 1.0 / 86_400.0;

fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if (LEAST_RATE..f64::INFINITY).contains(&rate) => Ok(rate),
        _ => Err("expected a number of jobs per second, like 500".to_owned()),
    }
}
