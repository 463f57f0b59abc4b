//! `revoker sweep lookup`: what became of tokens, by the journal of their sweep.

use std::path::PathBuf;

use tokio::task::spawn_blocking;
use tracing::warn;

use crate::{
    cli::{
        exit::{Exit, Failure},
        job_file::JobFileArgs,
        output::{self, OutputArgs, OutputError},
    },
    domain::JobDefaults,
    input::InputFormat,
    sweep::{LookupSettings, LookupSummary, lookup},
};

/// Results are written in parts of this many bytes.
const PRINTED: usize = 64 * 1024;

/// Print what became of tokens, when, and what proves it
///
/// Reads tokens from standard input, one a line, and looks each one up in the journal of a sweep. The swept file is not
/// needed. Tokens are found by their hash, and are named by the number of their line and their fingerprint.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  revoker sweep lookup --journal leak.csv.journal.ndjson < asked.txt
  revoker sweep lookup --journal leak.csv.journal.ndjson --json asked.csv

A journal without hashes (of an earlier version, or of --token-hash none) is searched by the job's key. This needs the \
client, audience and user of the token: by default those of the sweep's options, or give them here.

Exit codes: 0 every token was found, and its line ended without a failure; 1 failed; 2 wrong usage or file; 3 some \
tokens are not in the journal, failed, or have not ended, or a line holds no token.")]
pub struct LookupArgs {
    /// The journal of the sweep
    #[arg(long, value_name = "PATH")]
    journal: PathBuf,

    #[command(flatten)]
    input: JobFileArgs,

    #[command(flatten)]
    output: OutputArgs,
}

pub(in crate::cli) async fn run(args: LookupArgs) -> Exit {
    let ended = spawn_blocking(move || look_up(&args)).await;
    match ended.map_err(Failure::from).and_then(|ended| ended) {
        Ok(summary) if summary.is_complete() => Exit::Done,
        Ok(_) => Exit::Partly,
        Err(failure) => failure.log(),
    }
}

fn look_up(args: &LookupArgs) -> Result<LookupSummary, Failure> {
    let mut options = args.input.options(JobDefaults::default());
    if args.input.is_stdin() {
        options.format.get_or_insert(InputFormat::Text);
    }
    let settings =
        LookupSettings { journal: args.journal.clone(), input: args.input.file.clone(), options };
    let mut text = String::new();
    let summary = lookup(&settings, |looked| {
        if args.output.is_json() {
            text.push_str(&output::json(looked));
        } else {
            text.push_str(&looked.to_string());
            text.push('\n');
        }
        if text.len() < PRINTED { Ok(()) } else { print(&mut text) }
    })?;
    if !args.output.is_json() {
        text.push_str(&counts(&summary));
    }
    print(&mut text)?;
    if !summary.finished && summary.not_found > 0 {
        warn!(
            "a sweep of this journal has not finished: a token that is not in the journal may have been called all \
             the same"
        );
    }
    Ok(summary)
}

fn print(text: &mut String) -> Result<(), OutputError> {
    output::print(&std::mem::take(text))
}

fn counts(summary: &LookupSummary) -> String {
    let LookupSummary { tokens, proved, not_proved, not_found, refused_lines, refused, .. } =
        summary;
    let refused =
        if *refused > 0 { format!(", {refused} lines without one") } else { String::new() };
    let may_be_refused = if *not_found > 0 && *refused_lines > 0 {
        format!("; refused lines of the journal, which may hold them: {refused_lines}")
    } else {
        String::new()
    };
    format!(
        "{tokens} tokens{refused}: {proved} proved dead, {not_proved} not proved dead, {not_found} not in the \
         journal{may_be_refused}\n"
    )
}
