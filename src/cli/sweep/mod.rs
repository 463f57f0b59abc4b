//! `revoker sweep`: revokes the tokens of a file, with a journal in place of a queue.

mod args;
mod dry_run;
mod finish;
mod guard;
mod progress;
mod report_file;

use std::{fmt::Display, io, path::PathBuf, sync::Arc};

use serde::Serialize;
use thiserror::Error;
use tokio::task::{JoinError, spawn_blocking};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{
    Exit,
    job_file::warn_of_lines,
    output::{self, OutputError},
    places::SameFile,
};
use crate::{
    config::Config,
    domain::ErrorChain,
    input::ReadError,
    spans::Spans,
    sweep::{
        self, BeginError, Calls, CountedEndpoint, OpenedSweep, SweepReport, journal::RecoverError,
    },
    worker::{self, RunningSweep, StopSignals, SweepError, WorkerError},
};

pub use args::SweepArgs;
use guard::RevocationGuard;
use progress::SweepProgress;

/// Why a sweep failed.
#[derive(Debug, Error)]
enum SweepFailure {
    #[error(transparent)]
    Begin(#[from] BeginError),
    #[error(transparent)]
    Worker(#[from] WorkerError),
    #[error(transparent)]
    Sweep(#[from] SweepError),
    #[error("the input")]
    Read(#[source] ReadError),
    #[error(transparent)]
    Places(#[from] SameFile),
    #[error("the journal {}", .0.display())]
    ReadBack(PathBuf, #[source] RecoverError),
    #[error("{} cannot be written", .0.display())]
    Output(PathBuf, #[source] io::Error),
    #[error(transparent)]
    Print(#[from] OutputError),
    #[error("a part of the sweep failed")]
    Panic(#[from] JoinError),
    #[error("the calls cannot be timed")]
    Timing(#[from] hdrhistogram::CreationError),
    #[error("interrupted before the first call")]
    Interrupted,
}

impl SweepFailure {
    fn exit_code(&self) -> Exit {
        let usage = match self {
            Self::Begin(begin) => begin.is_usage(),
            Self::Worker(fault) => fault.is_usage(),
            Self::Places(_) => true,
            _ => false,
        };
        Exit::of_failure(usage)
    }
}

pub async fn run(args: SweepArgs, mut config: Config) -> Exit {
    args.apply(&mut config);
    let ended = match args.check_places() {
        Err(fault) => Err(fault.into()),
        Ok(()) if args.dry_run => dry_run::run(&args, &config).await,
        Ok(()) => sweep(&args, &config).await,
    };
    ended.unwrap_or_else(|failure| {
        tell(&failure);
        failure.exit_code()
    })
}

async fn sweep(args: &SweepArgs, config: &Config) -> Result<Exit, SweepFailure> {
    let capacity = usize::from(worker::prefetch(config));
    let settings = args.settings(config, capacity);
    let mut signals = StopSignals::listen().map_err(WorkerError::Signals)?;
    let calls = Arc::new(Calls::new()?);
    let counted = Arc::clone(&calls);
    // Before the journal: a faulty configuration must not leave one behind.
    let engine = worker::assemble(config, Spans::none(), false, |endpoint| {
        CountedEndpoint::new(endpoint, counted)
    })?;
    let (flow, pauses) = (Arc::clone(&engine.flow), Arc::clone(&engine.client_pauses));
    let guard = RevocationGuard::new(Arc::clone(&flow), pauses, &args.input.file);
    let opened = tokio::select! {
        opened = spawn_blocking(move || sweep::begin(&settings)) => opened??,
        () = signals.next() => return Err(SweepFailure::Interrupted),
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
            "ended at once by a second signal: the same command goes on, and some calls are made twice"
        );
        return Ok(Exit::Failed);
    };
    let (report, faults) = finish::report(args, &ended, &calls).await?;
    let printed = print(args, &report);
    warn_of_lines(report.expiry(), &report.this_run.remarks);
    let faults: Vec<SweepFailure> =
        faults.into_iter().chain(printed.err()).chain(ended.result.err().map(Into::into)).collect();
    faults.iter().for_each(tell);
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

fn tell(failure: &SweepFailure) {
    error!("{}", ErrorChain(failure));
}

fn announce(opened: &OpenedSweep) {
    if opened.resumed {
        let counts = opened.counters.counts().lines;
        info!(ended = counts.all(), failed = counts.failed(), "going on with the journal");
    }
}

fn print(args: &SweepArgs, result: &(impl Serialize + Display)) -> Result<(), SweepFailure> {
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
