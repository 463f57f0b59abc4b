//! The letters that an action is about, fixed before it begins: what dies while it works is not among
//! them, and neither is a letter that it replayed and that died again.

use std::{collections::HashMap, hash::Hash};

/// The letters, by what tells them apart. Letters that nothing tells apart are counted.
#[derive(Debug)]
pub struct Frozen<K> {
    letters: HashMap<K, Twins>,
    left: u64,
    done: u64,
}

/// Letters that are the same in everything.
#[derive(Debug, Clone, Copy, Default)]
struct Twins {
    left: u32,
    done: u32,
}

/// What a letter is to the action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// It is one of those still to do.
    Left,
    /// It was done, and came back: the broker has not had its ack.
    Done,
    /// It is none of them.
    Foreign,
}

/// The letters that were seen in one look.
#[derive(Debug)]
pub struct Sightings<K>(HashMap<K, u32>);

impl<K> Default for Sightings<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K> Default for Frozen<K> {
    fn default() -> Self {
        Self { letters: HashMap::new(), left: 0, done: 0 }
    }
}

impl<K: Eq + Hash + Copy> Frozen<K> {
    /// Adds a letter.
    pub fn add(&mut self, letter: K) {
        self.letters.entry(letter).or_default().left += 1;
        self.left += 1;
    }

    /// What a letter is that comes next in a look.
    pub fn claim(&self, sightings: &mut Sightings<K>, letter: K) -> Claim {
        let Some(twins) = self.letters.get(&letter) else { return Claim::Foreign };
        let seen = sightings.0.entry(letter).or_default();
        *seen += 1;
        // Of twins those still to do come first: at worst one is done that came back.
        if *seen <= twins.left {
            Claim::Left
        } else if *seen <= twins.left + twins.done {
            Claim::Done
        } else {
            Claim::Foreign
        }
    }

    /// Notes that a letter was done.
    pub fn done(&mut self, letter: K) {
        if let Some(twins) = self.letters.get_mut(&letter)
            && twins.left > 0
        {
            twins.left -= 1;
            twins.done += 1;
            self.left -= 1;
            self.done += 1;
        }
    }

    /// How many are still to do.
    #[must_use]
    pub const fn left(&self) -> u64 {
        self.left
    }

    /// How many were done.
    #[must_use]
    pub const fn finished(&self) -> u64 {
        self.done
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What the letters of one look are.
    fn look(frozen: &Frozen<char>, letters: &str) -> Vec<Claim> {
        let mut sightings = Sightings::default();
        letters.chars().map(|letter| frozen.claim(&mut sightings, letter)).collect()
    }

    fn frozen(letters: &str) -> Frozen<char> {
        let mut frozen = Frozen::default();
        letters.chars().for_each(|letter| frozen.add(letter));
        frozen
    }

    #[test]
    fn only_what_was_there_at_the_start_is_claimed() {
        use Claim::{Done, Foreign, Left};
        let mut frozen = frozen("aabc");
        assert_eq!(look(&frozen, "abacda"), [Left, Left, Left, Left, Foreign, Foreign]);
        frozen.done('a');
        // One twin is done: of three that are seen, one is to do, one came back, one is new.
        assert_eq!(look(&frozen, "aaab"), [Left, Done, Foreign, Left]);
        frozen.done('a');
        frozen.done('a');
        assert_eq!(look(&frozen, "aaa"), [Done, Done, Foreign]);
        assert_eq!((frozen.left(), frozen.finished()), (2, 2), "done once more than there were");
    }

    proptest! {
        /// Whatever comes back or comes anew between looks, the action ends, and each frozen letter is
        /// done once at most.
        #[test]
        fn replaying_ends(start in "[ab]{0,8}", arrivals in proptest::collection::vec("[abc]{0,4}", 0..6)) {
            let mut frozen = frozen(&start);
            let total = frozen.left();
            let mut queue = start;
            for arriving in arrivals {
                queue.push_str(&arriving);
                let claims = look(&frozen, &queue);
                let mut rest = String::new();
                for (letter, claim) in queue.chars().zip(claims) {
                    match claim {
                        Claim::Left => frozen.done(letter),
                        Claim::Done => {}
                        Claim::Foreign => rest.push(letter),
                    }
                }
                queue = rest;
                prop_assert_eq!(frozen.left() + frozen.finished(), total);
            }
            prop_assert!(frozen.finished() <= total);
        }
    }
}
