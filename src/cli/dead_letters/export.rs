//! `revoker dead-letters export`: writes the jobs of dead letters to a file that can be fed in again.

mod line;
mod target;

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use serde::Serialize;

use self::target::Target;
use super::{
    Ended, Tools,
    counts::{Counts, several},
    failure::Failure,
    filter, print, print_json,
    reading::{self, Seen},
};

/// Writes the jobs of dead letters to a file, one JSON object per line
///
/// Without --reveal the tokens stand there as fingerprints, under another name: such a file tells what
/// died, and no command takes it for jobs. With --reveal it is a file of live tokens that enqueue and
/// sweep read; delete it when they have. Only its owner may read it. The letters stay in the queue.
///
/// Letters whose body is no job are left out and counted, and the exit code is 3.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
                        revoker dead-letters export --reason exhausted what-died.ndjson\n  \
                        revoker dead-letters export --reason exhausted --reveal jobs.ndjson\n  \
                        revoker enqueue jobs.ndjson && rm jobs.ndjson")]
pub struct Args {
    /// The file to write; it must not exist yet
    #[arg(value_name = "FILE")]
    file: PathBuf,

    #[command(flatten)]
    filter: filter::Args,

    /// At most so many, the oldest first
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

/// The end of it.
#[derive(Debug, Serialize)]
struct Summary {
    queue: String,
    #[serde(flatten)]
    seen: Seen,
    file: String,
    revealed: bool,
    exported: u64,
    reasons: Counts,
    no_jobs: u64,
}

/// Exports.
pub async fn run(args: &Args, tools: &mut Tools) -> Result<Ended, Failure> {
    if args.file == Path::new("-") {
        return Err(Failure::Usage(
            "tokens are not written to standard output: name a file, which only its owner may read"
                .to_owned(),
        ));
    }
    let failed = |source| Failure::File { path: args.file.clone(), source };
    if !args.force && args.file.try_exists().map_err(failed)? {
        return Err(Failure::Usage(format!(
            "{} exists: choose another name, or give --force to replace it",
            args.file.display()
        )));
    }
    let mut target = Target::create(&args.file).map_err(failed)?;
    let filter = args.filter.resolve(tools.now);
    let mut reasons = Counts::default();
    let mut no_jobs = 0;
    let seen = reading::read(&mut tools.queue, &tools.stop, |held| {
        let letter = held.letter();
        if args.limit.is_none_or(|limit| reasons.total() < limit) && filter.fits(&letter) {
            // A body that is no job may be of any size: it is not read.
            match letter.is_job.then(|| line::of(held.body(), args.reveal)).flatten() {
                Some(line) => {
                    target.write(&line).map_err(failed)?;
                    reasons.add(letter.reason);
                }
                None => no_jobs += 1,
            }
        }
        Ok(())
    })
    .await?;
    target.keep(args.force).map_err(failed)?;
    let summary = Summary {
        queue: tools.queue.name().to_owned(),
        seen,
        file: args.file.display().to_string(),
        revealed: args.reveal,
        exported: reasons.total(),
        reasons,
        no_jobs,
    };
    if args.json {
        print_json(&summary)?;
    } else {
        print(&summary.text())?;
    }
    Ok(if no_jobs > 0 { Ended::Partly } else { Ended::Well })
}

impl Summary {
    fn text(&self) -> String {
        let Self { queue, file, exported, no_jobs, .. } = self;
        let how = if self.revealed {
            "with live tokens: delete it once it has served"
        } else {
            "without tokens; --reveal writes them"
        };
        let mut text =
            format!("{} of {queue} written to {file}, {how}\n", several(*exported, "dead letter"));
        text.push_str(&self.reasons.lines());
        if *no_jobs > 0 {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "left out, because their bodies are no jobs: {no_jobs}");
        }
        text.push_str(&self.seen.notes());
        text
    }
}
