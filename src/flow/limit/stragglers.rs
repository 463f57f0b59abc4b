//! Calls that hang while others are answered.
//!
//! Such a call holds its place for as long as it hangs. Where one call in a thousand takes ten seconds and
//! the others a millisecond, these would soon hold every place of a low limit, and all others would wait
//! for them.
//!
//! It is not asked how long a call takes, but how many others were answered meanwhile: in an outage nobody
//! is, and no call becomes a straggler. And they are few by definition. Where latency scatters some calls
//! always see many others pass them, and those are load like any other.

use std::collections::VecDeque;

/// A call that so many times the calls under way with it were answered after, and [`ONE_IN`] more, hangs.
const TIMES: usize = 3;

/// One in so many answered calls may be a straggler, and no more.
const ONE_IN: usize = 100;

/// Which calls under way are stragglers.
#[derive(Debug, Default)]
pub(super) struct Stragglers {
    /// How many.
    count: usize,
    /// Answers so far.
    answers: usize,
    /// The count of answers from which on there may be one more.
    next_at: usize,
    /// The number of the first of `others`.
    first: u64,
    /// The calls since the oldest that is under way and no straggler, in the order in which they began.
    others: VecDeque<Call>,
}

#[derive(Debug)]
struct Call {
    /// The count of answers that makes it a straggler.
    patience: usize,
    ended: bool,
}

impl Stragglers {
    /// How many calls under way are stragglers.
    pub(super) const fn count(&self) -> usize {
        self.count
    }

    /// The next call begins: `running`, this one among them, are under way.
    pub(super) fn began(&mut self, running: usize) {
        let others = running.saturating_mul(TIMES).saturating_add(ONE_IN);
        let patience = self.answers.saturating_add(others);
        self.others.push_back(Call { patience, ended: false });
    }

    /// The call of that number ended, with an answer or without.
    pub(super) fn ended(&mut self, number: u64, answered: bool) {
        match number.checked_sub(self.first).map(usize::try_from) {
            None => self.count = self.count.saturating_sub(1),
            Some(Ok(index)) if index < self.others.len() => self.others[index].ended = true,
            Some(_) => {}
        }
        self.answers = self.answers.saturating_add(usize::from(answered));
        while let Some(oldest) = self.others.front() {
            if !oldest.ended {
                if self.answers < oldest.patience.max(self.next_at) {
                    break;
                }
                self.count += 1;
                self.next_at = self.answers.saturating_add(ONE_IN);
            }
            self.others.pop_front();
            self.first += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Calls that begin one after the other, by number.
    #[derive(Default)]
    struct Calls {
        stragglers: Stragglers,
        next: u64,
    }

    impl Calls {
        fn hang(&mut self) -> u64 {
            self.stragglers.began(1);
            self.next += 1;
            self.next - 1
        }

        fn end(&mut self, count: usize, answered: bool) {
            for _ in 0..count {
                let number = self.hang();
                self.stragglers.ended(number, answered);
            }
        }
    }

    #[test]
    fn a_call_that_hangs_while_others_are_answered_is_one_until_it_ends() {
        let mut calls = Calls::default();
        let hanging = calls.hang();
        calls.end(TIMES + ONE_IN - 1, true);
        assert_eq!(calls.stragglers.count(), 0);
        calls.end(1, true);
        assert_eq!(calls.stragglers.count(), 1);
        calls.stragglers.ended(hanging, true);
        assert_eq!(calls.stragglers.count(), 0);
    }

    #[test]
    fn where_nobody_is_answered_nobody_is_one() {
        let mut calls = Calls::default();
        calls.hang();
        calls.end(10 * ONE_IN, false);
        assert_eq!(calls.stragglers.count(), 0);
    }

    #[test]
    fn there_is_one_in_a_hundred_at_most() {
        let mut calls = Calls::default();
        for _ in 0..50 {
            calls.hang();
        }
        calls.end(TIMES + 10 * ONE_IN, true);
        assert_eq!(calls.stragglers.count(), 10);
    }

    #[test]
    fn of_what_has_ended_nothing_is_kept() {
        let mut calls = Calls::default();
        for _ in 0..3 {
            calls.hang();
            calls.end(10 * ONE_IN, true);
        }
        assert_eq!((calls.stragglers.count(), calls.stragglers.others.len()), (3, 0));
        assert_eq!(calls.stragglers.first, calls.next);
    }
}
