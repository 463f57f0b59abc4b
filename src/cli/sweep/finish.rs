//! What is left behind by a sweep: the list of failed lines, and the report.

use std::{fs, path::PathBuf, sync::Arc};

use tokio::task::spawn_blocking;

use super::{Args, Failure, json, running::Ended};
use crate::sweep::{self, BeginError, Calls, Report, Run, Sources};

/// Reads the journal back, lists the failed lines, and writes the report where it was asked for.
pub(super) async fn report(
    args: &Args,
    ended: &Ended,
    calls: &Arc<Calls>,
) -> Result<Report, Failure> {
    let this_run = Run::of(ended.took, calls, &ended.tally);
    let (input, read, finished) = (args.file.clone(), ended.read, ended.finished);
    let journal = args.journal().ok_or(BeginError::NoJournal)?;
    let failed_lines = args.failed_lines();
    let file = args.report.clone();
    spawn_blocking(move || {
        let past = sweep::read_back(&journal)
            .map_err(|fault| Failure::ReadBack(journal.clone(), fault))?;
        sweep::list_failed(&journal, &failed_lines)
            .map_err(|error| Failure::Output(failed_lines.clone(), error))?;
        let sources = Sources {
            input: &input,
            journal: &journal,
            failed_lines: &failed_lines,
            past: &past,
            read,
            finished,
        };
        let report = Report::new(&sources, this_run);
        if let Some(file) = file {
            write(file, &report)?;
        }
        Ok(report)
    })
    .await?
}

fn write(file: PathBuf, report: &Report) -> Result<(), Failure> {
    fs::write(&file, json(report)).map_err(|error| Failure::Output(file, error))
}
