//! `revoker sweep --dry-run`.

use tokio::task::spawn_blocking;

use super::{Exit, SweepArgs, SweepFailure, print};
use crate::{cli::job_file::warn_of_lines, config::Config, sweep};

/// Prints a survey of input and journal. Exits with 3 if lines are refused, as the sweep would.
pub(super) async fn run(args: &SweepArgs, config: &Config) -> Result<Exit, SweepFailure> {
    let settings = args.settings(config, 1);
    let survey = spawn_blocking(move || sweep::survey(&settings)).await??;
    let printed = print(args, &survey);
    warn_of_lines(survey.expiry(), &survey.remarks);
    printed?;
    if let Some(fault) = survey.fault {
        return Err(SweepFailure::Read(fault));
    }
    Ok(if survey.refused > 0 { Exit::Partly } else { Exit::Done })
}
