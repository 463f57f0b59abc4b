//! From lines to jobs: what ended before is passed over, what is no job is noted, and what may be called
//! is marked first.

use std::{sync::Arc, time::SystemTime};

use super::{
    journal::{Entry, Fate, Open, Past, Record, Standing, What},
    tally::Tally,
};
use crate::{
    domain::{Completion, History, JobKey},
    input::{Ascending, Kind, Line, NotAscending},
};

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
    /// It may have been called by a run that did not come to note it.
    pub in_doubt: bool,
    /// The journal knew what had become of it, and now says that it may be called again.
    pub reopened: bool,
}

impl Found {
    /// A job of this run that comes again.
    #[must_use]
    pub const fn again(line: u64, key: JobKey, body: Vec<u8>, history: History) -> Self {
        Self { line, key, body, history, in_doubt: false, reopened: true }
    }
}

/// The jobs of some lines, and what the journal has to say before they may be called.
#[derive(Default)]
pub struct Block {
    /// To be on disk first.
    pub records: Vec<Record>,
    /// The jobs.
    pub jobs: Vec<Found>,
}

/// What is known of the lines before they are read.
#[derive(Debug, Clone)]
pub struct Scan {
    past: Arc<Past>,
    tally: Arc<Tally>,
    retry_failed: bool,
    numbers: Ascending,
}

impl Scan {
    /// A scan by what the journal knows. With `retry_failed`, lines that failed are taken up again.
    #[must_use]
    pub fn new(past: Arc<Past>, tally: Arc<Tally>, retry_failed: bool) -> Self {
        Self { past, tally, retry_failed, numbers: Ascending::default() }
    }

    /// The block of these lines, the next ones of the input. One mark for all of them: each block costs
    /// one sync, and its lines are in doubt after a crash.
    ///
    /// # Errors
    ///
    /// [`NotAscending`], before anything is written of these lines: to the journal, two lines of one
    /// number are one line.
    pub fn block(&mut self, lines: Vec<Line>, now: SystemTime) -> Result<Block, NotAscending> {
        for line in &lines {
            self.numbers.pass(line.number)?;
        }
        self.tally.saw(&lines);
        let mut entries = Vec::new();
        let mut again = Vec::new();
        let mut jobs = Vec::new();
        let mut last = None;
        for Line { number, kind, .. } in lines {
            let standing = self.past.standing(number);
            if self.past.ended(number, self.retry_failed).is_some() {
                continue;
            }
            let Open { history, in_doubt } = taken_up(standing);
            last = Some(number);
            if let Standing::Ended(fate) = standing {
                self.tally.reopened(fate);
            }
            let reopened = matches!(standing, Standing::Ended(_) | Standing::Open(_));
            if reopened {
                again.push(number);
            }
            match kind {
                Kind::Job(job) if !self.past.proves(&job.key) => {
                    let (key, body) = (job.key, job.body.into_bytes());
                    jobs.push(Found { line: number, key, body, history, in_doubt, reopened });
                }
                kind => entries.push(self.without_a_call(number, kind, now)),
            }
        }
        let mark = last.map(|last| Record::Started(last.max(self.past.started())));
        let again = (!again.is_empty()).then_some(Record::Again(again));
        Ok(Block { records: mark.into_iter().chain(again).chain(entries).collect(), jobs })
    }

    /// The end of a line that needs no call.
    fn without_a_call(&self, line: u64, kind: Kind, now: SystemTime) -> Record {
        let entry = match kind {
            Kind::Job(job) => {
                Entry::without_a_call(line, Some(job.key), What::Ended(Completion::Duplicate), now)
            }
            Kind::Duplicate => Entry::without_a_call(line, None, What::Repeated, now),
            Kind::Refused(refusal) => Entry::refused(line, refusal.to_string(), now),
        };
        if let Some(fate) = Fate::of(&entry.what, None) {
            self.tally.ended(fate);
        }
        Record::Entry(entry)
    }
}

/// What is known of a job when its line is taken up.
fn taken_up(standing: Standing) -> Open {
    let fresh = Open { history: History::default(), in_doubt: false };
    match standing {
        Standing::InDoubt => Open { in_doubt: true, ..fresh },
        Standing::Open(open) => open,
        Standing::Ended(Fate::Failed(_, ambiguity)) => {
            Open { history: History { ambiguity, ..fresh.history }, ..fresh }
        }
        Standing::Fresh | Standing::Ended(_) => fresh,
    }
}
