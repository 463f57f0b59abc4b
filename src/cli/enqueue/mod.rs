//! `revoker enqueue`: publishes the jobs of a file or of standard input, each confirmed by its queue.

mod args;
mod counts;
mod publishing;
mod refused;
mod sink;

use std::{convert::Infallible, env, io, sync::Arc, time::Duration};

use thiserror::Error;
use tokio::{sync::watch, task::spawn_blocking, time::sleep};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::{
    exit::{Exit, is_topology},
    job_file::{resume_command, warn_of_lines},
    json_list::JsonList,
    output,
    places::{self, SameFile},
    progress::show_file,
    whole_file::{OWNER_ONLY, WholeFile},
};
use crate::{
    broker::{self, PrepareError},
    config::Config,
    domain::{ErrorChain, JobDefaults},
    input::{self, Feed, InputOpenError, ReadError},
    worker::StopSignals,
};

pub use args::EnqueueArgs;
use counts::{EnqueueCounts, ResumeCommand};
use publishing::EnqueueRun;
use sink::JobSink;

/// After the first signal, the time for the broker to confirm the sent jobs.
const GRACE: Duration = Duration::from_secs(5);

/// Stands for the worker's default audience, which this command does not know. A job without an audience is
/// therefore never a duplicate of a job with one. No real audience is a NUL.
const WORKERS_AUDIENCE: &str = "\0";

