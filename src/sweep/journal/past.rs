//! What a journal knows of the lines of its input: which ended, which wait, which may have been called.

use std::collections::BTreeMap;

use super::{
    entry::{Entry, What},
    fates::{Fate, Fates},
    record::{Header, Record},
};
use crate::domain::{Ambiguity, Completion, History, JobKey};

/// The state that the records of a journal lead to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Past {
    header: Header,
    started: u64,
    fates: Fates,
    open: BTreeMap<u64, Open>,
    /// Sorted by [`Past::index`], once all records are in.
    proved: Vec<JobKey>,
    finished: bool,
    /// Jobs of an earlier input may have been called, and nobody knows on which lines they stand now.
    all_in_doubt: bool,
}

/// A line that is neither fresh nor ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Open {
    /// What happened to its job.
    pub history: History,
    /// It may have been called since that was written.
    pub in_doubt: bool,
}

/// How things stand with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It was not called.
    Fresh,
    /// It may have been called, and nothing else is known.
    InDoubt,
    /// It was put off.
    Open(Open),
    /// It has ended.
    Ended(Fate),
}

impl Standing {
    /// Whether the line may have been called, with nothing noted of how that ended.
    #[must_use]
    pub const fn is_in_doubt(self) -> bool {
        matches!(self, Self::InDoubt | Self::Open(Open { in_doubt: true, .. }))
    }
}

impl Past {
    /// A journal that begins.
    #[must_use]
    pub const fn new(header: Header) -> Self {
        Self {
            header,
            started: 0,
            fates: Fates::new(),
            open: BTreeMap::new(),
            proved: Vec::new(),
            finished: false,
            all_in_doubt: false,
        }
    }

    /// What is swept, and where to.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// No line after this one was called.
    #[must_use]
    pub const fn started(&self) -> u64 {
        self.started
    }

    /// How the lines ended.
    #[must_use]
    pub const fn fates(&self) -> &Fates {
        &self.fates
    }

    /// How things stand with a line.
    #[must_use]
    pub fn standing(&self, line: u64) -> Standing {
        if let Some(fate) = self.fates.get(line) {
            return Standing::Ended(fate);
        }
        match self.open.get(&line) {
            Some(open) => Standing::Open(*open),
            None if line <= self.started || self.all_in_doubt => Standing::InDoubt,
            None => Standing::Fresh,
        }
    }

    /// How a line ended that is not taken up again; `None` for one that is. With `retry_failed`, failed lines
    /// are taken up. So are those that an earlier version let end as expired: the present rules judge them.
    #[must_use]
    pub fn ended(&self, line: u64, retry_failed: bool) -> Option<Fate> {
        self.fates.get(line).filter(|fate| match fate {
            Fate::Failed(..) => !retry_failed,
            Fate::Ended(Completion::Expired) => !self.header.takes_any_expiry(),
            Fate::Ended(_) | Fate::Repeated => true,
        })
    }

    /// Lines that were taken up and have not ended, as far as the journal names them.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.open.len() as u64
    }

    /// Whether a job with this key was revoked, on whatever line of whatever input.
    #[must_use]
    pub fn proves(&self, key: &JobKey) -> bool {
        self.proved.binary_search(key).is_ok()
    }

    /// Adds what the next record says.
    ///
    /// # Errors
    ///
    /// [`Contradiction`] if it cannot follow the records before it.
    pub(super) fn add(&mut self, record: &Record) -> Result<(), Contradiction> {
        match record {
            Record::Synced(_) => {}
            Record::Started(started) => self.started = *started,
            Record::Again(lines) => lines.iter().for_each(|line| self.reopen(*line)),
            Record::Entry(entry) => self.enter(entry)?,
            Record::Header(header) => self.begin_again(header.clone()),
            Record::Finished(_) => self.finished = true,
        }
        Ok(())
    }

    /// All records are in.
    pub(super) fn index(&mut self) {
        self.proved.sort_unstable();
        self.proved.dedup();
    }

    fn enter(&mut self, entry: &Entry) -> Result<(), Contradiction> {
        if entry.line > self.started {
            return Err(Contradiction);
        }
        if let (What::Ended(Completion::Revoked | Completion::PresumedRevoked), Some(key)) =
            (&entry.what, entry.key)
        {
            self.proved.push(key);
        }
        let fate = Fate::of(&entry.what, entry.history.ambiguity);
        self.fates.replace(entry.line, fate);
        match fate {
            Some(_) => self.open.remove(&entry.line),
            None => self.open.insert(entry.line, Open { history: entry.history, in_doubt: false }),
        };
        Ok(())
    }

    fn reopen(&mut self, line: u64) {
        let before = self.fates.replace(line, None);
        let open = self.open.entry(line).or_insert_with(|| Open {
            history: History { ambiguity: before.and_then(Fate::ambiguity), ..History::default() },
            in_doubt: true,
        });
        open.in_doubt = true;
        self.finished = false;
    }

    /// The lines of the input before mean nothing in the next one. What was revoked stays so.
    pub(super) fn begin_again(&mut self, header: Header) {
        let doubtful = self.fates.iter().any(|fate| fate.ambiguity().is_some());
        // Lines that shared a number hid each other's doubts.
        let renumbered = self.header.counts_line_feeds() && !header.counts_line_feeds();
        self.all_in_doubt |= !self.finished || doubtful || renumbered;
        self.header = header;
        self.started = 0;
        self.fates = Fates::new();
        self.open.clear();
        self.finished = false;
    }
}

/// A record that cannot follow those before it.
#[derive(Debug)]
pub(super) struct Contradiction;

impl Fate {
    const fn ambiguity(self) -> Option<Ambiguity> {
        match self {
            Self::Failed(_, ambiguity) => ambiguity,
            Self::Ended(_) | Self::Repeated => None,
        }
    }
}
