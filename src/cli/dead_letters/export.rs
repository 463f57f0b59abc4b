//! `revoker dead-letters export`: writes the jobs of dead letters to a file that `enqueue` and `sweep` read.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
};

use futures_util::TryFutureExt as _;
use serde::Serialize;

use super::{
    CommandContext, export_line,
    filter::FilterArgs,
    reading::{notes, read_all, unless_stopped},
    reasons::{ReasonCounts, several},
    report,
};
use crate::{
    broker::BrowseSummary,
    cli::{
        exit::{Exit, Failure},
        output::{self, OutputArgs},
        whole_file::{OWNER_ONLY, WholeFile},
    },
};

/// Write the jobs of dead letters to a file, one JSON object per line
///
/// Without --reveal, the file contains fingerprints in place of the tokens, in another field. So no command reads it
/// as jobs. With --reveal, the file contains live tokens for enqueue and sweep: delete it after that. Only its owner
/// may read the file. The dead letters stay in the queue.
///
/// Without --reveal, FILE may be -, standard output. The command then writes no file at all, and prints its summary on
/// standard error. If it fails, the lines so far may be a part of the export.
///
/// Dead letters whose body is not a job are left out and counted, and the exit code is 3.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
                        revoker dead-letters export --reason exhausted fingerprints.ndjson\n  \
                        revoker dead-letters export - | jq -r .client_id | sort | uniq -c\n  \
                        revoker dead-letters export --reason exhausted --reveal jobs.ndjson\n  \
                        revoker enqueue jobs.ndjson && rm jobs.ndjson")]
pub(super) struct ExportArgs {
    /// The file to write, which must not exist yet; - for standard output, without --reveal
    #[arg(value_name = "FILE|-")]
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

    #[command(flatten)]
    output: OutputArgs,
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
    let failed = |error: std::io::Error| Failure::at(args.file.display(), &error);
    let mut export = ExportTarget::open(args)?;
    let (mut reasons, mut no_jobs) = (ReasonCounts::default(), 0);
    let (now, stop) = (context.now, context.stop.clone());
    let browse = read_all(context, async |message| {
        let letter = message.letter();
        let has_room = args.limit.is_none_or(|limit| reasons.total() < limit);
        if has_room && args.filter.matches(&letter, now) {
            // A body that is no job may have any size, so it is not parsed.
            match letter.is_job.then(|| export_line::of(message.body(), args.reveal)).flatten() {
                Some(line) => {
                    export.write(&(line + "\n"), args).await?;
                    reasons.add(letter.reason);
                }
                None => no_jobs += 1,
            }
        }
        Ok(())
    })
    .await?;
    let summary = ExportSummary {
        queue: context.queue.name().to_owned(),
        browse,
        file: args.file.display().to_string(),
        revealed: args.reveal,
        exported: reasons.total(),
        reasons,
        no_jobs,
    };
    match export {
        ExportTarget::File(file) => {
            file.keep(args.force).map_err(failed)?;
            report(args.output, &summary, || summary.text())?;
        }
        ExportTarget::Stdout { piece } => {
            unless_stopped(&stop, output::print_part(&piece).map_err(Failure::from)).await?;
            let summary =
                if args.output.is_json() { output::json(&summary) } else { summary.text() };
            // A closed standard error does not change the exit code.
            drop(write!(std::io::stderr(), "{summary}"));
        }
    }
    Ok(if no_jobs > 0 { Exit::Partly } else { Exit::Done })
}

/// Standard output gets the lines in pieces of this many bytes.
const PIECE: usize = 64 * 1024;

/// Where the lines go.
enum ExportTarget {
    File(WholeFile),
    /// The lines that are not printed yet. They hold no token.
    Stdout {
        piece: String,
    },
}

impl ExportTarget {
    fn open(args: &ExportArgs) -> Result<Self, Failure> {
        let failed = |error: std::io::Error| Failure::at(args.file.display(), &error);
        if args.file == Path::new("-") {
            if args.reveal {
                return Err(Failure::usage(
                    "tokens are not written to standard output: name a file, which only its owner may read, or leave \
                     out --reveal",
                ));
            }
            return Ok(Self::Stdout { piece: String::new() });
        }
        if !args.force && args.file.try_exists().map_err(failed)? {
            return Err(Failure::usage(format!(
                "{} exists: choose another name, or give --force to replace it",
                args.file.display()
            )));
        }
        Ok(Self::File(WholeFile::create(&args.file, OWNER_ONLY).map_err(failed)?))
    }

    async fn write(&mut self, line: &str, args: &ExportArgs) -> Result<(), Failure> {
        match self {
            Self::File(file) => {
                file.write(line).map_err(|error| Failure::at(args.file.display(), &error))
            }
            Self::Stdout { piece } => {
                piece.push_str(line);
                if piece.len() >= PIECE {
                    output::print_part(piece).await?;
                    piece.clear();
                }
                Ok(())
            }
        }
    }
}

impl ExportSummary {
    fn text(&self) -> String {
        let Self { queue, browse, file, exported, reasons, no_jobs, .. } = self;
        let file = if file == "-" { "standard output" } else { file };
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
