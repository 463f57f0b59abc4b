//! `revoker sweep`: revokes the tokens of a file, with a journal in place of a queue.

mod args;
mod dry_run;
mod finish;
mod guard;
pub(super) mod lookup;
mod progress;

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
    worker::{self, Hangup, ReloadSignals, RunningSweep, StopSignals, WorkerError},
};

pub use args::{SweepArgs, SweepCommand};
use guard::RevocationGuard;
use progress::SweepProgress;

pub async fn run(args: SweepArgs, mut config: Config) -> Exit {
    args.apply(&mut config);
    let ended = match args.check_places() {
        Err(fault) => Err(fault.into()),
        Ok(()) if args.dry_run => dry_run::dry_run(&args, &config).await,
        Ok(()) => sweep(&args, &config).await,
    };
    ended.unwrap_or_else(|failure| failure.log())
}

async fn sweep(args: &SweepArgs, config: &Config) -> Result<Exit, Failure> {
    let key = args.report.key()?;
    let capacity = usize::from(worker::prefetch(config));
    let settings = args.settings(config, capacity);
    let mut signals = StopSignals::listen().map_err(WorkerError::Signals)?;
    // SIGHUP never makes a sweep reload.
    let reload_signals = ReloadSignals::listen(Hangup::Stops);
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
    let running = RunningSweep::start(engine, opened, args.admin, reload_signals).await?;
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
    let (report, faults) = finish::report(args, config, key, &ended, &calls).await?;
    warn_of_failures(ended.counters.failures.untold(), report.failed_lines.as_deref());
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

/// Tells how many lines failed after the first few, and where they are listed.
fn warn_of_failures(untold: u64, list: Option<&str>) {
    if untold > 0 {
        let list = list.map_or_else(String::new, |list| format!("; {list} lists all of them"));
        let lines = if untold == 1 { "line" } else { "lines" };
        warn!("{untold} more {lines} failed{list}");
    }
}

fn print(args: &SweepArgs, result: &(impl Serialize + Display)) -> Result<(), Failure> {
    let text = if args.output.is_json() { output::json(result) } else { result.to_string() };
    Ok(output::print(&text)?)
}

fn exit_code(report: &SweepReport) -> Exit {
    match (report.finished, report.lines.failed()) {
        (false, _) => Exit::Failed,
        (true, 0) => Exit::Done,
        (true, _) => Exit::Partly,
    }
}
