//! The counts of lines by outcome.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::journal::{LineOutcome, LineOutcomes};
use crate::{
    domain::{Completion, Reason},
    input::{InputLine, Remarks},
};

/// The number of lines by outcome.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LineCounts {
    ended: [u64; Completion::ALL.len()],
    repeated: u64,
    failed: [u64; Reason::ALL.len()],
}

impl LineCounts {
    pub fn of(outcomes: &LineOutcomes) -> Self {
        let mut counts = Self::default();
        outcomes.iter().for_each(|outcome| *counts.place(outcome) += 1);
        counts
    }

    pub const fn ended(&self, ending: Completion) -> u64 {
        self.ended[ending as usize]
    }

    pub const fn repeated(&self) -> u64 {
        self.repeated
    }

    pub const fn failed_for(&self, reason: Reason) -> u64 {
        self.failed[reason as usize]
    }

    pub fn failed(&self) -> u64 {
        self.failed.iter().sum()
    }

    /// The number of lines that have ended.
    pub fn all(&self) -> u64 {
        self.ended.iter().sum::<u64>() + self.repeated + self.failed()
    }

    fn place(&mut self, outcome: LineOutcome) -> &mut u64 {
        match outcome {
            LineOutcome::Ended(ending) => &mut self.ended[ending as usize],
            LineOutcome::Repeated => &mut self.repeated,
            LineOutcome::Failed(reason, _) => &mut self.failed[reason as usize],
        }
    }
}

#[derive(Debug, Clone, Default)]
pub struct SweepCounts {
    /// Lines that have ended, in all runs.
    pub lines: LineCounts,
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
        *self.lines.place(outcome) += 1;
    }

    /// Takes back the count of a line that is tried again.
    pub(super) fn reopened(&mut self, outcome: LineOutcome) {
        let place = self.lines.place(outcome);
        *place = place.saturating_sub(1);
    }

    /// Counts the calls of a delivery. The job had `before` calls.
    pub(super) fn called(&mut self, calls: u32, before: u32) {
        let first = u32::from(before == 0 && calls > 0);
        self.retries += u64::from(calls - first);
    }
}

/// The counts of a running sweep, shared by its parts.
#[derive(Debug, Default)]
pub struct SweepCounters(Mutex<SweepCounts>);

impl SweepCounters {
    /// Starts from the counts of earlier runs.
    pub fn new(lines: LineCounts) -> Self {
        Self(Mutex::new(SweepCounts { lines, ..SweepCounts::default() }))
    }

    pub fn counts(&self) -> SweepCounts {
        self.lock().clone()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, SweepCounts> {
        // Counters are always consistent, so poison does not matter.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
