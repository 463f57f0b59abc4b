//! Jobs that wait for their time: what retry queues are to a broker.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tokio::time::Instant;

use super::scan::Found;
use crate::domain::{History, JobKey};

/// A job that was put off.
pub struct Stay {
    /// Its line.
    pub line: u64,
    /// When it may come again.
    pub until: Instant,
    /// What happened to it so far.
    pub history: History,
    /// The job itself, where it cannot be read again.
    pub kept: Option<Kept>,
}

/// A job that is kept.
pub struct Kept {
    /// What it is known again by.
    pub key: JobKey,
    /// The job.
    pub body: Vec<u8>,
}

impl Kept {
    fn bytes(&self) -> usize {
        size_of::<Self>() + self.body.len()
    }
}

/// So many come again at once at most: their bodies are in memory from then on.
const AT_ONCE: usize = 1024;

/// The jobs that wait, by when they may come again. Of those that can be read again from their file it
/// holds some sixty bytes each.
#[derive(Default)]
pub struct Stays {
    by_time: BTreeSet<(Instant, u64)>,
    jobs: BTreeMap<u64, (History, Option<Kept>)>,
    kept_bytes: usize,
}

impl Stays {
    /// One more.
    pub fn add(&mut self, stay: Stay) {
        self.by_time.insert((stay.until, stay.line));
        self.kept_bytes += stay.kept.as_ref().map_or(0, Kept::bytes);
        self.jobs.insert(stay.line, (stay.history, stay.kept));
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// The bytes of those that are kept.
    #[must_use]
    pub const fn kept_bytes(&self) -> usize {
        self.kept_bytes
    }

    /// When the first of them may come again.
    #[must_use]
    pub fn first(&self) -> Option<Instant> {
        self.by_time.first().map(|(until, _)| *until)
    }

    /// Takes out those whose time has come, the longest waiting first, no more than a block of them.
    pub fn due(&mut self, now: Instant) -> Due {
        let mut due = Due::default();
        while due.len() < AT_ONCE
            && self.first().is_some_and(|until| until <= now)
            && let Some((_, line)) = self.by_time.pop_first()
        {
            match self.jobs.remove(&line) {
                Some((history, Some(kept))) => {
                    self.kept_bytes = self.kept_bytes.saturating_sub(kept.bytes());
                    let Kept { key, body } = kept;
                    due.kept.push(Found::again(line, key, body, history));
                }
                Some((history, None)) => {
                    due.to_read.insert(line, history);
                }
                None => {}
            }
        }
        due
    }
}

/// Jobs whose time has come.
#[derive(Default)]
pub struct Due {
    /// Those at hand.
    pub kept: Vec<Found>,
    /// The lines of those that have to be read again.
    pub to_read: BTreeMap<u64, History>,
}

impl Due {
    fn len(&self) -> usize {
        self.kept.len() + self.to_read.len()
    }
}

/// Reading a file again takes no more than one part in so many of the time: each time reads all of it
/// up to the last line that is wanted.
const REST: u32 = 4;

/// When the file may be read again.
#[derive(Debug, Default)]
pub struct Pace(Option<Instant>);

impl Pace {
    /// When it may be, if not at once.
    #[must_use]
    pub const fn not_before(&self) -> Option<Instant> {
        self.0
    }

    /// It was read, and that took so long.
    pub fn read(&mut self, took: Duration) {
        self.0 = Some(Instant::now() + took * REST);
    }
}
