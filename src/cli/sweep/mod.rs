//! `revoker sweep`: revokes the tokens of a file, with a journal in place of a queue.

mod args;
mod finish;
mod guard;
mod progress;
mod report_file;

use std::{fmt::Display, sync::Arc};

use serde::Serialize;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{
    exit::{Exit, Failure},
    job_file::warn_of_lines,
    output,
};
use crate::{
    config::Config,
    spans::Spans,
    sweep::{self, Calls, CountedEndpoint, OpenedSweep, SweepReport},
    worker::{self, RunningSweep, StopSignals, WorkerError},
};

pub use args::SweepArgs;
use guard::RevocationGuard;
use progress::SweepProgress;

pub async fn run(args: SweepArgs, mut config: Config) -> Exit {
    args.apply(&mut config);
    let ended = match args.check_places() {
        Err(fault) => Err(fault.into()),
        Ok(()) if args.dry_run => dry_run(&args, &config).await,
        Ok(()) => sweep(&args, &config).await,
    };
    ended.unwrap_or_else(|failure| failure.log())
}

/// Prints a survey of input and journal. Exits with 3 if lines are refused, as the sweep would.
async fn dry_run(args: &SweepArgs, config: &Config) -> Result<Exit, Failure> {
    let settings = args.settings(config, 1);
    let survey = spawn_blocking(move || sweep::survey(&settings)).await??;
    let printed = print(args, &survey);
    warn_of_lines(survey.expiry(), &survey.remarks);
    printed?;
    if let Some(fault) = survey.fault {
        return Err(Failure::at("the input", &fault));
    }
    Ok(if survey.refused > 0 { Exit::Partly } else { Exit::Done })
}

async fn sweep(args: &SweepArgs, config: &Config) -> Result<Exit, Failure> {
    let capacity = usize::from(worker::prefetch(config));
    let settings = args.settings(config, capacity);
    let mut signals = StopSignals::listen().map_err(WorkerError::Signals)?;
    let calls =
        Arc::new(Calls::new().map_err(|error| Failure::at("the calls cannot be timed", &error))?);
    let counted = Arc::clone(&calls);
    // Before the journal: a faulty configuration must not leave one behind.
    let engine = worker::assemble(config, Spans::none(), false, |endpoint| {
        CountedEndpoint::new(endpoint, counted)
    })?;
    let (flow, pauses) = (Arc::clone(&engine.flow), Arc::clone(&engine.client_pauses));
    let guard = RevocationGuard::new(Arc::clone(&flow), pauses, &args.input.file);
    let opened = tokio::select! {
        opened = spawn_blocking(move || sweep::begin(&settings)) => opened??,
        () = signals.next() => return Err(Failure::new("interrupted before the first call")),
    };
    announce(&opened);
    let (file, counters) = (opened.progress.clone(), Arc::clone(&opened.counters));
    let progress = SweepProgress { file, counters, flow };
    let running = RunningSweep::start(engine, opened, args.admin).await?;
    let stopping = CancellationToken::new();
    let ended = tokio::select! {
        ended = running.until_ended(signals, &stopping, config.shutdown.grace) => ended?,
        never = progress.show(&guard, &stopping) => match never {},
    };
    let Some(ended) = ended else {
        warn!(
            "ended at once by a second signal: the same command resumes, and some calls are made twice"
        );
        return Ok(Exit::Failed);
    };
    let (report, faults) = finish::report(args, &ended, &calls).await?;
    let printed = print(args, &report);
    warn_of_lines(report.expiry(), &report.this_run.remarks);
    let faults: Vec<Failure> =
        faults.into_iter().chain(printed.err()).chain(ended.result.err().map(Into::into)).collect();
    for fault in &faults {
        fault.log();
    }
    let nothing_revoked = guard.sentence();
    if let Some(sentence) = &nothing_revoked {
        error!("{sentence}");
    }
    Ok(match (faults.is_empty(), nothing_revoked) {
        (false, _) => Exit::Failed,
        (true, Some(_)) => Exit::NothingRevoked,
        (true, None) => exit_code(&report),
    })
}

fn announce(opened: &OpenedSweep) {
    if opened.resumed {
        let counts = opened.counters.counts().lines;
        info!(ended = counts.all(), failed = counts.failed(), "resuming from the journal");
    }
}

fn print(args: &SweepArgs, result: &(impl Serialize + Display)) -> Result<(), Failure> {
    let text = if args.json { output::json(result) } else { result.to_string() };
    Ok(output::print(&text)?)
}

fn exit_code(report: &SweepReport) -> Exit {
    match (report.finished, report.lines.failed()) {
        (false, _) => Exit::Failed,
        (true, 0) => Exit::Done,
        (true, _) => Exit::Partly,
    }
}
