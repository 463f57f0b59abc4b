//! What would be done, and nothing done.

use tokio::task::spawn_blocking;

use super::{Args, Exit, Failure, print, warn_of_lines};
use crate::{config::Config, sweep};

/// Surveys input and journal; exits 3 if there are refused lines, as the sweep would.
pub(super) async fn run(args: &Args, config: &Config) -> Result<Exit, Failure> {
    let settings = args.settings(config, 1);
    let survey = spawn_blocking(move || sweep::survey(&settings)).await??;
    let printed = print(args, &survey);
    warn_of_lines(survey.expiry(), &survey.remarks);
    printed?;
    if let Some(fault) = survey.fault {
        return Err(Failure::Read(fault));
    }
    Ok(if survey.refused > 0 { Exit::Partly } else { Exit::Done })
}
