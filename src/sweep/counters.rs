//! The counts of lines by outcome.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{
    failures::FailureLog,
    journal::{LineOutcome, LineOutcomes},
};
use crate::input::{InputLine, Remarks};

/// The number of lines by outcome.
pub use crate::report::EndCounts as LineCounts;

/// Counts all outcomes of a journal.
pub fn count_lines(outcomes: &LineOutcomes) -> LineCounts {
    let mut counts = LineCounts::default();
    counts.extend(outcomes.iter().map(LineOutcome::end));
    counts
}

#[derive(Debug, Clone, Default)]
pub struct SweepCounts {
    /// Lines that have ended, in all runs.
    pub lines: LineCounts,
    /// Lines that have ended in this run.
    pub lines_now: LineCounts,
    pub remarks: Remarks,
    /// Calls of this run, without the first call of each job.
    pub retries: u64,
    /// Jobs that wait in the delay queue.
    pub delayed: usize,
    /// Deliveries without a completed settlement: only the journal knows the outcome of their lines.
    pub unsettled: u64,
    /// Lines read so far, without blank ones.
    pub read: u64,
    /// The last line that this run gave to the pipeline.
    pub started: u64,
}

impl SweepCounts {
    /// Counts lines that were read.
    pub(super) fn saw(&mut self, lines: &[InputLine]) {
        self.read += lines.len() as u64;
        lines.iter().filter_map(InputLine::remark).for_each(|remark| self.remarks.add(remark));
    }

    pub(super) fn ended(&mut self, outcome: LineOutcome) {
        self.lines.add(outcome.end());
        self.lines_now.add(outcome.end());
    }

    /// Takes back the count of a line that is tried again.
    pub(super) fn reopened(&mut self, outcome: LineOutcome) {
        self.lines.take_back(outcome.end());
    }

    /// Counts the calls of a delivery. The job had `before` calls.
    pub(super) fn called(&mut self, calls: u32, before: u32) {
        let first = u32::from(before == 0 && calls > 0);
        self.retries += u64::from(calls - first);
    }
}

/// The counts of a running sweep, shared by its parts.
#[derive(Debug, Default)]
pub struct SweepCounters {
    counts: Mutex<SweepCounts>,
    /// The failed lines of this run.
    pub failures: FailureLog,
}

impl SweepCounters {
    /// Starts from the counts of earlier runs.
    pub fn new(lines: LineCounts) -> Self {
        let counts = Mutex::new(SweepCounts { lines, ..SweepCounts::default() });
        Self { counts, failures: FailureLog::default() }
    }

    pub fn counts(&self) -> SweepCounts {
        self.lock().clone()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, SweepCounts> {
        // Counters are always consistent, so poison does not matter.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
