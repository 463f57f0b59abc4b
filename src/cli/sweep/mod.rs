//! `revoker sweep`: the engine on a file, with a journal in place of a queue.

mod again;
mod args;
mod dry_run;
mod finish;
mod guard;
mod report_file;
mod running;

use std::{fmt::Display, io, path::PathBuf, sync::Arc};

use serde::Serialize;
use thiserror::Error;
use tokio::task::{JoinError, spawn_blocking};
use tracing::{error, info, warn};

use super::{
    Exit,
    output::{self, OutputError},
    places::SameFile,
};
use crate::{
    config::Config,
    domain::ErrorChain,
    input::{Expired, ReadError, Remarks},
    spans::Spans,
    sweep::{
        self, BeginError, Begun, Calls, Counted, InputFault, LoadError, Report,
        journal::{RecoverError, WriteError},
    },
    worker::{self, StopSignals, WorkerError},
};

pub use args::Args;
use finish::Told;
use guard::Guard;
use running::Running;

/// Why a sweep did not come to its end.
#[derive(Debug, Error)]
enum Failure {
    #[error(transparent)]
    Begin(#[from] BeginError),
    #[error(transparent)]
    Worker(#[from] WorkerError),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error("the input")]
    Read(#[source] ReadError),
    #[error(transparent)]
    Places(#[from] SameFile),
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error("the journal {}", .0.display())]
    ReadBack(PathBuf, #[source] RecoverError),
    #[error("{} cannot be written", .0.display())]
    Output(PathBuf, #[source] io::Error),
    #[error(transparent)]
    Print(#[from] OutputError),
    #[error("a part of the sweep failed")]
    Panic(#[from] JoinError),
    #[error("interrupted before the first call")]
    Interrupted,
}

impl Failure {
    /// Whether the input cannot be swept to its end as it is: a second run would end at the same place.
    fn is_of_the_input(&self) -> bool {
        match self {
            Self::Load(LoadError::Input(fault)) => match fault {
                InputFault::Read(error) => error.is_of_the_content(),
                InputFault::Open(_) | InputFault::Changed => true,
                _ => false,
            },
            _ => false,
        }
    }

    /// What can be mended on the command line or in the configuration is wrong usage.
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

/// Sweeps, or says what would be swept.
pub async fn run(args: Args, mut config: Config) -> Exit {
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

async fn sweep(args: &Args, config: &Config) -> Result<Exit, Failure> {
    let capacity = usize::from(worker::prefetch(config));
    let settings = args.settings(config, capacity);
    let mut signals = StopSignals::listen().map_err(WorkerError::Signals)?;
    let calls = Arc::<Calls>::default();
    let counted = Arc::clone(&calls);
    // Before the journal: a fault of configuration leaves no trace.
    let engine =
        worker::assemble(config, Spans::none(), false, |endpoint| Counted::new(endpoint, counted))?;
    let guard = Arc::new(Guard::new(engine.flow.clone(), engine.client_pauses.clone(), &args.file));
    let begun = tokio::select! {
        begun = spawn_blocking(move || sweep::begin(&settings)) => begun??,
        () = signals.next() => return Err(Failure::Interrupted),
    };
    announce(&begun);
    let running = Running::start(engine, begun, Arc::clone(&guard), args.admin).await?;
    let Some(ended) = running.until_ended(signals, config.shutdown.grace).await? else {
        warn!(
            "ended at once by a second signal: the same command goes on, and some calls are made twice"
        );
        return Ok(Exit::Failed);
    };
    let Told { report, faults } = finish::report(args, &ended, &calls).await?;
    let printed = print(args, &report);
    warn_of_lines(report.expiry(), &report.this_run.remarks);
    let faults: Vec<Failure> =
        faults.into_iter().chain(printed.err()).chain(ended.result.err()).collect();
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

fn tell(failure: &Failure) {
    error!("{}", ErrorChain(failure));
}

fn announce(begun: &Begun) {
    if begun.resumed {
        let counts = begun.tally.counts();
        info!(ended = counts.all(), failed = counts.failed(), "going on with the journal");
    }
}

/// Says it among the logs as well: the report may go to a script, or to a file that nobody reads.
fn warn_of_lines(expired: Option<Expired>, remarks: &Remarks) {
    if let Some(expired) = expired {
        warn!("{expired}");
    }
    if let Some(warning) = remarks.warning() {
        warn!("{warning}");
    }
}

/// Prints where results go.
fn print(args: &Args, result: &(impl Serialize + Display)) -> Result<(), Failure> {
    let text = if args.json { output::json(result) } else { result.to_string() };
    Ok(output::print(&text)?)
}

fn exit_code(report: &Report) -> Exit {
    match (report.finished, report.lines.failed()) {
        (false, _) => Exit::Failed,
        (true, 0) => Exit::Done,
        (true, _) => Exit::Partly,
    }
}
