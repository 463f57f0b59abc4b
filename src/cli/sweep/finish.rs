//! The output files of a sweep: the list of failed lines, and the report.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::task::spawn_blocking;
use tracing::warn;

use super::{SweepArgs, report_file};
use crate::{
    cli::{exit::Failure, output},
    sweep::{self, BeginError, Calls, FailedList, ReportSources, RunReport, SweepReport},
    worker::{SweepEnd, SweepError},
};

/// Reads the journal back, lists the failed lines, and writes the report file if one was asked for. Returns the report,
/// and an error for each file that cannot be written: the others are still written.
pub(super) async fn report(
    args: &SweepArgs,
    ended: &SweepEnd,
    calls: &Arc<Calls>,
) -> Result<(SweepReport, Vec<Failure>), Failure> {
    let this_run = RunReport::of(ended.took, calls, ended.counters.counts());
    let (input, read, finished) = (args.input.file.clone(), ended.read, ended.finished);
    let input_is_broken =
        matches!(&ended.result, Err(SweepError::Load(fault)) if fault.is_of_the_input());
    let journal = args.journal().ok_or(BeginError::NoJournal)?;
    let places = args.failed_lines();
    let file = args.report.clone();
    spawn_blocking(move || {
        let state = sweep::read_back(&journal)
            .map_err(|fault| Failure::at(format!("the journal {}", journal.display()), &fault))?;
        let mut faults = Vec::new();
        let failed_lines = list_failed(&journal, &places, &mut faults);
        let sources = ReportSources {
            input: &input,
            journal: &journal,
            failed_lines: failed_lines.as_deref(),
            state: &state,
            read,
            finished,
            input_is_broken,
        };
        let report = SweepReport::new(&sources, this_run);
        if let Some(file) = file {
            let written = report_file::write(&file, &output::json(&report));
            faults.extend(written.err().map(|error| unwritable(&file, &error)));
        }
        Ok((report, faults))
    })
    .await?
}

/// Writes the list of failed lines to the first possible path; returns that path.
fn list_failed(journal: &Path, places: &[PathBuf], faults: &mut Vec<Failure>) -> Option<PathBuf> {
    match sweep::list_failed(journal, places) {
        Ok(FailedList { path, refused }) => {
            for (refused, error) in refused {
                let (refused, path) = (refused.display(), path.display());
                warn!("{refused} cannot be written, so failed lines are listed in {path}: {error}");
            }
            Some(path)
        }
        Err(refused) => {
            faults.extend(refused.iter().map(|(path, error)| unwritable(path, error)));
            None
        }
    }
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    Failure::at(format!("{} cannot be written", path.display()), error)
}
