//! Calls that hang while others are answered.
//!
//! Such a call tells nothing of the endpoint's load, and holds its place for as long as it hangs. Where one
//! call in a thousand takes ten seconds and the others a millisecond, these would soon hold every place of
//! a low limit, and all others would wait for them.
//!
//! It is not asked how long a call takes, but how many others were answered meanwhile. In an outage nobody
//! is answered, so no call becomes a straggler, and an endpoint that is down gets no more of them.

use std::collections::VecDeque;

/// So many answers make a call that began before them a straggler, beyond one to each call that was under
/// way with it.
const PATIENCE: usize = 100;

/// Which calls under way are stragglers.
#[derive(Debug, Default)]
pub(super) struct Stragglers {
    /// How many.
    count: usize,
    /// Answers so far.
    answers: usize,
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
        let patience = self.answers.saturating_add(running).saturating_add(PATIENCE);
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
                if oldest.patience > self.answers {
                    break;
                }
                self.count += 1;
            }
            self.others.pop_front();
            self.first += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many calls, one after the other beside what hangs, answered or not. Returns the next number.
    fn calls(stragglers: &mut Stragglers, numbers: std::ops::Range<u64>, answered: bool) -> u64 {
        for number in numbers.clone() {
            stragglers.began(2);
            stragglers.ended(number, answered);
        }
        numbers.end
    }

    #[test]
    fn a_call_that_hangs_while_others_are_answered_is_one_until_it_ends() {
        let mut stragglers = Stragglers::default();
        stragglers.began(1);
        let next = calls(&mut stragglers, 1..PATIENCE as u64 + 1, true);
        assert_eq!(stragglers.count(), 0, "as many as began with it, and patience");
        calls(&mut stragglers, next..next + 1, true);
        assert_eq!(stragglers.count(), 1);
        stragglers.ended(0, true);
        assert_eq!(stragglers.count(), 0);
    }

    #[test]
    fn where_nobody_is_answered_nobody_is_one() {
        let mut stragglers = Stragglers::default();
        stragglers.began(1);
        calls(&mut stragglers, 1..10 * PATIENCE as u64, false);
        assert_eq!(stragglers.count(), 0);
    }

    #[test]
    fn of_what_has_ended_nothing_is_kept() {
        let mut stragglers = Stragglers::default();
        let mut next = 0;
        for _ in 0..3 {
            stragglers.began(1);
            next = calls(&mut stragglers, next + 1..next + 10 * PATIENCE as u64, true);
        }
        assert_eq!((stragglers.count(), stragglers.others.len()), (3, 0));
    }
}
