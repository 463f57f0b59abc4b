//! The outcomes of all lines, in a few bytes each.

use std::collections::BTreeMap;

use super::entry::{EntryKind, JournalEntry};
use crate::{
    domain::{Ambiguity, Completion, Reason},
    report::End,
};

/// The number of lines in a block. A damaged journal may name any line: it then takes one block, not all
/// memory up to that line.
const BLOCK: u64 = 4096;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineOutcome {
    Ended(Completion),
    /// It is revoked, and a check found the token dead.
    Verified,
    /// An earlier line asks for the same job.
    Repeated,
    /// With an ambiguity, the token may be revoked nevertheless.
    Failed(Reason, Option<Ambiguity>),
}

impl LineOutcome {
    /// Returns the outcome of an entry; `None` if the line is delayed.
    pub const fn of(entry: &JournalEntry) -> Option<Self> {
        match &entry.kind {
            EntryKind::Ended(Completion::Revoked) if entry.history.verified => Some(Self::Verified),
            EntryKind::Ended(ending) => Some(Self::Ended(*ending)),
            EntryKind::Repeated => Some(Self::Repeated),
            EntryKind::Failed(failed) => Some(Self::Failed(failed.reason, entry.history.ambiguity)),
            EntryKind::Parked | EntryKind::HandedBack => None,
        }
    }

    /// The same, as reports count it.
    pub const fn end(self) -> End {
        match self {
            Self::Ended(ending) => End::Done(ending),
            Self::Verified => End::Verified,
            Self::Repeated => End::Repeated,
            Self::Failed(reason, _) => End::Failed(reason),
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LineOutcomes(BTreeMap<u64, Vec<Option<LineOutcome>>>);

impl LineOutcomes {
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    pub fn get(&self, line: u64) -> Option<LineOutcome> {
        let block = self.0.get(&(line / BLOCK))?;
        block.get(within(line)).copied().flatten()
    }

    /// Sets or removes the outcome of a line; returns the former one.
    pub fn replace(&mut self, line: u64, outcome: Option<LineOutcome>) -> Option<LineOutcome> {
        let block = self.0.entry(line / BLOCK).or_default();
        let place = within(line);
        if block.len() <= place {
            block.resize(place + 1, None);
        }
        std::mem::replace(&mut block[place], outcome)
    }

    /// Returns all outcomes in the order of their lines.
    pub fn iter(&self) -> impl Iterator<Item = LineOutcome> + '_ {
        self.0.values().flatten().copied().flatten()
    }
}

fn within(line: u64) -> usize {
    usize::try_from(line % BLOCK).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fate_takes_no_more_than_three_bytes() {
        assert!(size_of::<Option<LineOutcome>>() <= 3);
    }

    #[test]
    fn a_line_has_the_fate_that_was_set_last() {
        let mut outcomes = LineOutcomes::default();
        let (early, late) = (LineOutcome::Repeated, LineOutcome::Ended(Completion::Revoked));
        for line in [1, BLOCK - 1, BLOCK, BLOCK * 7 + 3, u64::MAX] {
            assert_eq!(outcomes.get(line), None);
            assert_eq!(outcomes.replace(line, Some(early)), None);
            assert_eq!(outcomes.replace(line, Some(late)), Some(early));
            assert_eq!(outcomes.get(line), Some(late));
        }
        assert_eq!(outcomes.get(2), None);
        assert_eq!(outcomes.iter().count(), 5);
        assert_eq!(outcomes.replace(1, None), Some(late));
        assert_eq!(outcomes.iter().count(), 4);
    }
}
