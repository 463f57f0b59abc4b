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

    /// Whether the text may share a run with `length` characters, which `at` gives by their index. "No" is certain.
    pub(super) fn may_share(&self, length: usize, at: impl Fn(usize) -> char, run: usize) -> bool {
        if run <= 1 || length < run {
            return run <= 1;
        }
        let is_shared = |nth| self.has(at(nth), at(nth + 1));
        let pairs = run - 1;
        // Each run contains one of these pairs.
        (0..length - 1).step_by(pairs).filter(|nth| is_shared(*nth)).any(|nth| {
            let before = (0..nth).rev().take(pairs).take_while(|nth| is_shared(*nth)).count();
            let behind =
                (nth + 1..length - 1).take(pairs).take_while(|nth| is_shared(*nth)).count();
            before + 1 + behind >= pairs
        })
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
        let may_share = |text: &str| {
            let text: Vec<char> = text.chars().collect();
            pairs.may_share(text.len(), |nth| text[nth], 4)
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
            prop_assert!(pairs.may_share(text.len(), |nth| text[nth], run));
        }
    }
}
