//! Stragglers: calls that hang while others are answered.
//!
//! A call that hangs occupies one place of the limit. Suppose that one call in a thousand takes ten seconds,
//! and the others a millisecond. Then the slow ones soon occupy a low limit, and all others wait. So
//! stragglers do not count against the limit.
//!
//! The measure is not the time of a call, but how many others were answered meanwhile. In an outage none
//! is answered, so no call becomes a straggler. Their number is bounded: where latency varies, some calls
//! always see many others pass, and those are normal load.

use std::collections::VecDeque;

/// A call hangs once this many answers, times the calls in flight at its start, and [`ONE_IN`] more, came after it.
const TIMES: usize = 3;

/// At most one in this many answered calls may become a straggler.
const ONE_IN: usize = 100;

/// The stragglers among the calls in flight.
#[derive(Debug, Default)]
pub(super) struct Stragglers {
    /// How many there are.
    count: usize,
    /// How many answers there were so far.
    answers: usize,
    /// The count of answers at which there may be one more straggler.
    next_at: usize,
    /// The number of the first of `others`.
    first: u64,
    /// The calls since the oldest that is under way and not a straggler, in the order of their starts.
    others: VecDeque<TrackedCall>,
}

#[derive(Debug)]
struct TrackedCall {
    /// The count of answers at which it becomes a straggler.
    patience: usize,
    ended: bool,
}

impl Stragglers {
    /// How many calls in flight are stragglers.
    pub(super) const fn count(&self) -> usize {
        self.count
    }

    /// Notes that the next call begins; `running` are under way, this one included.
    pub(super) fn began(&mut self, running: usize) {
        let others = running.saturating_mul(TIMES).saturating_add(ONE_IN);
        let patience = self.answers.saturating_add(others);
        self.others.push_back(TrackedCall { patience, ended: false });
    }

    /// Notes the end of the call with this number.
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
    fn without_answers_no_call_is_a_straggler() {
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
    fn ended_calls_are_not_kept() {
        let mut calls = Calls::default();
        for _ in 0..3 {
            calls.hang();
            calls.end(10 * ONE_IN, true);
        }
        assert_eq!((calls.stragglers.count(), calls.stragglers.others.len()), (3, 0));
        assert_eq!(calls.stragglers.first, calls.next);
    }
}
