//! The refused lines of a journal. Their entries name no token, so any unknown token may be on one of them.

use std::collections::BTreeMap;

use crate::sweep::journal::{EntryKind, InputId, JournalEntry};

const WORDS: usize = 64;

/// The lines of a block, one bit each.
type Block = [u64; WORDS];

/// The number of lines in a block. A damaged journal may name any line: it then takes one block.
const LINES: u64 = WORDS as u64 * 64;

/// Counts the lines that were refused and have not ended otherwise since.
#[derive(Default)]
pub(super) struct RefusedLines {
    /// The refused lines of inputs before this one.
    of_earlier_inputs: u64,
    input: Option<InputId>,
    blocks: BTreeMap<u64, Block>,
}

impl RefusedLines {
    /// An input begins. The same one again, with other settings, has the same lines.
    pub(super) fn begin(&mut self, input: Option<&InputId>) {
        if input.is_none() || self.input.as_ref() != input {
            self.of_earlier_inputs = self.count();
            self.blocks.clear();
        }
        self.input = input.cloned();
    }

    pub(super) fn enter(&mut self, entry: &JournalEntry) {
        // A job that is refused later, for its place in the request, is known by its key and its token.
        let refused = matches!(entry.kind, EntryKind::Failed(_)) && entry.key.is_none();
        let (block, within) = (entry.line / LINES, entry.line % LINES);
        let (word, mask) = (usize::try_from(within / 64).unwrap_or_default(), 1 << (within % 64));
        if refused {
            self.blocks.entry(block).or_insert([0; WORDS])[word] |= mask;
        } else if let Some(block) = self.blocks.get_mut(&block) {
            block[word] &= !mask;
        }
    }

    pub(super) fn count(&self) -> u64 {
        let bits = self.blocks.values().flatten().map(|word| u64::from(word.count_ones()));
        self.of_earlier_inputs + bits.sum::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::sweep::journal::LineJob;

    fn refused(line: u64) -> JournalEntry {
        JournalEntry::refused(line, "no job".to_owned(), SystemTime::UNIX_EPOCH)
    }

    fn repeated(line: u64) -> JournalEntry {
        let (job, at) = (LineJob::any(), SystemTime::UNIX_EPOCH);
        JournalEntry::without_a_call(line, job, EntryKind::Repeated, at)
    }

    #[test]
    fn a_line_counts_once_and_by_its_last_outcome() {
        let mut lines = RefusedLines::default();
        for line in [1, 63, 64, LINES - 1, LINES, u64::MAX, 64, u64::MAX] {
            lines.enter(&refused(line));
        }
        assert_eq!(lines.count(), 6);
        lines.enter(&repeated(64));
        lines.enter(&repeated(2));
        assert_eq!(lines.count(), 5);
    }

    #[test]
    fn the_lines_of_another_input_are_added_and_those_of_the_same_one_are_not() {
        let id = |sha256: &str| InputId { sha256: sha256.to_owned(), size: 1 };
        let mut lines = RefusedLines::default();
        let counts = [Some(id("a")), Some(id("a")), Some(id("b")), None, None].map(|input| {
            lines.begin(input.as_ref());
            lines.enter(&refused(7));
            lines.count()
        });
        assert_eq!(counts, [1, 1, 2, 3, 4]);
    }
}
