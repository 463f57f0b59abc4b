//! `revoker sweep --dry-run`: prints a survey of input and journal.

use tokio::task::spawn_blocking;

use super::SweepArgs;
use crate::{
    cli::{
        exit::{Exit, Failure},
        job_file::warn_of_lines,
        json_list::JsonList,
        output,
    },
    config::Config,
    ports::Endpoint as _,
    sweep::{self, RefusedLine, Survey},
    worker,
};

/// Exits with 3 if lines would fail without a call, as the sweep would.
pub(super) async fn dry_run(args: &SweepArgs, config: &Config) -> Result<Exit, Failure> {
    let settings = args.settings(config, 1);
    let (endpoint, _) = worker::endpoint(config)?;
    let is_json = args.output.is_json();
    let (survey, printed) = spawn_blocking(move || {
        let admit = |job: &_| endpoint.admit(job).map(drop);
        if is_json {
            let mut list = JsonList::new("refused_lines");
            let survey = sweep::survey(&settings, admit, |line: &RefusedLine| list.add(line))?;
            let printed = list.end(&survey);
            Ok::<(Survey, _), Failure>((survey, printed))
        } else {
            let survey = sweep::survey(&settings, admit, |_| {})?;
            let printed = output::print(&survey.to_string());
            Ok((survey, printed))
        }
    })
    .await??;
    warn_of_lines(survey.expiry(), &survey.remarks);
    printed?;
    if let Some(fault) = survey.fault {
        return Err(Failure::at("the input", &fault));
    }
    Ok(if survey.foresees_failures() { Exit::Partly } else { Exit::Done })
}
