//! Reads blocks of jobs: all lines in order, or delayed jobs again.
//!
//! A delayed job is read from its file again. An offset for each line would be faster, but a compressed file does not
//! support it. A token that waits for an hour should not be in memory that long.

use std::{collections::BTreeMap, io, path::PathBuf, sync::Arc};

use thiserror::Error;
use tokio::task::{JoinError, spawn_blocking};

use super::{
    identity::Stamp,
    journal::JournalRecord,
    scan::{Block, Scan, SweepJob},
};
use crate::{
    domain::History,
    input::{self, Feed, InputOpenError, LineKind, NotAscending, Options, ReadError},
    ports::{Clock, SystemClock},
};

/// The error that ends reading.
#[derive(Debug, Error)]
pub enum InputFault {
    #[error("the input cannot be opened again")]
    Open(#[from] InputOpenError),
    #[error("the input")]
    Read(#[from] ReadError),
    /// A bug.
    #[error("the rest of the input cannot be swept, and was not called")]
    Order(#[from] NotAscending),
    #[error("the input was changed while it was swept; the journal has the results so far")]
    Changed,
    #[error("the thread that reads the input cannot be started")]
    Thread(#[source] io::Error),
    /// A bug.
    #[error("the reader of the input failed")]
    Panic(#[from] JoinError),
}

/// An input that can be read again.
#[derive(Debug, Clone)]
pub struct Rereadable {
    pub path: PathBuf,
    pub options: Arc<Options>,
    /// The state of the file at the beginning.
    pub stamp: Stamp,
}

impl Rereadable {
    /// Fails if the file was changed: its lines may differ.
    fn check(&self) -> Result<(), InputFault> {
        match Stamp::of(&self.path) {
            Ok(stamp) if stamp == self.stamp => Ok(()),
            _ => Err(InputFault::Changed),
        }
    }

    async fn read(&self) -> Result<Feed, InputFault> {
        let (path, options) = (self.path.clone(), Arc::clone(&self.options));
        let lines = spawn_blocking(move || input::open(&path, &options)).await??;
        Feed::start(lines).map_err(InputFault::Thread)
    }
}

pub enum BlockReader {
    /// All lines, once.
    Lines {
        feed: Feed,
        scan: Scan,
        /// `None` for a pipe.
        file: Option<Rereadable>,
    },
    /// The jobs of these lines, for one block.
    Again(Rereadable, BTreeMap<u64, History>),
    /// Kept jobs, for one block.
    Kept(Vec<SweepJob>),
}

impl BlockReader {
    /// Returns the next block; `None` at the end. There are no blocks after an error.
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
                // The check comes after the read, so that it also finds a change during the read.
                file.check()?;
                Ok(Some(again(jobs)))
            }
            Self::Kept(jobs) if jobs.is_empty() => Ok(None),
            Self::Kept(jobs) => Ok(Some(again(std::mem::take(jobs)))),
        }
    }
}

/// Reads up to the last of the wanted lines.
async fn find(
    mut feed: Feed,
    wanted: &mut BTreeMap<u64, History>,
) -> Result<Vec<SweepJob>, InputFault> {
    let mut jobs = Vec::new();
    while !wanted.is_empty() {
        let lines = feed.next().await?;
        if lines.is_empty() {
            return Err(InputFault::Changed);
        }
        for line in lines {
            if let Some(history) = wanted.remove(&line.number) {
                // The line held a job before.
                let LineKind::Job(found) = line.kind else { return Err(InputFault::Changed) };
                jobs.push(SweepJob::again(line.number, Arc::new(found.job), history));
            }
        }
    }
    Ok(jobs)
}

fn again(jobs: Vec<SweepJob>) -> Block {
    let lines = jobs.iter().map(|job| job.line).collect();
    Block { records: vec![JournalRecord::Again(lines)], jobs }
}
