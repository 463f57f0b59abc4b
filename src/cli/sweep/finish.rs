//! The output files of a sweep: the list of failed lines, and the report.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::task::spawn_blocking;
use tracing::warn;

use super::SweepArgs;
use crate::{
    cli::{
        exit::Failure,
        output,
        report_file::{origin, unwritable},
    },
    config::Config,
    ports::{Clock, SystemClock},
    report::SigningKey,
    sweep::{self, BeginError, Calls, FailedList, ReportSources, RunReport, SweepReport},
    worker::{SweepEnd, SweepError},
};

/// Reads the journal back, lists the failed lines, and writes the report file if one was asked for. Returns the report,
/// and an error for each file that cannot be written: the others are still written.
pub(super) async fn report(
    args: &SweepArgs,
    config: &Config,
    key: Option<SigningKey>,
    ended: &SweepEnd,
    calls: &Arc<Calls>,
) -> Result<(SweepReport, Vec<Failure>), Failure> {
    let this_run = RunReport::of(SystemClock.now(), ended.took, calls, ended.counters.counts());
    let (input, read, finished) = (args.input.file.clone(), ended.read, ended.finished);
    let input_is_broken =
        matches!(&ended.result, Err(SweepError::Load(fault)) if fault.is_of_the_input());
    let journal = args.journal().ok_or(BeginError::NoJournal)?;
    let places = args.failed_lines();
    let (files, profile) = (args.report.clone(), config.endpoint.profile.name.clone());
    spawn_blocking(move || {
        let read_back = sweep::read_back(&journal)
            .map_err(|fault| Failure::at(format!("the journal {}", journal.display()), &fault))?;
        let mut faults = Vec::new();
        let failed_lines = list_failed(&journal, &places, &mut faults);
        let sources = ReportSources {
            input: &input,
            journal: &journal,
            failed_lines: failed_lines.as_deref(),
            read_back: &read_back,
            profile: &profile,
            read,
            finished,
            input_is_broken,
        };
        let report = SweepReport::new(&sources, this_run, origin(key.as_ref()));
        faults.extend(files.write(&output::json(&report), &report.document(), key.as_ref()));
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
