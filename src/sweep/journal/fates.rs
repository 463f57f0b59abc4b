//! How each line ended, in a few bytes a line.

use std::collections::BTreeMap;

use super::entry::What;
use crate::domain::{Ambiguity, Completion, Reason};

/// Lines of one block. A journal that is damaged may name any line: one such takes a block, not all
/// the memory up to it.
const BLOCK: u64 = 4096;

/// How a line ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Its job ended well.
    Ended(Completion),
    /// A line before asks for the same job.
    Repeated,
    /// It failed, and the token may be revoked all the same.
    Failed(Reason, Option<Ambiguity>),
}

impl Fate {
    /// The fate that an entry tells, of a job that may be revoked all the same; `None` if the line goes
    /// on.
    #[must_use]
    pub const fn of(what: &What, ambiguity: Option<Ambiguity>) -> Option<Self> {
        match what {
            What::Ended(ending) => Some(Self::Ended(*ending)),
            What::Repeated => Some(Self::Repeated),
            What::Failed(failed) => Some(Self::Failed(failed.reason, ambiguity)),
            What::Parked | What::HandedBack => None,
        }
    }
}

/// The fates of all lines that have one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fates(BTreeMap<u64, Vec<Option<Fate>>>);

impl Fates {
    /// None.
    #[must_use]
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// How a line ended, if it has.
    #[must_use]
    pub fn get(&self, line: u64) -> Option<Fate> {
        let block = self.0.get(&(line / BLOCK))?;
        block.get(within(line)).copied().flatten()
    }

    /// Sets or takes away a line's fate; returns the one before.
    pub fn replace(&mut self, line: u64, fate: Option<Fate>) -> Option<Fate> {
        let block = self.0.entry(line / BLOCK).or_default();
        let place = within(line);
        if block.len() <= place {
            block.resize(place + 1, None);
        }
        std::mem::replace(&mut block[place], fate)
    }

    /// All fates, in the order of their lines.
    pub fn iter(&self) -> impl Iterator<Item = Fate> + '_ {
        self.0.values().flatten().copied().flatten()
    }
}

/// A line's place in its block.
fn within(line: u64) -> usize {
    usize::try_from(line % BLOCK).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fate_takes_no_more_than_three_bytes() {
        assert!(size_of::<Option<Fate>>() <= 3);
    }

    #[test]
    fn a_line_has_the_fate_that_was_set_last() {
        let mut fates = Fates::default();
        let (early, late) = (Fate::Repeated, Fate::Ended(Completion::Revoked));
        for line in [1, BLOCK - 1, BLOCK, BLOCK * 7 + 3, u64::MAX] {
            assert_eq!(fates.get(line), None);
            assert_eq!(fates.replace(line, Some(early)), None);
            assert_eq!(fates.replace(line, Some(late)), Some(early));
            assert_eq!(fates.get(line), Some(late));
        }
        assert_eq!(fates.get(2), None);
        assert_eq!(fates.iter().count(), 5);
        assert_eq!(fates.replace(1, None), Some(late));
        assert_eq!(fates.iter().count(), 4);
    }
}
