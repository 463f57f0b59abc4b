//! The options of `revoker sweep`.

use std::{
    ffi::OsString,
    net::SocketAddr,
    num::NonZeroUsize,
    path::{Path, PathBuf},
};

use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::lookup::LookupArgs;
use crate::{
    cli::{
        job_file::{self, JobFileArgs},
        output::OutputArgs,
        places::{self, CommandFile, SameFile},
        report_file::ReportFileArgs,
    },
    config::Config,
    domain::TokenHash,
    flow::RateScope,
    sweep,
    worker::endpoint_url,
};

const JOURNAL: &str = ".journal.ndjson";

const FAILED: &str = ".failed.ndjson";

#[derive(Debug, clap::Subcommand)]
pub enum SweepCommand {
    Lookup(Box<LookupArgs>),
}

/// Revoke the tokens of a file without a broker: a journal replaces the queue.
///
/// Reads NDJSON (one JSON object a line), CSV (a header row with a job's field names, at least `refresh_token`) or
/// text (one token a line). The file may be compressed with gzip or zstd. Verdicts, retries, pauses and limits are
/// those of `revoker run`.
///
/// FILE.journal.ndjson records the outcome of each line. The same command resumes an
/// interrupted or crashed sweep. It makes no call for a token that the journal proves revoked.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
#[command(after_help = "\
Examples:
  revoker --config config/production.toml sweep --dry-run leak.csv
      Checks every line and prints the remaining work. Makes no calls, writes nothing.
  revoker --config config/production.toml sweep --client-id shop --report report.json leak.csv
      Revokes all tokens. After an interruption, the same command resumes.
  revoker --config config/production.toml sweep --retry-failed leak.csv
      Retries the failed lines, which leak.csv.failed.ndjson lists.
  revoker sweep --delimiter semicolon --column refresh_token=token export.csv
      Reads a file with other columns: the column token holds the tokens.
  revoker sweep lookup --journal leak.csv.journal.ndjson < asked.txt
      Prints what became of each token in asked.txt. leak.csv is not needed.
  gpg -d leak.txt.gpg | revoker sweep --format text --journal leak.journal.ndjson -
      An interrupted sweep of standard input resumes only with --force, because it may not be the same input.

Exit codes: 0 every line has ended without a failure; 1 interrupted or failed, and it prints how to resume; \
2 wrong usage, configuration or file; 3 every line has ended, but some failed or were refused; 4 nothing was \
revoked for a client whose first answers were all rejections (flow.guard.first_rejections): check its secret \
and the environment, and it prints how to resume.")]
pub struct SweepArgs {
    #[command(subcommand)]
    pub command: Option<SweepCommand>,

    #[command(flatten)]
    pub input: JobFileArgs,

    /// The path of the journal; by default FILE.journal.ndjson, required for a pipe
    #[arg(long, value_name = "PATH")]
    journal: Option<PathBuf>,

    /// The maximum number of calls a second, instead of flow.rate
    #[arg(long, value_name = "N", value_parser = |text: &str| job_file::rate(text, LEAST_RATE, "calls"))]
    rate: Option<f64>,

    /// The maximum number of parallel calls, instead of flow.concurrency.max
    #[arg(long, value_name = "N")]
    concurrency: Option<NonZeroUsize>,

    /// Retry the failed lines
    #[arg(long)]
    retry_failed: bool,

    /// Resume although the input has changed, or a setting that decides how it is read. Tokens that the journal
    /// proves revoked are not called again
    #[arg(long)]
    force: bool,

    /// Continue although nothing is revoked: for a list of tokens that are already invalid
    #[arg(long)]
    expect_dead: bool,

    /// How the journal names tokens: by their fingerprint (short), also by their whole SHA-256 (full), or not at all
    /// (none), in which case `sweep lookup` needs their client, audience and user
    #[arg(long, value_name = "HASH", value_parser = token_hash(), default_value = "short")]
    token_hash: TokenHash,

    /// Check every line and print the remaining work; call nothing, write nothing. With --json, every refused line is
    /// listed
    #[arg(long)]
    pub dry_run: bool,

    /// Serve metrics and probes at this address
    #[arg(long, value_name = "ADDRESS")]
    pub admin: Option<SocketAddr>,

    #[command(flatten)]
    pub report: ReportFileArgs,

    #[command(flatten)]
    pub output: OutputArgs,
}

