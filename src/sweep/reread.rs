//! Reads single lines of the input again: those of jobs that come back from a stay.
//!
//! An offset for each line would be quicker, but means nothing in a compressed file, and a token that
//! waits for an hour is better not held in memory for as long.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use super::{
    identity::Stamp,
    journal::Record,
    scan::{Block, Blocks, Found, InputFault},
};
use crate::{
    domain::History,
    input::{self, Kind, Lines, Options},
};

/// Where and how the input is read again.
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
    /// Fails if somebody wrote to the file since the beginning: its lines would be other ones.
    ///
    /// # Errors
    ///
    /// [`InputFault::Changed`], also if it is gone.
    pub fn check(&self) -> Result<(), InputFault> {
        match Stamp::of(&self.path) {
            Ok(stamp) if stamp == self.stamp => Ok(()),
            _ => Err(InputFault::Changed),
        }
    }
}

/// Reads the wanted lines, all in one block.
pub struct Reread {
    input: Rereadable,
    wanted: BTreeMap<u64, History>,
}

impl Reread {
    /// Wants these lines; a block of them at most.
    #[must_use]
    pub const fn new(input: Rereadable, wanted: BTreeMap<u64, History>) -> Self {
        Self { input, wanted }
    }

    fn take(&mut self, lines: Lines) -> Result<Vec<Found>, InputFault> {
        let mut jobs = Vec::new();
        for line in lines {
            let line = line?;
            if let Some(history) = self.wanted.remove(&line.number)
                && let Kind::Job(job) = line.kind
            {
                let (key, body) = (job.key, job.body.into_bytes());
                jobs.push(Found { line: line.number, key, body, history, in_doubt: false });
            }
            if self.wanted.is_empty() {
                return Ok(jobs);
            }
        }
        // A line that was there is not.
        Err(InputFault::Changed)
    }
}

impl Blocks for Reread {
    fn next(&mut self) -> Result<Option<Block>, InputFault> {
        if self.wanted.is_empty() {
            return Ok(None);
        }
        let lines = input::open(&self.input.path, &self.input.options)?;
        let jobs = self.take(lines)?;
        // Behind the reading: a change that came amid it is seen as well.
        self.input.check()?;
        Ok(Some(again(jobs)))
    }
}

/// Jobs that were kept, in one block.
pub struct AtHand(Vec<Found>);

impl AtHand {
    /// These.
    #[must_use]
    pub const fn new(jobs: Vec<Found>) -> Self {
        Self(jobs)
    }
}

impl Blocks for AtHand {
    fn next(&mut self) -> Result<Option<Block>, InputFault> {
        let jobs = std::mem::take(&mut self.0);
        Ok((!jobs.is_empty()).then(|| again(jobs)))
    }
}

/// The block of jobs that come again.
fn again(jobs: Vec<Found>) -> Block {
    let lines = jobs.iter().map(|job| job.line).collect();
    Block { records: vec![Record::Again(lines)], jobs }
}
