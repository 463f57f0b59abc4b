//! What has become of the lines so far.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use super::journal::{Fate, Fates};
use crate::{
    domain::{Completion, Reason},
    input::{Line, Remarks},
};

/// How many lines met which fate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    ended: [u64; Completion::ALL.len()],
    repeated: u64,
    failed: [u64; Reason::ALL.len()],
}

impl Counts {
    /// The count of these fates.
    #[must_use]
    pub fn of(fates: &Fates) -> Self {
        let mut counts = Self::default();
        fates.iter().for_each(|fate| *counts.place(fate) += 1);
        counts
    }

    /// Lines whose jobs ended so.
    #[must_use]
    pub const fn ended(&self, ending: Completion) -> u64 {
        self.ended[ending as usize]
    }

    /// Lines that ask for the same as a line before.
    #[must_use]
    pub const fn repeated(&self) -> u64 {
        self.repeated
    }

    /// Lines that failed for this reason.
    #[must_use]
    pub const fn failed_for(&self, reason: Reason) -> u64 {
        self.failed[reason as usize]
    }

    /// Lines that failed.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failed.iter().sum()
    }

    /// Lines that have ended, in whatever way.
    #[must_use]
    pub fn all(&self) -> u64 {
        self.ended.iter().sum::<u64>() + self.repeated + self.failed()
    }

    fn place(&mut self, fate: Fate) -> &mut u64 {
        match fate {
            Fate::Ended(ending) => &mut self.ended[ending as usize],
            Fate::Repeated => &mut self.repeated,
            Fate::Failed(reason, _) => &mut self.failed[reason as usize],
        }
    }
}

/// What has become of the lines so far, told while the sweep runs.
#[derive(Debug, Default)]
pub struct Tally {
    counts: Mutex<Counts>,
    remarks: Mutex<Remarks>,
    retries: AtomicU64,
    put_off: AtomicU64,
    unsettled: AtomicU64,
    seen: AtomicU64,
    taken_up_to: AtomicU64,
}

impl Tally {
    /// A tally that goes on from what ended before.
    #[must_use]
    pub fn new(before: Counts) -> Self {
        Self { counts: Mutex::new(before), ..Self::default() }
    }

    /// The counts now.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.lock().clone()
    }

    /// Calls of this run that were not the first one for their job.
    #[must_use]
    pub fn retries(&self) -> u64 {
        self.retries.load(Ordering::Relaxed)
    }

    /// Jobs that wait for their time now.
    #[must_use]
    pub fn put_off(&self) -> u64 {
        self.put_off.load(Ordering::Relaxed)
    }

    /// Deliveries whose settlement was broken off: what became of their lines is the journal's to say.
    #[must_use]
    pub fn unsettled(&self) -> u64 {
        self.unsettled.load(Ordering::Relaxed)
    }

    /// Lines that were read so far, blank ones not counted.
    #[must_use]
    pub fn seen(&self) -> u64 {
        self.seen.load(Ordering::Relaxed)
    }

    /// The last line that was given to the pipeline in this run.
    #[must_use]
    pub fn taken_up_to(&self) -> u64 {
        self.taken_up_to.load(Ordering::Relaxed)
    }

    /// What is to be said of the lines that were read in this run.
    #[must_use]
    pub fn remarks(&self) -> Remarks {
        self.remarks.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// These lines were read.
    pub(super) fn saw(&self, lines: &[Line]) {
        self.seen.fetch_add(lines.len() as u64, Ordering::Relaxed);
        let mut remarks = self.remarks.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().filter_map(Line::remark).for_each(|remark| remarks.add(remark));
    }

    /// A line ended.
    pub(super) fn ended(&self, fate: Fate) {
        *self.lock().place(fate) += 1;
    }

    /// A line that had ended is taken up again.
    pub(super) fn reopened(&self, fate: Fate) {
        let mut counts = self.lock();
        let place = counts.place(fate);
        *place = place.saturating_sub(1);
    }

    /// A delivery made so many calls for a job that had been called so often before.
    pub(super) fn called(&self, calls: u32, before: u32) {
        let first = u32::from(before == 0 && calls > 0);
        self.retries.fetch_add(u64::from(calls - first), Ordering::Relaxed);
    }

    /// So many jobs wait for their time.
    pub(super) fn waiting(&self, jobs: usize) {
        self.put_off.store(jobs as u64, Ordering::Relaxed);
    }

    /// A settlement was broken off.
    pub(super) fn broken_off(&self) {
        self.unsettled.fetch_add(1, Ordering::Relaxed);
    }

    /// The line was given to the pipeline.
    pub(super) fn taken_up(&self, line: u64) {
        self.taken_up_to.fetch_max(line, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        // Counters: nothing in between can be half done.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
