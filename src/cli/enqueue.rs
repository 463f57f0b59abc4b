//! `revoker enqueue`: publishes jobs from a file or standard input, each confirmed by its queue.

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use thiserror::Error;
use tokio::{
    fs::File,
    io::{AsyncBufReadExt, AsyncRead, BufReader},
};
use tracing::error;

use super::{EXIT_USAGE, signals::Endings};
use crate::{
    broker::{PrepareError, Producer, TopologyError},
    config::Config,
    domain::Lane,
    metrics::{Build, Metrics},
};

/// Jobs on their way that are not confirmed yet: enough to keep the broker busy.
const UNCONFIRMED: usize = 1024;

/// Publishes jobs, one JSON object per line, and waits for the broker's confirm of each.
///
/// Lines are published as they are: what is not a job becomes a dead letter that says why. Blank lines
/// are skipped.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
                        echo '{\"refresh_token\":\"...\"}' | revoker enqueue --lane interactive -")]
pub struct Args {
    /// The file to read; - for standard input
    #[arg(value_name = "FILE|-", default_value = "-")]
    file: PathBuf,

    /// The lane to publish into
    #[arg(long, default_value = "bulk", value_parser = lane)]
    lane: Lane,
}

fn lane(name: &str) -> Result<Lane, String> {
    Lane::from_name(name).ok_or_else(|| {
        let names = Lane::ALL.map(Lane::as_str).join(" or ");
        format!("expected {names}")
    })
}

/// How far it came.
#[derive(Debug, Default)]
struct Count {
    confirmed: u64,
}

/// Publishes every line; exits 1 if it could not.
pub async fn run(args: Args, config: Config) -> ExitCode {
    let mut count = Count::default();
    let result = tokio::select! {
        result = enqueue(&args, config, &mut count) => result,
        interrupted = interrupted() => interrupted,
    };
    let Count { confirmed } = count;
    // Whoever closed standard output still gets the exit code.
    drop(writeln!(io::stdout(), "{confirmed} jobs enqueued into the {} lane", args.lane));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(refusal) => {
            error!("{refusal}");
            refusal.exit_code()
        }
    }
}

/// Why not every job is in its queue.
#[derive(Debug, Error)]
enum EnqueueError {
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    #[error("{0}")]
    Failed(String),
}

impl EnqueueError {
    /// A topology that differs is a fault of configuration.
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Prepare(PrepareError::Topology(TopologyError::Differs { .. })) => {
                ExitCode::from(EXIT_USAGE)
            }
            Self::Prepare(_) | Self::Failed(_) => ExitCode::FAILURE,
        }
    }
}

impl From<String> for EnqueueError {
    fn from(what: String) -> Self {
        Self::Failed(what)
    }
}

async fn interrupted() -> Result<(), EnqueueError> {
    match Endings::listen() {
        Ok(mut endings) => endings.next().await,
        Err(error) => return Err(format!("signals cannot be listened for: {error}").into()),
    }
    let said = "interrupted: a few more jobs than were counted may have reached the queue";
    Err(said.to_owned().into())
}

async fn enqueue(args: &Args, config: Config, count: &mut Count) -> Result<(), EnqueueError> {
    let input = open(&args.file).await?;
    let metrics = Metrics::new(Build { version: env!("CARGO_PKG_VERSION"), revision: "unknown" })
        .map_err(|error| format!("the metrics cannot be declared: {error}"))?;
    let settings = Arc::new(config.broker);
    let (producer, publishing) = Producer::new(&settings, Arc::new(metrics));
    producer.prepare(&settings).await?;
    let (published, ()) = tokio::join!(publish(args, input, producer, count), publishing.run());
    Ok(published?)
}

/// Takes the producer: when it is dropped, the publishing task ends.
async fn publish(
    args: &Args,
    input: impl AsyncRead + Unpin,
    producer: Producer,
    count: &mut Count,
) -> Result<(), String> {
    let mut lines = BufReader::new(input).split(b'\n');
    let mut unconfirmed = FuturesUnordered::new();
    let mut number = 0u64;
    loop {
        let line = lines.next_segment().await.map_err(|error| {
            format!("{}: line {} cannot be read: {error}", args.file.display(), number + 1)
        })?;
        let Some(line) = line else { break };
        number += 1;
        if line.trim_ascii().is_empty() {
            continue;
        }
        unconfirmed.push(producer.publish(args.lane, line));
        while unconfirmed.len() >= UNCONFIRMED {
            confirm(&mut unconfirmed, count).await?;
        }
    }
    while !unconfirmed.is_empty() {
        confirm(&mut unconfirmed, count).await?;
    }
    Ok(())
}

async fn confirm<F>(unconfirmed: &mut FuturesUnordered<F>, count: &mut Count) -> Result<(), String>
where
    F: Future<Output = Result<(), crate::broker::Closed>>,
{
    if let Some(confirmed) = unconfirmed.next().await {
        confirmed.map_err(|closed| closed.to_string())?;
        count.confirmed += 1;
    }
    Ok(())
}

async fn open(file: &Path) -> Result<Box<dyn AsyncRead + Unpin>, String> {
    if file == Path::new("-") {
        return Ok(Box::new(tokio::io::stdin()));
    }
    match File::open(file).await {
        Ok(open) => Ok(Box::new(open)),
        Err(error) => Err(format!("{}: {error}", file.display())),
    }
}