#[derive(Debug, Error)]
enum EnqueueFailure {
    #[error("{0}")]
    Open(String, #[source] InputOpenError),
    #[error("{0}")]
    Read(String, #[source] ReadError),
    #[error("the broker does not take jobs")]
    Prepare(#[from] PrepareError),
    #[error("the system reports an error")]
    System(#[from] io::Error),
    #[error(transparent)]
    Places(#[from] SameFile),
    #[error("interrupted")]
    Interrupted,
}

impl EnqueueFailure {
    fn exit_code(&self) -> Exit {
        match self {
            Self::Open(..) | Self::Places(_) => Exit::Usage,
            Self::Prepare(fault) => Exit::of_failure(is_topology(fault)),
            _ => Exit::Failed,
        }
    }

    /// Whether the file's content is at fault: another run would end at the same line.
    fn is_of_the_content(&self) -> bool {
        matches!(self, Self::Read(_, fault) if fault.is_of_the_content())
    }

    /// Whether a command can resume from a line.
    fn ends_midway(&self) -> bool {
        matches!(self, Self::Read(..) | Self::Interrupted)
    }
}

/// Publishes every job of the file. Exits with 3 if lines were refused, with 1 if lines remain.
pub async fn run(args: EnqueueArgs, config: Config) -> Exit {
    let counts = watch::Sender::new(EnqueueCounts {
        next_line: args.from_line.get(),
        ..EnqueueCounts::default()
    });
    let token_max = config.pipeline.defaults.token_max;
    // A dry run writes no file, so its output lists the refused lines.
    let is_listed = args.dry_run && args.output.is_json();
    let mut list = is_listed.then(|| JsonList::new("refused_lines"));
    let result = enqueue(&args, token_max, Arc::new(config.broker), &counts, list.as_mut()).await;
    let count = counts.borrow().clone();
    let resume = match &result {
        Err(failure) if failure.ends_midway() && !args.dry_run => Some(ResumeCommand {
            command: resume_command(
                env::args_os(),
                &[("--from-line", Some(count.next_line.to_string()))],
            ),
            needs_repair: failure.is_of_the_content(),
        }),
        _ => None,
    };
    let (summary, printed) = if let Some(list) = list {
        let summary = count.json_report(&args, result.is_ok(), resume.as_ref());
        (output::json(&summary), list.end(&summary))
    } else {
        let summary = count.report(&args, result.is_ok(), resume.as_ref());
        let printed = output::print(&summary);
        (summary, printed)
    };
    if printed.is_err() && resume.is_some() {
        keep_summary(&args, &summary);
    }
    warn_of_lines(count.expiry(), &count.remarks);
    if printed.is_err() && !args.dry_run {
        // If this were reported as a failure to publish, an operator might publish every job twice.
        let EnqueueCounts { enqueued, refused, next_line, .. } = count;
        warn!(enqueued, refused, "the summary is lost; every line before {next_line} is finished");
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

/// Writes the summary of an interrupted run to a file. Its terminal may be closed, and only the summary says where to
/// resume.
fn keep_summary(args: &EnqueueArgs, summary: &str) {
    let path = args.summary_file();
    let kept = WholeFile::create(&path, OWNER_ONLY).and_then(|mut file| {
        file.write(summary)?;
        file.keep(true)
    });
    let path = path.display();
    match kept {
        Ok(()) => warn!("the summary could not be printed; it is in {path}"),
        Err(error) => warn!("the summary could not be printed, nor written to {path}: {error}"),
    }
}

async fn enqueue(
    args: &EnqueueArgs,
    token_max: usize,
    settings: Arc<broker::BrokerSettings>,
    counts: &watch::Sender<EnqueueCounts>,
    printed: Option<&mut JsonList>,
) -> Result<(), EnqueueFailure> {
    let list = args.refused_file();
    places::check(&[("the input", &args.input.file), ("the list of refused lines", &list)])?;
    let signals = StopSignals::listen()?;
    let (stop, give_up) = (CancellationToken::new(), CancellationToken::new());
    let work = async {
        let prepare = async {
            let (lines, skipped) = open(args, token_max).await?;
            counts.send_modify(|count| count.skipped = skipped);
            Ok::<_, EnqueueFailure>((lines, JobSink::open(args, settings).await?))
        };
        let (lines, mut sink) = tokio::select! {
            prepared = prepare => prepared?,
            () = stop.cancelled() => return Err(EnqueueFailure::Interrupted),
        };
        let progress = lines.progress();
        let publishing = EnqueueRun {
            args,
            feed: Feed::start(lines)?,
            sink: &mut sink,
            printed,
            counts,
            stop: &stop,
            give_up: &give_up,
        };
        let result = tokio::select! {
            result = publishing.run() => result,
            never = show_file("enqueue", &progress, || counts.borrow().state()) => match never {},
        };
        sink.close().await;
        result
    };
    tokio::select! {
        result = work => result,
        never = interrupts(signals, &stop, &give_up) => match never {},
    }
}

/// The first signal stops. The second one, or the end of the grace, gives up the unconfirmed jobs.
async fn interrupts(
    mut signals: StopSignals,
    stop: &CancellationToken,
    give_up: &CancellationToken,
) -> Infallible {
    signals.next().await;
    warn!("interrupted: waiting for the confirms of sent jobs; a second signal ends the wait");
    stop.cancel();
    tokio::select! {
        () = signals.next() => {}
        () = sleep(GRACE) => {}
    }
    give_up.cancel();
    std::future::pending().await
}

/// Opens the input, which may block, and skips the lines before `--from-line`. Returns the number of skipped lines.
///
/// Skipped lines do not count for duplicates: this run did not publish them.
async fn open(
    args: &EnqueueArgs,
    token_max: usize,
) -> Result<(input::InputLines, u64), EnqueueFailure> {
    let defaults = JobDefaults { audience: WORKERS_AUDIENCE.into(), client_id: None, token_max };
    let options = args.input.options(defaults);
    let (file, name, from_line) =
        (args.input.file.clone(), args.input_name(), args.from_line.get());
    let opening = spawn_blocking(move || {
        let opened = input::open(&file, &options);
        let mut lines = opened.map_err(|fault| EnqueueFailure::Open(name.clone(), fault))?;
        let skipped =
            lines.skip_before(from_line).map_err(|fault| EnqueueFailure::Read(name, fault))?;
        Ok((lines, skipped))
    });
    opening.await.map_err(io::Error::from)?
}
