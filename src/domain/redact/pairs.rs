//! The pairs of neighbouring characters of a text: a cheap check before a search for shared runs.
//!
//! Two texts that share a run share each pair of it. A text mostly shares no row of pairs with a form of a secret, so this
//! check spares the hashes of all runs of both.

/// The bits of the set; a power of two.
const BITS: usize = 4096;

/// The pairs, by their hashes.
pub(super) struct Pairs([u64; BITS / 64]);

impl Pairs {
    pub(super) fn of(characters: impl Iterator<Item = char>) -> Self {
        let mut pairs = Self([0; BITS / 64]);
        let mut last = None;
        for c in characters {
            if let Some(last) = last.replace(c) {
                let bit = bit(last, c);
                pairs.0[bit / 64] |= 1 << (bit % 64);
            }
        }
        pairs
    }

    /// Whether the text may share a run of this length with `characters`. "No" is certain.
    pub(super) fn may_share(&self, characters: impl Iterator<Item = char>, run: usize) -> bool {
        let (mut last, mut in_a_row) = (None, 1);
        for c in characters {
            let Some(last) = last.replace(c) else { continue };
            in_a_row = if self.has(last, c) { in_a_row + 1 } else { 1 };
            if in_a_row >= run {
                return true;
            }
        }
        run <= 1
    }

    const fn has(&self, first: char, second: char) -> bool {
        let bit = bit(first, second);
        self.0[bit / 64] >> (bit % 64) & 1 == 1
    }
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
        let may_share = |text: &str| pairs.may_share(text.chars(), 4);
        assert!(may_share("xx5191xx"));
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
            let text = format!("{other}{shared}{before}");
            prop_assert!(pairs.may_share(text.chars(), run));
        }
    }
}
