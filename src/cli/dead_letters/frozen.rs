//! The letters that an action is about, fixed before it begins: what dies while it works is not among
//! them, and neither is a letter that it replayed and that died again.

use std::ops::Range;

/// The letters, by what tells them apart: sorted, those that nothing tells apart side by side. A queue may be
/// long, so a letter takes no more than that and two bytes.
#[derive(Debug)]
pub struct Frozen<K> {
    letters: Vec<K>,
    /// Of letters that are the same in everything, the first ones are those that were done.
    done: Vec<bool>,
    left: u64,
    finished: u64,
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

/// The letters that were seen in one look. Of letters that are the same in everything, the first ones are those
/// that were seen.
#[derive(Debug)]
pub struct Sightings(Vec<bool>);

impl<K: Ord> Frozen<K> {
    /// Freezes letters, in whatever order they come.
    #[must_use]
    pub fn of(mut letters: Vec<K>) -> Self {
        letters.sort_unstable();
        Self { done: vec![false; letters.len()], left: letters.len() as u64, finished: 0, letters }
    }

    /// A look begins: nothing is seen yet.
    #[must_use]
    pub fn unseen(&self) -> Sightings {
        Sightings(vec![false; self.letters.len()])
    }

    /// What a letter is that comes next in a look.
    pub fn claim(&self, sightings: &mut Sightings, letter: &K) -> Claim {
        let twins = self.twins(letter);
        let done = self.done[twins.clone()].partition_point(|done| *done);
        let seen = &mut sightings.0[twins];
        let before = seen.partition_point(|seen| *seen);
        match seen.get_mut(before) {
            None => return Claim::Foreign,
            Some(next) => *next = true,
        }
        // Of twins those still to do come first: at worst one is done that came back.
        if before < seen.len() - done { Claim::Left } else { Claim::Done }
    }

    /// Notes that a letter was done.
    pub fn done(&mut self, letter: &K) {
        let twins = self.twins(letter);
        let twins = &mut self.done[twins];
        let before = twins.partition_point(|done| *done);
        if let Some(next) = twins.get_mut(before) {
            *next = true;
            self.left -= 1;
            self.finished += 1;
        }
    }

    /// Where the letters stand that are the same as this one.
    fn twins(&self, letter: &K) -> Range<usize> {
        let first = self.letters.partition_point(|other| other < letter);
        let same = self.letters[first..].partition_point(|other| other == letter);
        first..first + same
    }

    /// How many are still to do.
    #[must_use]
    pub const fn left(&self) -> u64 {
        self.left
    }

    /// How many were done.
    #[must_use]
    pub const fn finished(&self) -> u64 {
        self.finished
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What the letters of one look are.
    fn look(frozen: &Frozen<char>, letters: &str) -> Vec<Claim> {
        let mut sightings = frozen.unseen();
        letters.chars().map(|letter| frozen.claim(&mut sightings, &letter)).collect()
    }

    fn frozen(letters: &str) -> Frozen<char> {
        Frozen::of(letters.chars().collect())
    }

    #[test]
    fn only_what_was_there_at_the_start_is_claimed() {
        use Claim::{Done, Foreign, Left};
        let mut frozen = frozen("acba");
        assert_eq!(look(&frozen, "abacda"), [Left, Left, Left, Left, Foreign, Foreign]);
        frozen.done(&'a');
        // One twin is done: of three that are seen, one is to do, one came back, one is new.
        assert_eq!(look(&frozen, "aaab"), [Left, Done, Foreign, Left]);
        frozen.done(&'a');
        frozen.done(&'a');
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
                        Claim::Left => frozen.done(&letter),
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
