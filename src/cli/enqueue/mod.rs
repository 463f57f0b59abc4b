//! `revoker enqueue`: publishes the jobs of a file or of standard input, each confirmed by its queue.

mod args;
mod count;
mod outlet;
mod publishing;
mod refused;
mod resume;

use std::{convert::Infallible, env, io, sync::Arc, time::Duration};

use thiserror::Error;
use tokio::{sync::watch, task::spawn_blocking, time::sleep};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::{
    Exit, output,
    places::{self, CommandFile, SameFile},
    progress::FileProgress,
};
use crate::{
    broker::{self, PrepareError, TopologyError},
    config::Config,
    domain::{ErrorChain, JobDefaults},
    input::{self, Feed, OpenError, ReadError},
    worker::StopSignals,
};

pub use args::Args;
use count::{Count, GoOn};
use outlet::Outlet;
use publishing::Publishing;

/// After the first signal, what was sent and is not confirmed gets this long.
const GRACE: Duration = Duration::from_secs(5);

/// Stands for the worker's own audience. What it will be, nobody here can know, so a job that names
/// none is never taken for a duplicate of one that does. No audience is a NUL.
const WORKERS_AUDIENCE: &str = "\0";

/// Why it ended before the last line.
#[derive(Debug, Error)]
enum Failure {
    #[error("{0}")]
    Open(String, #[source] OpenError),
    #[error("{0}")]
    Read(String, #[source] ReadError),
    #[error("the broker does not take jobs")]
    Prepare(#[from] PrepareError),
    #[error("the system does not give what is needed")]
    System(#[from] io::Error),
    #[error(transparent)]
    Places(#[from] SameFile),
    #[error("interrupted")]
    Interrupted,
}

impl Failure {
    /// A file that is no file of jobs is wrong usage, a topology that differs a wrong configuration.
    fn exit_code(&self) -> Exit {
        match self {
            Self::Open(..)
            | Self::Places(_)
            | Self::Prepare(PrepareError::Topology(TopologyError::Differs { .. })) => Exit::Usage,
            _ => Exit::Failed,
        }
    }

    /// Whether the file ends at the same place until it is mended.
    fn is_of_the_content(&self) -> bool {
        matches!(self, Self::Read(_, fault) if fault.is_of_the_content())
    }

    /// Whether there is anything to go on from.
    fn ends_midway(&self) -> bool {
        matches!(self, Self::Read(..) | Self::Interrupted)
    }
}

/// Publishes every job of the file; exits 3 if lines were refused, 1 if it did not come to the end.
pub async fn run(args: Args, config: Config) -> Exit {
    let counts = watch::Sender::new(Count { next_line: args.from_line.get(), ..Count::default() });
    let result = enqueue(&args, Arc::new(config.broker), &counts).await;
    let count = counts.borrow().clone();
    let go_on = match &result {
        Err(failure) if failure.ends_midway() && !args.dry_run => Some(GoOn {
            command: resume::command(env::args_os(), count.next_line),
            mended: failure.is_of_the_content(),
        }),
        _ => None,
    };
    let printed = output::print(&count.report(&args, result.is_ok(), go_on.as_ref()));
    if let Some(expired) = count.expiry() {
        warn!("{expired}");
    }
    if let Some(warning) = count.remarks.warning() {
        warn!("{warning}");
    }
    if printed.is_err() && !args.dry_run {
        // Who took this for a failure to publish would publish everything twice.
        let Count { enqueued, refused, next_line, .. } = count;
        warn!(
            enqueued,
            refused, "the summary is lost; every line before {next_line} is dealt with"
        );
    }
    let code = match result {
        Ok(()) if count.refused > 0 => Exit::Partly,
        Ok(()) => Exit::Done,
        Err(failure) => {
            error!("{}", ErrorChain(&failure));
            failure.exit_code()
        }
    };
    output::exit_code(printed, code)
}

async fn enqueue(
    args: &Args,
    settings: Arc<broker::BrokerSettings>,
    counts: &watch::Sender<Count>,
) -> Result<(), Failure> {
    let list = args.refused_file();
    places::check(&[
        CommandFile { role: "the input", path: &args.file },
        CommandFile { role: "the list of refused lines", path: &list },
    ])?;
    let signals = StopSignals::listen()?;
    let (stop, give_up) = (CancellationToken::new(), CancellationToken::new());
    let work = async {
        let prepare = async {
            let (lines, skipped) = open(args).await?;
            counts.send_modify(|count| count.skipped = skipped);
            Ok::<_, Failure>((lines, Outlet::open(args, settings).await?))
        };
        let (lines, mut outlet) = tokio::select! {
            prepared = prepare => prepared?,
            () = stop.cancelled() => return Err(Failure::Interrupted),
        };
        let progress = FileProgress::new("enqueue", lines.progress());
        let publishing = Publishing {
            args,
            feed: Feed::start(lines)?,
            outlet: &mut outlet,
            counts,
            stop: &stop,
            give_up: &give_up,
        };
        let result = tokio::select! {
            result = publishing.run() => result,
            never = progress.show(|| counts.borrow().state()) => match never {},
        };
        outlet.close().await;
        result
    };
    tokio::select! {
        result = work => result,
        never = interrupts(signals, &stop, &give_up) => match never {},
    }
}

/// The first signal stops; some time after it, or with the second, what is not confirmed is given up.
async fn interrupts(
    mut signals: StopSignals,
    stop: &CancellationToken,
    give_up: &CancellationToken,
) -> Infallible {
    signals.next().await;
    warn!("interrupted: what was sent gets a moment to be confirmed; a second signal ends that");
    stop.cancel();
    tokio::select! {
        () = signals.next() => {}
        () = sleep(GRACE) => {}
    }
    give_up.cancel();
    std::future::pending().await
}

/// Opens the input, whose beginning may be a while in coming, and skips what is done already; returns
/// how much that was.
///
/// What is skipped does not count for duplicates: a job from there on is never dropped for one that
/// this run did not publish.
async fn open(args: &Args) -> Result<(input::Lines, u64), Failure> {
    let defaults = JobDefaults { audience: WORKERS_AUDIENCE.into(), client_id: None };
    let options = args.options(defaults);
    let (file, name, from_line) = (args.file.clone(), args.input_name(), args.from_line.get());
    let opening = spawn_blocking(move || {
        let opened = input::open(&file, &options);
        let mut lines = opened.map_err(|fault| Failure::Open(name.clone(), fault))?;
        let skipped = lines.skip_before(from_line).map_err(|fault| Failure::Read(name, fault))?;
        Ok((lines, skipped))
    });
    opening.await.map_err(io::Error::from)?
}
