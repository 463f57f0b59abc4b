//! The options of `revoker sweep`.

use std::{
    ffi::OsString,
    net::SocketAddr,
    num::NonZeroUsize,
    path::{Path, PathBuf},
};

use crate::{
    cli::places::{self, CommandFile, SameFile},
    config::Config,
    flow::RateScope,
    input::{Column, Columns, Delimiter, Fills, Format, Options},
    sweep::{self, STDIN},
    worker::endpoint_url,
};

/// What is put behind the input's name for its journal.
const JOURNAL: &str = ".journal.ndjson";

/// What is put behind the input's name for the list of failed lines.
const FAILED: &str = ".failed.ndjson";

/// Revokes the tokens of a file, with no broker: a journal stands in place of the queue.
///
/// Reads NDJSON (one JSON object a line), CSV (a header row with `refresh_token`; other columns by the
/// job's field names) or text (one token a line), gzip or zstd as they are. Verdicts, retries, pauses and
/// limits are those of `revoker run`.
///
/// FILE.journal.ndjson says what became of each line. Started again, also after a crash, the same command
/// goes on where it was, and calls no token twice that the journal proves revoked.
#[derive(Debug, clap::Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
#[command(after_help = "\
Examples:
  revoker --config config/production.toml sweep --dry-run leak.csv
      Checks every line, and says what is left to do; calls nothing, writes nothing.
  revoker --config config/production.toml sweep --client-id shop --report report.json leak.csv
      Revokes all of them. Interrupted, the same command goes on.
  revoker --config config/production.toml sweep --retry-failed leak.csv
      Takes up the failed lines again; leak.csv.failed.ndjson lists them.
  revoker sweep --delimiter semicolon --column refresh_token=token export.csv
      Reads a file with other columns: tokens stand in its column token.
  gpg -d leak.txt.gpg | revoker sweep --format text --journal leak.journal.ndjson -
      Standard input cannot be known again, so an interrupted sweep of it goes on with --force alone.

Exit codes: 0 every token is dealt with; 1 interrupted or failed, and the last words say what goes on; \
2 wrong usage, configuration or file; 3 every line has ended, but some failed or were refused; 4 nothing was \
revoked for a client whose first answers were all rejections (flow.guard.first_rejections): check its secret \
and the environment, and the last words say what goes on.")]
pub struct Args {
    /// The file to read; - for standard input
    #[arg(value_name = "FILE|-", default_value = STDIN)]
    pub file: PathBuf,

    /// Where the journal is; FILE.journal.ndjson if not given, required for a pipe
    #[arg(long, value_name = "PATH")]
    journal: Option<PathBuf>,

    /// What the lines are: ndjson, csv or text; by the file's name if not given, ndjson for standard
    /// input
    #[arg(long)]
    format: Option<Format>,

    /// The column of a CSV file that holds a field, where it has another name: `refresh_token=token`;
    /// repeat it for more fields
    #[arg(long, value_name = "FIELD=COLUMN")]
    column: Vec<Column>,

    /// What divides the columns of a CSV file: comma, semicolon, tab or bar, or the character itself
    #[arg(long, value_name = "CHARACTER")]
    delimiter: Option<Delimiter>,

    /// The audience for lines that name none
    #[arg(long, value_name = "URL")]
    audience: Option<String>,

    /// The client for lines that name none
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,

    /// The user for lines that name none
    #[arg(long, value_name = "NAME")]
    username: Option<String>,

    /// When the tokens die by themselves, for lines that do not say: RFC 3339 or Unix seconds
    #[arg(long, value_name = "TIME")]
    expires_at: Option<String>,

    /// The most calls a second, in place of flow.rate
    #[arg(long, value_name = "N", value_parser = rate)]
    rate: Option<f64>,

    /// The most calls at a time, in place of flow.concurrency.max
    #[arg(long, value_name = "N")]
    concurrency: Option<NonZeroUsize>,

    /// Take up again the lines that failed
    #[arg(long)]
    retry_failed: bool,

    /// Go on although the input or what decides its meaning has changed: what is known to be revoked is
    /// not called again
    #[arg(long)]
    force: bool,

    /// Go on although nothing is revoked: for a list of tokens that are dead already
    #[arg(long)]
    expect_dead: bool,

    /// Check every line and say what is left to do; call nothing, write nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Serve metrics and probes at this address
    #[arg(long, value_name = "ADDRESS")]
    pub admin: Option<SocketAddr>,

    /// Write the report to this file as well, as JSON
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,

    /// Print the report as JSON
    #[arg(long)]
    pub json: bool,
}

