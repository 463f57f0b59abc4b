//! `revoker dead-letters export`: writes the jobs of dead letters to a file that `enqueue` and `sweep` read.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{
    CommandContext, export_line,
    filter::FilterArgs,
    reading::{notes, read_all},
    reasons::{ReasonCounts, several},
    report,
};
use crate::{
    broker::BrowseSummary,
    cli::{
        exit::{Exit, Failure},
        whole_file::{OWNER_ONLY, WholeFile},
    },
};

/// Write the jobs of dead letters to a file, one JSON object per line
///
/// Without --reveal, the file contains fingerprints in place of the tokens, in another field. So no command reads it
/// as jobs. With --reveal, the file contains live tokens for enqueue and sweep: delete it after that. Only its owner
/// may read the file. The dead letters stay in the queue.
///
/// Dead letters whose body is not a job are left out and counted, and the exit code is 3.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
                        revoker dead-letters export --reason exhausted fingerprints.ndjson\n  \
                        revoker dead-letters export --reason exhausted --reveal jobs.ndjson\n  \
                        revoker enqueue jobs.ndjson && rm jobs.ndjson")]
pub(super) struct ExportArgs {
    /// The file to write; it must not exist yet
    #[arg(value_name = "FILE")]
    file: PathBuf,

    #[command(flatten)]
    filter: FilterArgs,

    /// Export at most N, the oldest first
    #[arg(long, value_name = "N")]
    limit: Option<u64>,

    /// Write the tokens themselves
    #[arg(long)]
    reveal: bool,

    /// Replace the file if it exists
    #[arg(long)]
    force: bool,

    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct ExportSummary {
    queue: String,
    #[serde(flatten)]
    browse: BrowseSummary,
    file: String,
    revealed: bool,
    exported: u64,
    reasons: ReasonCounts,
    no_jobs: u64,
}

pub(super) async fn run(args: &ExportArgs, context: &mut CommandContext) -> Result<Exit, Failure> {
    if args.file == Path::new("-") {
        return Err(Failure::usage(
            "tokens are not written to standard output: name a file, which only its owner may read",
        ));
    }
    let failed = |error: std::io::Error| Failure::at(args.file.display(), &error);
    if !args.force && args.file.try_exists().map_err(failed)? {
        return Err(Failure::usage(format!(
            "{} exists: choose another name, or give --force to replace it",
            args.file.display()
        )));
    }
    let mut file = WholeFile::create(&args.file, OWNER_ONLY).map_err(failed)?;
    let (mut reasons, mut no_jobs) = (ReasonCounts::default(), 0);
    let now = context.now;
    let browse = read_all(context, async |message| {
        let letter = message.letter();
        let has_room = args.limit.is_none_or(|limit| reasons.total() < limit);
        if has_room && args.filter.matches(&letter, now) {
            // A body that is no job may have any size, so it is not parsed.
            match letter.is_job.then(|| export_line::of(message.body(), args.reveal)).flatten() {
                Some(line) => {
                    file.write(&(line + "\n")).map_err(failed)?;
                    reasons.add(letter.reason);
                }
                None => no_jobs += 1,
            }
        }
        Ok(())
    })
    .await?;
    file.keep(args.force).map_err(failed)?;
    let summary = ExportSummary {
        queue: context.queue.name().to_owned(),
        browse,
        file: args.file.display().to_string(),
        revealed: args.reveal,
        exported: reasons.total(),
        reasons,
        no_jobs,
    };
    report(args.json, &summary, || summary.text())?;
    Ok(if no_jobs > 0 { Exit::Partly } else { Exit::Done })
}

impl ExportSummary {
    fn text(&self) -> String {
        let Self { queue, browse, file, exported, reasons, no_jobs, .. } = self;
        let how = if self.revealed {
            "with live tokens: delete it after use"
        } else {
            "without tokens; --reveal writes them"
        };
        let exported = several(*exported, "dead letter");
        let left_out = match no_jobs {
            0 => String::new(),
            _ => format!("left out, because their bodies are no jobs: {no_jobs}\n"),
        };
        let (reasons, notes) = (reasons.lines(), notes(*browse));
        format!("{exported} of {queue} written to {file}, {how}\n{reasons}{left_out}{notes}")
    }
}
