//! From the lines of a file to jobs, a block at a time: what ended before is passed over, what is no job
//! is noted, and what is called is marked first.

use std::{sync::Arc, time::SystemTime};

use super::{
    journal::{Entry, Fate, Open, Past, Record, Standing, What},
    tally::Tally,
};
use crate::{
    domain::{Ending, History, JobKey},
    input::{Kind, Line, ReadError},
};

/// Jobs and entries of a block. Each block costs one sync before its jobs may be called, and its lines
/// are in doubt after a crash.
pub const BLOCK_LINES: usize = 1024;

/// Bytes of jobs after which a block is closed, so that memory does not grow with what lines hold.
const BLOCK_BYTES: usize = 1 << 20;

/// Lines that are looked at for one block. Whoever stops a sweep that passes over a million lines that
/// ended before must not wait for all of them.
const BLOCK_LOOKS: usize = 16 * BLOCK_LINES;

/// A job to be called.
pub struct Found {
    /// Its line.
    pub line: u64,
    /// What it is known again by.
    pub key: JobKey,
    /// The job.
    pub body: Vec<u8>,
    /// What happened to it before.
    pub history: History,
    /// It may have been called in a run that did not come to note it.
    pub in_doubt: bool,
}

/// The jobs of some lines, and what the journal has to say before they may be called.
#[derive(Default)]
pub struct Block {
    /// To be on disk first.
    pub records: Vec<Record>,
    /// The jobs.
    pub jobs: Vec<Found>,
}

/// What reads blocks. It blocks its thread.
pub trait Blocks: Send + 'static {
    /// The next block; `None` at the end.
    ///
    /// # Errors
    ///
    /// [`InputFault`]; there are no blocks after it.
    fn next(&mut self) -> Result<Option<Block>, InputFault>;
}

/// Why the rest of the input cannot be swept.
#[derive(Debug, thiserror::Error)]
pub enum InputFault {
    /// It cannot be opened again.
    #[error("the input cannot be opened again")]
    Open(#[from] crate::input::OpenError),
    /// It cannot be read.
    #[error("the input is not whole")]
    Read(#[from] ReadError),
    /// Somebody wrote to it.
    #[error("the input was changed while it was swept; what was done so far stands in the journal")]
    Changed,
}

/// Reads the lines in their order, once.
pub struct Scan<L> {
    lines: L,
    past: Arc<Past>,
    tally: Arc<Tally>,
    retry_failed: bool,
}

impl<L: Iterator<Item = Result<Line, ReadError>> + Send + 'static> Scan<L> {
    /// A scan of these lines by what the journal knows of them. With `retry_failed`, lines that failed
    /// are taken up again.
    #[must_use]
    pub const fn new(lines: L, past: Arc<Past>, tally: Arc<Tally>, retry_failed: bool) -> Self {
        Self { lines, past, tally, retry_failed }
    }

    /// How a line is to be taken up; `None` if it has ended.
    fn taken_up(&self, line: u64) -> Option<Open> {
        let fresh = Open { history: History::default(), in_doubt: false };
        match self.past.standing(line) {
            Standing::Fresh => Some(fresh),
            Standing::InDoubt => Some(Open { in_doubt: true, ..fresh }),
            Standing::Open(open) => Some(open),
            Standing::Ended(Fate::Failed(_, ambiguity)) if self.retry_failed => {
                let history = History { ambiguity, ..History::default() };
                Some(Open { history, in_doubt: false })
            }
            Standing::Ended(_) => None,
        }
    }
}

impl<L: Iterator<Item = Result<Line, ReadError>> + Send + 'static> Blocks for Scan<L> {
    fn next(&mut self) -> Result<Option<Block>, InputFault> {
        let mut block = Building::default();
        let mut looked_at = 0;
        while looked_at < BLOCK_LOOKS && !block.is_full() {
            let Some(line) = self.lines.next() else { break };
            let Line { number, kind } = line?;
            looked_at += 1;
            let Some(Open { history, in_doubt }) = self.taken_up(number) else { continue };
            let standing = self.past.standing(number);
            if let Standing::Ended(fate) = standing {
                self.tally.reopened(fate);
            }
            if matches!(standing, Standing::Ended(_) | Standing::Open(_)) {
                block.again.push(number);
            }
            block.last = number;
            let now = SystemTime::now();
            let what = match kind {
                Kind::Job(job) if !self.past.proves(&job.key) => {
                    block.bytes += job.body.as_bytes().len();
                    let (key, body) = (job.key, job.body.into_bytes());
                    block.jobs.push(Found { line: number, key, body, history, in_doubt });
                    continue;
                }
                Kind::Job(job) => {
                    let what = What::Ended(Ending::Duplicate);
                    Entry::without_a_call(number, Some(job.key), what, now)
                }
                Kind::Duplicate => Entry::without_a_call(number, None, What::Repeated, now),
                Kind::Refused(refusal) => Entry::refused(number, refusal.to_string(), now),
            };
            if let Some(fate) = Fate::of(&what.what, None) {
                self.tally.ended(fate);
            }
            block.entries.push(Record::Entry(what));
        }
        Ok((looked_at > 0).then(|| block.finish(self.past.started())))
    }
}

/// A block that is not complete yet.
#[derive(Default)]
struct Building {
    again: Vec<u64>,
    entries: Vec<Record>,
    jobs: Vec<Found>,
    bytes: usize,
    last: u64,
}

impl Building {
    fn is_full(&self) -> bool {
        self.jobs.len() + self.entries.len() >= BLOCK_LINES || self.bytes >= BLOCK_BYTES
    }

    /// What was in doubt before stays so: the mark never goes back here.
    fn finish(self, started_before: u64) -> Block {
        let mut records = Vec::new();
        if !self.jobs.is_empty() || !self.entries.is_empty() {
            records.push(Record::Started(self.last.max(started_before)));
        }
        if !self.again.is_empty() {
            records.push(Record::Again(self.again));
        }
        records.extend(self.entries);
        Block { records, jobs: self.jobs }
    }
}