impl Args {
    /// Puts the options that have a key of their own into the configuration.
    pub fn apply(&self, config: &mut Config) {
        config.flow.rate = self.rate.or(config.flow.rate);
        if self.expect_dead {
            config.flow.pause.first_rejections = 0;
        }
        // No broker counts a sweep.
        config.flow.rate_scope = RateScope::Replica;
        if let Some(concurrency) = self.concurrency {
            config.flow.concurrency_max = concurrency.get();
            config.flow.concurrency_min = config.flow.concurrency_min.min(concurrency.get());
            config.endpoint.max_concurrency = concurrency.get();
            // As many jobs in flight as keep all permits in use while some wait for a retry.
            let in_hand = u16::try_from(concurrency.get().saturating_mul(2)).unwrap_or(u16::MAX);
            config.broker.prefetch = config.broker.prefetch.max(in_hand);
        }
    }

    /// The sweep that these options describe.
    #[must_use]
    pub fn settings(&self, config: &Config, capacity: usize) -> sweep::Settings {
        sweep::Settings {
            input: self.file.clone(),
            journal: self.journal(),
            options: self.options(config),
            endpoint: endpoint_url(config),
            force: self.force,
            retry_failed: self.retry_failed,
            capacity,
        }
    }

    /// Where the journal is; `None` if it has to be said.
    #[must_use]
    pub fn journal(&self) -> Option<PathBuf> {
        let beside = || sweep::is_file(&self.file).then(|| self.beside(JOURNAL));
        self.journal.clone().or_else(beside)
    }

    /// Where failed lines are listed: beside the file, or where that cannot be, and for what is no file,
    /// beside the journal that was given. The first place that does is taken.
    #[must_use]
    pub fn failed_lines(&self) -> Vec<PathBuf> {
        let beside_file = sweep::is_file(&self.file).then(|| self.beside(FAILED));
        let beside_journal = self.journal.as_ref().map(|journal| behind(journal, FAILED));
        beside_file.into_iter().chain(beside_journal).collect()
    }

    /// Checks that nothing is written over the input, and no file is two of those that are written.
    ///
    /// # Errors
    ///
    /// `SameFile`.
    pub fn check_places(&self) -> Result<(), SameFile> {
        let (journal, failed) = (self.journal(), self.failed_lines());
        let lists = failed.iter().map(|path| ("the list of failed lines", path.as_path()));
        let places: Vec<CommandFile<'_>> = [("the input", self.file.as_path())]
            .into_iter()
            .chain(journal.as_deref().map(|path| ("the journal", path)))
            .chain(lists)
            .chain(self.report.as_deref().map(|path| ("the report", path)))
            .map(|(role, path)| CommandFile { role, path })
            .collect();
        places::check(&places)
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        behind(&self.file, suffix)
    }

    fn options(&self, config: &Config) -> Options {
        Options {
            format: self.format,
            columns: Columns::from(self.column.clone()),
            delimiter: self.delimiter,
            fills: Fills {
                audience: self.audience.clone(),
                client_id: self.client_id.clone(),
                username: self.username.clone(),
                expires_at: self.expires_at.clone(),
            },
            defaults: config.pipeline.defaults.clone(),
        }
    }
}

fn behind(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// The least rate that is one: flow.rate allows no less either.
const LEAST_RATE: f64 = 0.01;

fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if (LEAST_RATE..f64::INFINITY).contains(&rate) => Ok(rate),
        _ => Err("expected a number of calls per second, like 500".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct CommandLine {
        #[command(flatten)]
        args: Args,
    }

    fn args(arguments: &[&str]) -> Args {
        let arguments = std::iter::once(&"sweep").chain(arguments);
        CommandLine::try_parse_from(arguments).unwrap().args
    }

    #[test]
    fn journal_and_list_stand_beside_the_file_or_where_they_are_put() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let file = file.path().to_str().unwrap();
        let beside = |suffix| Some(PathBuf::from(format!("{file}{suffix}")));
        assert_eq!(args(&[file]).journal(), beside(JOURNAL));
        let beside_file = beside(FAILED).unwrap();
        assert_eq!(args(&[file]).failed_lines(), std::slice::from_ref(&beside_file));
        let elsewhere = args(&[file, "--journal", "j"]);
        assert_eq!(elsewhere.journal(), Some("j".into()));
        let beside_journal = PathBuf::from(format!("j{FAILED}"));
        assert_eq!(elsewhere.failed_lines(), [beside_file, beside_journal.clone()]);
        assert_eq!(args(&[]).journal(), None, "standard input has no name");
        let piped = args(&["-", "--journal", "j"]);
        assert_eq!(piped.failed_lines(), [beside_journal]);
    }

    #[test]
    fn what_is_no_rate_is_refused() {
        for text in ["0", "-1", "inf", "nan", "fast", ""] {
            assert!(rate(text).is_err(), "{text}");
        }
        assert_eq!(rate("0.5"), Ok(0.5));
    }
}
