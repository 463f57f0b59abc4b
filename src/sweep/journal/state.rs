//! The state of each line of the input, according to the journal.

use std::{collections::BTreeMap, time::SystemTime};

use super::{
    entry::{EntryKind, JournalEntry},
    outcomes::{LineOutcome, LineOutcomes},
    record::{JournalHeader, JournalRecord},
};
use crate::{
    domain::{Ambiguity, Completion, History, JobKey},
    report::Timeline,
};

/// The state after all records of a journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalState {
    header: JournalHeader,
    started: u64,
    outcomes: LineOutcomes,
    open: BTreeMap<u64, OpenLine>,
    /// The revoked jobs, and whether the endpoint proved that. Sorted by [`JournalState::index`] after the last record.
    revoked: Vec<(JobKey, bool)>,
    /// When every line had ended.
    finished: Option<SystemTime>,
    /// When the lines ended, also those that were tried again.
    timeline: Timeline,
    /// Jobs of an earlier input may have been called, and their lines in this input are unknown.
    all_in_doubt: bool,
}

/// A delayed line, or one that may be called again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenLine {
    pub history: History,
    /// It may have been called since.
    pub in_doubt: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineState {
    Fresh,
    /// It may have been called, and its result is unknown.
    InDoubt,
    Open(OpenLine),
    Ended(LineOutcome),
}

impl LineState {
    /// Whether the line may have been called without a recorded outcome.
    pub const fn is_in_doubt(self) -> bool {
        matches!(self, Self::InDoubt | Self::Open(OpenLine { in_doubt: true, .. }))
    }
}

impl JournalState {
    pub const fn new(header: JournalHeader) -> Self {
        Self {
            header,
            started: 0,
            outcomes: LineOutcomes::new(),
            open: BTreeMap::new(),
            revoked: Vec::new(),
            finished: None,
            timeline: Timeline::new(),
            all_in_doubt: false,
        }
    }

    pub const fn header(&self) -> &JournalHeader {
        &self.header
    }

    /// No line after this one was called.
    pub const fn started(&self) -> u64 {
        self.started
    }

    pub const fn outcomes(&self) -> &LineOutcomes {
        &self.outcomes
    }

    /// When every line had ended; `None` if not every line has.
    pub const fn finished(&self) -> Option<SystemTime> {
        self.finished
    }

    pub const fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    pub fn line_state(&self, line: u64) -> LineState {
        if let Some(outcome) = self.outcomes.get(line) {
            return LineState::Ended(outcome);
        }
        match self.open.get(&line) {
            Some(open) => LineState::Open(*open),
            None if line <= self.started || self.all_in_doubt => LineState::InDoubt,
            None => LineState::Fresh,
        }
    }

    /// Returns the final outcome of a line; `None` if the line is tried again. With `retry_failed`, failed
    /// lines are. So are lines that an earlier version let end as expired: its rule was wrong.
    pub fn ended(&self, line: u64, retry_failed: bool) -> Option<LineOutcome> {
        self.outcomes.get(line).filter(|outcome| match outcome {
            LineOutcome::Failed(..) => !retry_failed,
            LineOutcome::Ended(Completion::Expired) => !self.header.takes_any_expiry(),
            LineOutcome::Ended(_) | LineOutcome::Verified | LineOutcome::Repeated => true,
        })
    }

    /// The number of lines that were started and have not ended, as far as the journal names them.
    pub fn open(&self) -> u64 {
        self.open.len() as u64
    }

    /// The end of a job with this key that was revoked before, on any line of any input. A job that is only presumed
    /// to be revoked proves no other one.
    pub fn known_end(&self, key: &JobKey) -> Option<Completion> {
        let place = self.revoked.binary_search_by_key(key, |(key, _)| *key).ok()?;
        let is_proved = self.revoked[place].1;
        Some(if is_proved { Completion::Duplicate } else { Completion::PresumedRevoked })
    }

    /// Adds the next record; `false` if it cannot follow the records before it.
    pub(super) fn add(&mut self, record: &JournalRecord) -> bool {
        match record {
            JournalRecord::Synced(_) => {}
            JournalRecord::Started(started) => self.started = *started,
            JournalRecord::Again(lines) => lines.iter().for_each(|line| self.reopen(*line)),
            JournalRecord::Entry(entry) => return self.enter(entry),
            JournalRecord::Header(header) => self.begin_again(header.clone()),
            JournalRecord::Finished(at) => self.finished = Some(*at),
        }
        true
    }

    /// Must follow the last record.
    pub(super) fn index(&mut self) {
        // The proof of a job comes before its presumption, and stays.
        self.revoked.sort_unstable_by_key(|(key, is_proved)| (*key, !is_proved));
        self.revoked.dedup_by_key(|(key, _)| *key);
    }

    fn enter(&mut self, entry: &JournalEntry) -> bool {
        if entry.line > self.started {
            return false;
        }
        match (&entry.kind, entry.key) {
            (EntryKind::Ended(Completion::Revoked), Some(key)) => self.revoked.push((key, true)),
            (EntryKind::Ended(Completion::PresumedRevoked), Some(key)) => {
                self.revoked.push((key, false));
            }
            _ => {}
        }
        let outcome = LineOutcome::of(entry);
        if let Some(outcome) = outcome {
            self.timeline.add(entry.at, matches!(outcome, LineOutcome::Failed(..)));
        }
        self.outcomes.replace(entry.line, outcome);
        match outcome {
            Some(_) => self.open.remove(&entry.line),
            None => {
                self.open.insert(entry.line, OpenLine { history: entry.history, in_doubt: false })
            }
        };
        true
    }

    fn reopen(&mut self, line: u64) {
        let before = self.outcomes.replace(line, None);
        let open = self.open.entry(line).or_insert_with(|| OpenLine {
            history: History {
                ambiguity: before.and_then(LineOutcome::ambiguity),
                ..History::default()
            },
            in_doubt: true,
        });
        open.in_doubt = true;
        self.finished = None;
    }

    /// Starts with another input: the lines of the former one mean nothing, but its proofs stay.
    pub(super) fn begin_again(&mut self, header: JournalHeader) {
        let doubtful = self.outcomes.iter().any(|outcome| outcome.ambiguity().is_some());
        // Lines with the same number had a common entry, so all of them are in doubt.
        let renumbered = self.header.counts_line_feeds() && !header.counts_line_feeds();
        self.all_in_doubt |= self.finished.is_none() || doubtful || renumbered;
        self.header = header;
        self.started = 0;
        self.outcomes = LineOutcomes::new();
        self.open.clear();
        self.finished = None;
        self.timeline = Timeline::new();
    }
}

impl LineOutcome {
    const fn ambiguity(self) -> Option<Ambiguity> {
        match self {
            Self::Failed(_, ambiguity) => ambiguity,
            Self::Ended(_) | Self::Verified | Self::Repeated => None,
        }
    }
}
