//! `revoker report`: the report of a time span from outcome events, and the check of a report's signature.

mod events;
mod verify;

use std::path::PathBuf;

use super::{
    exit::{Exit, Failure},
    moment::Moment,
    output::{self, OutputArgs},
    places::{self, CommandFile, SameFile},
    report_file::ReportFileArgs,
};
use crate::config::Config;

/// Report what became of jobs in a time span, from outcome events, or check a report's signature
///
/// The queue of outcome events is read and left as it was. Repeated events count once, and the latest outcome of a job
/// counts.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  revoker --config config/production.toml report --since 2h --report leak.html
      Reports the jobs that ended in the last two hours, as text and as a page.
  revoker report --since 2026-03-01T04:00:00Z --events events.ndjson --json
      Reads events, or the lines of a log with log.successes, from a file.
  revoker report verify report.html --key public.pem
      Checks the signature in report.html.sig.

Exit codes: 0 every event was read; 1 failed; 2 wrong usage, configuration or file; 3 some messages or lines are no \
events, or another consumer held them."
)]
pub(super) struct ReportArgs {
    #[command(subcommand)]
    command: Option<ReportCommand>,

    /// Only jobs that ended at or after this time: 2h (two hours ago), or 2025-03-01T04:00:00Z
    #[arg(long, value_name = "WHEN", value_parser = Moment::parse)]
    since: Option<Moment>,

    /// Only jobs that ended at or before this time
    #[arg(long, value_name = "WHEN", value_parser = Moment::parse)]
    until: Option<Moment>,

    /// A file of events, one JSON object a line, instead of the queue; - for standard input
    #[arg(long, value_name = "FILE|-")]
    events: Option<PathBuf>,

    /// The queue of outcome events; without it, outcomes.queue of the configuration
    #[arg(long, value_name = "NAME", conflicts_with = "events")]
    queue: Option<String>,

    #[command(flatten)]
    files: ReportFileArgs,

    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, clap::Subcommand)]
enum ReportCommand {
    Verify(verify::VerifyArgs),
}

pub(super) async fn run(args: ReportArgs, config: Config) -> Exit {
    let ended = match &args.command {
        Some(ReportCommand::Verify(verify)) => verify::run(verify),
        // Boxed: it reads a whole queue, and its future is large.
        None => Box::pin(report(&args, config)).await,
    };
    ended.unwrap_or_else(|failure| failure.log())
}

async fn report(args: &ReportArgs, config: Config) -> Result<Exit, Failure> {
    args.check_places()?;
    let key = args.files.key()?;
    let report = events::report(args, config, key.as_ref()).await?;
    let json = output::json(&report);
    let mut faults = args.files.write(&json, &report.document(), key.as_ref());
    let text = if args.output.is_json() { json } else { report.to_string() };
    faults.extend(output::print(&text).err().map(Failure::from));
    let complete = if report.is_complete() { Exit::Done } else { Exit::Partly };
    Ok(faults.iter().map(Failure::log).next_back().unwrap_or(complete))
}

impl ReportArgs {
    fn check_places(&self) -> Result<(), SameFile> {
        let signatures = self.files.signatures();
        let events = self.events.iter().map(|path| ("the file of events", path.as_path()));
        let places: Vec<CommandFile<'_>> = events.chain(self.files.places(&signatures)).collect();
        places::check(&places)
    }
}
