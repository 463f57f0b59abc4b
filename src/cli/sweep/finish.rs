//! What is left behind by a sweep: the list of failed lines, and the report.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::task::spawn_blocking;
use tracing::warn;

use super::{Args, Failure, report_file, running::Ended};
use crate::{
    cli::output,
    sweep::{self, BeginError, Calls, Listed, Report, Run, Sources},
};

/// What could be said at the end.
pub(super) struct Told {
    /// The report.
    pub(super) report: Report,
    /// What could not be written of it.
    pub(super) faults: Vec<Failure>,
}

/// Reads the journal back, lists the failed lines, and writes the report where it was asked for. What
/// cannot be written keeps nothing else from being written.
pub(super) async fn report(
    args: &Args,
    ended: &Ended,
    calls: &Arc<Calls>,
) -> Result<Told, Failure> {
    let this_run = Run::of(ended.took, calls, &ended.tally);
    let (input, read, finished) = (args.file.clone(), ended.read, ended.finished);
    let input_is_broken = ended.result.as_ref().err().is_some_and(Failure::is_of_the_input);
    let journal = args.journal().ok_or(BeginError::NoJournal)?;
    let places = args.failed_lines();
    let file = args.report.clone();
    spawn_blocking(move || {
        let past = sweep::read_back(&journal)
            .map_err(|fault| Failure::ReadBack(journal.clone(), fault))?;
        let mut faults = Vec::new();
        let failed_lines = list_failed(&journal, &places, &mut faults);
        let sources = Sources {
            input: &input,
            journal: &journal,
            failed_lines: failed_lines.as_deref(),
            past: &past,
            read,
            finished,
            input_is_broken,
        };
        let report = Report::new(&sources, this_run);
        if let Some(file) = file {
            let written = report_file::write(&file, &output::json(&report));
            faults.extend(written.err().map(|error| Failure::Output(file, error)));
        }
        Ok(Told { report, faults })
    })
    .await?
}

/// Lists the failed lines at the first place that takes them; returns where that is.
fn list_failed(journal: &Path, places: &[PathBuf], faults: &mut Vec<Failure>) -> Option<PathBuf> {
    match sweep::list_failed(journal, places) {
        Ok(Listed { path, refused }) => {
            for (refused, error) in refused {
                let (refused, path) = (refused.display(), path.display());
                warn!("{refused} cannot be written, so failed lines are listed in {path}: {error}");
            }
            Some(path)
        }
        Err(refused) => {
            faults.extend(refused.into_iter().map(|(path, error)| Failure::Output(path, error)));
            None
        }
    }
}
