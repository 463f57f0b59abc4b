//! The messages that an action processes. The set is fixed before the action starts: it contains neither later dead
//! letters, nor a message that was replayed and dead-lettered again.

use std::ops::Range;

/// The selected messages by their keys. The keys are sorted; equal ones are adjacent. A queue may be long, so a
/// message takes no more memory than its key and two bytes.
#[derive(Debug)]
pub struct SelectedSet<K> {
    keys: Vec<K>,
    /// Among equal keys, the first ones are those that are done.
    done: Vec<bool>,
    finished: u64,
}

/// The membership of a message in the selection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Membership {
    /// It is selected and not done.
    Left,
    /// It is done, and the broker delivered it again because its ack was lost.
    Done,
    /// It is not selected.
    NotSelected,
}

/// The messages that one browse has seen. Among equal keys, the first ones are those that were seen.
#[derive(Debug)]
pub(super) struct SeenMessages(Vec<bool>);

impl<K: Ord> SelectedSet<K> {
    /// Selects the messages with these keys, in any order.
    pub fn new(mut keys: Vec<K>) -> Self {
        keys.sort_unstable();
        Self { done: vec![false; keys.len()], finished: 0, keys }
    }

    /// For the start of a browse: no message is seen yet.
    pub(super) fn none_seen(&self) -> SeenMessages {
        SeenMessages(vec![false; self.keys.len()])
    }

    /// Returns the membership of the next message of a browse.
    pub(super) fn membership(&self, seen: &mut SeenMessages, key: &K) -> Membership {
        let equal = self.equal(key);
        let done = self.done[equal.clone()].partition_point(|done| *done);
        let seen = &mut seen.0[equal];
        let before = seen.partition_point(|seen| *seen);
        match seen.get_mut(before) {
            None => return Membership::NotSelected,
            Some(next) => *next = true,
        }
        // Among equal messages, those still to do come first. At worst a returned message is processed again.
        if before < seen.len() - done { Membership::Left } else { Membership::Done }
    }

    pub(super) fn mark_done(&mut self, key: &K) {
        let equal = self.equal(key);
        let equal = &mut self.done[equal];
        let before = equal.partition_point(|done| *done);
        if let Some(next) = equal.get_mut(before) {
            *next = true;
            self.finished += 1;
        }
    }

    /// The places of the keys that equal this one.
    fn equal(&self, key: &K) -> Range<usize> {
        let first = self.keys.partition_point(|other| other < key);
        let same = self.keys[first..].partition_point(|other| other == key);
        first..first + same
    }

    pub const fn left(&self) -> u64 {
        self.keys.len() as u64 - self.finished
    }

    pub const fn finished(&self) -> u64 {
        self.finished
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The membership of each message of one browse.
    fn browse(selected: &SelectedSet<char>, letters: &str) -> Vec<Membership> {
        let mut seen = selected.none_seen();
        letters.chars().map(|letter| selected.membership(&mut seen, &letter)).collect()
    }

    fn select(letters: &str) -> SelectedSet<char> {
        SelectedSet::new(letters.chars().collect())
    }

    #[test]
    fn only_selected_messages_are_members() {
        use Membership::{Done, Left, NotSelected};
        let mut selected = select("acba");
        assert_eq!(browse(&selected, "abacda"), [Left, Left, Left, Left, NotSelected, NotSelected]);
        selected.mark_done(&'a');
        // One of two equal messages is done. Of three seen, one is to do, one returned, and one is new.
        assert_eq!(browse(&selected, "aaab"), [Left, Done, NotSelected, Left]);
        selected.mark_done(&'a');
        selected.mark_done(&'a');
        assert_eq!(browse(&selected, "aaa"), [Done, Done, NotSelected]);
        assert_eq!(
            (selected.left(), selected.finished()),
            (2, 2),
            "done once more than there were"
        );
    }

    proptest! {
        /// Messages may return or arrive between browses. The action still ends, and processes each selected message at
        /// most once.
        #[test]
        fn replaying_ends(start in "[ab]{0,8}", arrivals in proptest::collection::vec("[abc]{0,4}", 0..6)) {
            let mut selected = select(&start);
            let total = selected.left();
            let mut queue = start;
            for arriving in arrivals {
                queue.push_str(&arriving);
                let members = browse(&selected, &queue);
                let mut rest = String::new();
                for (letter, claim) in queue.chars().zip(members) {
                    match claim {
                        Membership::Left => selected.mark_done(&letter),
                        Membership::Done => {}
                        Membership::NotSelected => rest.push(letter),
                    }
                }
                queue = rest;
                prop_assert_eq!(selected.left() + selected.finished(), total);
            }
            prop_assert!(selected.finished() <= total);
        }
    }
}
