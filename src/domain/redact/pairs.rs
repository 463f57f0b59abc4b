//! The pairs of neighbouring characters of a text: a cheap check before a search for shared runs.
//!
//! Two texts that share a run share each pair of it. A text mostly shares no row of pairs with a form of a secret, so this
//! check spares the hashes of all runs of both.

/// The bits of the set; a power of two.
const BITS: usize = 4096;

/// The pairs, by their hashes.
pub(super) struct Pairs([u64; BITS / 64]);

impl Pairs {
    pub(super) const fn none() -> Self {
        Self([0; BITS / 64])
    }

    pub(super) fn of(characters: impl Iterator<Item = char>) -> Self {
        let mut pairs = Self::none();
        let mut last = None;
        for c in characters {
            if let Some(last) = last.replace(c) {
                pairs.add(last, c);
            }
        }
        pairs
    }

    pub(super) const fn add(&mut self, first: char, second: char) {
        let bit = bit(first, second);
        self.0[bit / 64] |= 1 << (bit % 64);
    }

    /// Whether the text may share a run with `length` characters. `pair` gives the pair that begins at an index. "No" is
    /// certain.
    pub(super) fn may_share(
        &self,
        length: usize,
        pair: impl Fn(usize) -> [char; 2],
        run: usize,
    ) -> bool {
        may_hold_run(length, |nth| self.has(pair(nth)), run)
    }

    /// The same for characters that have no index.
    pub(super) fn may_share_in_order(
        &self,
        mut characters: impl Iterator<Item = char>,
        run: usize,
    ) -> bool {
        let Some(mut last) = characters.next() else { return run <= 1 };
        let mut row = 1;
        run <= 1
            || characters.any(|c| {
                row = if self.has([last, c]) { row + 1 } else { 1 };
                last = c;
                row >= run
            })
    }

    pub(super) const fn has(&self, [first, second]: [char; 2]) -> bool {
        let bit = bit(first, second);
        self.0[bit / 64] >> (bit % 64) & 1 == 1
    }
}

/// Whether `length` characters hold a run all of whose pairs are shared. `is_shared` gets the index of a pair.
pub(super) fn may_hold_run(length: usize, is_shared: impl Fn(usize) -> bool, run: usize) -> bool {
    if run <= 1 || length < run {
        return run <= 1;
    }
    let pairs = run - 1;
    let mut ends = pairs;
    while ends < length {
        // Backwards: a pair that is not shared excludes each run that begins before the pair's end.
        let mut begins = ends;
        while is_shared(begins - 1) {
            begins -= 1;
            if begins + pairs == ends {
                return true;
            }
        }
        ends = begins + pairs;
    }
    false
}

const fn bit(first: char, second: char) -> usize {
    // The low bits of letters and digits differ most.
    let hash = (first as u32).wrapping_mul(61).wrapping_add(second as u32);
    hash as usize & (BITS - 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pairs_exclude_a_text_that_shares_no_run() {
        let pairs = Pairs::of("0af7651916cd43dd".chars());
        let may_share = |text: &str| {
            let text: Vec<char> = text.chars().collect();
            let may_share = pairs.may_share(text.len(), |nth| [text[nth], text[nth + 1]], 4);
            assert_eq!(pairs.may_share_in_order(text.into_iter(), 4), may_share);
            may_share
        };
        for shared in ["xx5191xx", "5191", "xxxxx5191"] {
            assert!(may_share(shared), "{shared:?}");
        }
        for other in ["", "a", "xx519", "0af 651 6cx"] {
            assert!(!may_share(other), "{other:?}");
        }
    }

    proptest! {
        /// A filter that excludes too much would let a secret pass.
        #[test]
        fn pairs_never_exclude_a_shared_run(
            [before, shared, behind, other] in prop::array::uniform4("[ab1ñ€]{0,6}"),
        ) {
            let run = shared.chars().count();
            let pairs = Pairs::of(format!("{before}{shared}{behind}").chars());
            let text: Vec<char> = format!("{other}{shared}{before}").chars().collect();
            prop_assert!(pairs.may_share(text.len(), |nth| [text[nth], text[nth + 1]], run));
            prop_assert!(pairs.may_share_in_order(text.into_iter(), run));
        }
    }
}
