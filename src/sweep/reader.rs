//! Where blocks come from: the lines in their order, or single lines again.
//!
//! A job that comes back from a stay is read from its file again. An offset for each line would be
//! quicker, but means nothing in a compressed file; and a token that waits for an hour is better not held
//! in memory for as long.

use std::{collections::BTreeMap, io, path::PathBuf, sync::Arc};

use thiserror::Error;
use tokio::task::{JoinError, spawn_blocking};

use super::{
    identity::Stamp,
    journal::Record,
    scan::{Block, Found, Scan},
};
use crate::{
    domain::History,
    input::{self, Feed, Kind, NotAscending, OpenError, Options, ReadError},
    ports::{Clock, SystemClock},
};

/// Why the rest of the input cannot be swept.
#[derive(Debug, Error)]
pub enum InputFault {
    /// It cannot be opened again.
    #[error("the input cannot be opened again")]
    Open(#[from] OpenError),
    /// It cannot be read to its end.
    #[error("the input")]
    Read(#[from] ReadError),
    /// Its lines are not in order, which is this program's fault.
    #[error("the input cannot be swept any further; nothing was called of what comes next")]
    Order(#[from] NotAscending),
    /// Somebody wrote to it.
    #[error("the input was changed while it was swept; what was done so far stands in the journal")]
    Changed,
    /// There can be no more threads.
    #[error("the thread that reads the input cannot be started")]
    Thread(#[source] io::Error),
    /// A fault inside this program.
    #[error("the reader of the input failed")]
    Panic(#[from] JoinError),
}

/// An input that can be read again.
#[derive(Debug, Clone)]
pub struct Rereadable {
    /// The file.
    pub path: PathBuf,
    /// How its lines are read.
    pub options: Arc<Options>,
    /// What it was like in the beginning.
    pub stamp: Stamp,
}

impl Rereadable {
    /// Fails if somebody wrote to the file since the beginning: its lines may be other ones.
    fn check(&self) -> Result<(), InputFault> {
        match Stamp::of(&self.path) {
            Ok(stamp) if stamp == self.stamp => Ok(()),
            _ => Err(InputFault::Changed),
        }
    }

    /// Reads it from its beginning.
    async fn read(&self) -> Result<Feed, InputFault> {
        let (path, options) = (self.path.clone(), Arc::clone(&self.options));
        let lines = spawn_blocking(move || input::open(&path, &options)).await??;
        Feed::start(lines).map_err(InputFault::Thread)
    }
}

/// What reads blocks.
pub enum Reader {
    /// All lines, once.
    Lines {
        /// The lines.
        feed: Feed,
        /// What is known of them.
        scan: Scan,
        /// The file, if it is one.
        file: Option<Rereadable>,
    },
    /// The jobs on these lines, with what happened to them; one block's worth of them.
    Again(Rereadable, BTreeMap<u64, History>),
    /// Jobs that were kept; one block's worth of them.
    Kept(Vec<Found>),
}

impl Reader {
    /// The next block; `None` at the end.
    ///
    /// # Errors
    ///
    /// [`InputFault`]; there are no blocks after it.
    pub async fn next(&mut self) -> Result<Option<Block>, InputFault> {
        match self {
            Self::Lines { feed, scan, file } => {
                let lines = feed.next().await?;
                if lines.is_empty() {
                    file.as_ref().map_or(Ok(()), Rereadable::check)?;
                    return Ok(None);
                }
                Ok(Some(scan.block(lines, SystemClock.now())?))
            }
            Self::Again(_, wanted) if wanted.is_empty() => Ok(None),
            Self::Again(file, wanted) => {
                let jobs = find(file.read().await?, wanted).await?;
                // Behind the reading: a change that came amid it is seen as well.
                file.check()?;
                Ok(Some(again(jobs)))
            }
            Self::Kept(jobs) if jobs.is_empty() => Ok(None),
            Self::Kept(jobs) => Ok(Some(again(std::mem::take(jobs)))),
        }
    }
}

/// Reads until each of the wanted lines was found.
async fn find(
    mut feed: Feed,
    wanted: &mut BTreeMap<u64, History>,
) -> Result<Vec<Found>, InputFault> {
    let mut jobs = Vec::new();
    while !wanted.is_empty() {
        let lines = feed.next().await?;
        if lines.is_empty() {
            return Err(InputFault::Changed);
        }
        for line in lines {
            if let Some(history) = wanted.remove(&line.number) {
                // A line that held a job holds something else.
                let Kind::Job(job) = line.kind else { return Err(InputFault::Changed) };
                jobs.push(Found::again(line.number, job.key, job.body.into_bytes(), history));
            }
        }
    }
    Ok(jobs)
}

/// The block of jobs that come again.
fn again(jobs: Vec<Found>) -> Block {
    let lines = jobs.iter().map(|job| job.line).collect();
    Block { records: vec![Record::Again(lines)], jobs }
}
