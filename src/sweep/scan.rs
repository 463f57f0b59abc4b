//! Turns lines into jobs. Skips finished lines, records lines without a job, and marks lines that may be called.

use std::{sync::Arc, time::SystemTime};

use super::{
    counters::SweepCounters,
    journal::{
        EntryKind, JournalEntry, JournalRecord, JournalState, LineJob, LineOutcome, LineState,
        OpenLine,
    },
};
use crate::{
    domain::{History, Job, Reason, TokenHash},
    input::{Ascending, InputJob, InputLine, LineKind, NotAscending},
};

pub struct SweepJob {
    pub line: u64,
    pub job: Arc<Job>,
    pub history: History,
    /// An earlier run may have called it without recording the outcome.
    pub in_doubt: bool,
    /// The journal has its outcome, and now records that it may be called again.
    pub reopened: bool,
}

impl SweepJob {
    /// A delayed job of this run.
    pub fn again(line: u64, job: Arc<Job>, history: History) -> Self {
        Self { line, job, history, in_doubt: false, reopened: true }
    }
}

/// The jobs of some lines.
#[derive(Default)]
pub struct Block {
    /// These must be on disk before a job is called.
    pub records: Vec<JournalRecord>,
    pub jobs: Vec<SweepJob>,
}

/// The state of the lines from the journal.
#[derive(Debug, Clone)]
pub struct Scan {
    state: Arc<JournalState>,
    counters: Arc<SweepCounters>,
    retry_failed: bool,
    /// How entries name tokens.
    token_hash: TokenHash,
    numbers: Ascending,
}

impl Scan {
    pub fn new(
        state: Arc<JournalState>,
        counters: Arc<SweepCounters>,
        retry_failed: bool,
        token_hash: TokenHash,
    ) -> Self {
        Self { state, counters, retry_failed, token_hash, numbers: Ascending::default() }
    }

    pub const fn token_hash(&self) -> TokenHash {
        self.token_hash
    }

    /// Returns the block of the next lines of the input. One mark covers all of them: a block costs one sync,
    /// and after a crash its lines are in doubt.
    ///
    /// Fails if the numbers do not grow, before anything is recorded: two lines with one number would be one
    /// line of the journal.
    pub fn block(&mut self, lines: Vec<InputLine>, now: SystemTime) -> Result<Block, NotAscending> {
        for line in &lines {
            self.numbers.pass(line.number)?;
        }
        self.counters.lock().saw(&lines);
        let mut entries = Vec::new();
        let mut again = Vec::new();
        let mut jobs = Vec::new();
        let mut last = None;
        for InputLine { number, kind, .. } in lines {
            let line_state = self.state.line_state(number);
            if self.state.ended(number, self.retry_failed).is_some() {
                continue;
            }
            let OpenLine { history, in_doubt } = taken_up(line_state);
            last = Some(number);
            if let LineState::Ended(outcome) = line_state {
                self.counters.lock().reopened(outcome);
            }
            let reopened = matches!(line_state, LineState::Ended(_) | LineState::Open(_));
            if reopened {
                again.push(number);
            }
            let hash = self.token_hash;
            let without_a_call = |job: &Job, kind| {
                JournalEntry::without_a_call(number, LineJob::of(job, hash), kind, now)
            };
            let entry = match kind {
                LineKind::Job(InputJob { job, .. }) => {
                    let Some(end) = self.state.known_end(&job.key()) else {
                        let job = Arc::new(job);
                        jobs.push(SweepJob { line: number, job, history, in_doubt, reopened });
                        continue;
                    };
                    without_a_call(&job, EntryKind::Ended(end))
                }
                LineKind::Duplicate(job) => without_a_call(&job, EntryKind::Repeated),
                LineKind::Refused(refusal) => {
                    self.counters.failures.failed(number, Reason::InvalidJob, refusal);
                    JournalEntry::refused(number, refusal.to_string(), now)
                }
            };
            if let Some(outcome) = LineOutcome::of(&entry) {
                self.counters.lock().ended(outcome);
            }
            entries.push(JournalRecord::Entry(entry));
        }
        let mark = last.map(|last| JournalRecord::Started(last.max(self.state.started())));
        let again = (!again.is_empty()).then_some(JournalRecord::Again(again));
        Ok(Block { records: mark.into_iter().chain(again).chain(entries).collect(), jobs })
    }
}

/// Returns the state with which a line is started.
fn taken_up(line_state: LineState) -> OpenLine {
    let fresh = OpenLine { history: History::default(), in_doubt: false };
    match line_state {
        LineState::InDoubt => OpenLine { in_doubt: true, ..fresh },
        LineState::Open(open) => open,
        LineState::Ended(LineOutcome::Failed(_, ambiguity)) => {
            OpenLine { history: History { ambiguity, ..fresh.history }, ..fresh }
        }
        LineState::Fresh | LineState::Ended(_) => fresh,
    }
}