impl SweepArgs {
    /// Applies the options that override a configuration key.
    pub fn apply(&self, config: &mut Config) {
        config.flow.rate = self.rate.or(config.flow.rate);
        if self.expect_dead {
            let guard = config.endpoint.profile.after_rejections;
            let pause = &mut config.flow.pause;
            pause.first_rejections = 0;
            // Another one than the profile's is the operator's.
            pause.after_rejections.take_if(|most| Some(*most) == guard);
        }
        // The replicas of a sweep are not counted.
        config.flow.rate_scope = RateScope::Replica;
        if let Some(concurrency) = self.concurrency {
            config.flow.concurrency_max = concurrency.get();
            config.flow.concurrency_min = config.flow.concurrency_min.min(concurrency.get());
            config.endpoint.max_concurrency = concurrency.get();
            // Twice as many jobs in flight keep all permits in use while some jobs back off.
            let in_flight = u16::try_from(concurrency.get().saturating_mul(2)).unwrap_or(u16::MAX);
            config.broker.prefetch = config.broker.prefetch.max(in_flight);
        }
        // After a kill, the lines whose calls were in flight are rejected first.
        config.flow.pause.expected_rejections =
            u32::try_from(config.flow.concurrency_max).unwrap_or(u32::MAX);
    }

    pub fn settings(&self, config: &Config, capacity: usize) -> sweep::SweepSettings {
        sweep::SweepSettings {
            input: self.input.file.clone(),
            journal: self.journal(),
            options: self.input.options(config.pipeline.defaults.clone()),
            endpoint: called(config),
            force: self.force,
            retry_failed: self.retry_failed,
            token_hash: self.token_hash,
            capacity,
        }
    }

    /// Returns the path of the journal; `None` if the user must name it.
    pub fn journal(&self) -> Option<PathBuf> {
        let beside = || sweep::is_file(&self.input.file).then(|| self.beside(JOURNAL));
        self.journal.clone().or_else(beside)
    }

    /// Returns the possible paths of the list of failed lines, in order of preference: beside the file, then
    /// beside a journal that was named. A file may be on read-only media.
    pub fn failed_lines(&self) -> Vec<PathBuf> {
        let beside_file = sweep::is_file(&self.input.file).then(|| self.beside(FAILED));
        let beside_journal = self.journal.as_ref().map(|journal| behind(journal, FAILED));
        beside_file.into_iter().chain(beside_journal).collect()
    }

    pub fn check_places(&self) -> Result<(), SameFile> {
        let (journal, failed) = (self.journal(), self.failed_lines());
        let signatures = self.report.signatures();
        let lists = failed.iter().map(|path| ("the list of failed lines", path.as_path()));
        let places: Vec<CommandFile<'_>> = [("the input", self.input.file.as_path())]
            .into_iter()
            .chain(journal.as_deref().map(|path| ("the journal", path)))
            .chain(lists)
            .chain(self.report.places(&signatures))
            .collect();
        places::check(&places)
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        behind(&self.input.file, suffix)
    }
}

fn token_hash() -> impl TypedValueParser<Value = TokenHash> {
    let names = PossibleValuesParser::new(TokenHash::ALL.map(TokenHash::as_str));
    names.try_map(|name| TokenHash::from_name(&name).ok_or("no hash has that name"))
}

fn behind(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// The least rate, as for flow.rate.
const LEAST_RATE: f64 = 0.01;

/// The endpoint of the journal, with its profile: another profile gives the results another meaning.
fn called(config: &Config) -> String {
    let (url, profile) = (endpoint_url(config), &config.endpoint.profile);
    if profile.is_alignet() { url } else { format!("{url} (profile {})", profile.name) }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct CommandLine {
        #[command(flatten)]
        args: SweepArgs,
    }

    fn args(arguments: &[&str]) -> SweepArgs {
        let arguments = std::iter::once(&"sweep").chain(arguments);
        CommandLine::try_parse_from(arguments).unwrap().args
    }

    #[test]
    fn a_list_of_dead_tokens_lifts_the_guards_but_not_the_operators_own() {
        let guards = |own: Option<(&str, &str)>| {
            let profile = ("REVOKER_ENDPOINT__PROFILE", "slack");
            let variables = [Some(profile), own].into_iter().flatten();
            let mut config = Config::load(crate::config::Needs::NONE, &[], variables).unwrap();
            args(&["--expect-dead"]).apply(&mut config);
            (config.flow.pause.first_rejections, config.flow.pause.after_rejections)
        };
        assert_eq!(guards(None), (0, None));
        let own = ("REVOKER_FLOW__PAUSE__AFTER_REJECTIONS", "7");
        assert_eq!(guards(Some(own)), (0, Some(7)));
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
}
