//! Who waits, and whose turn it is.

use std::collections::VecDeque;

use crate::domain::{Lane, PerLane};

/// Two queues, one turn at a time. The interactive lane goes first; while both wait, the bulk lane
/// still gets its least share of the turns, so that a stream of logouts never starves a sweep.
#[derive(Debug)]
pub struct Lanes<T> {
    waiting: PerLane<VecDeque<T>>,
    bulk_min_share: f64,
    /// What the bulk lane is owed, in turns.
    owed: f64,
}

impl<T> Lanes<T> {
    /// Empty lanes with this least share for the bulk lane, from 0 to 1.
    #[must_use]
    pub const fn new(bulk_min_share: f64) -> Self {
        let waiting = PerLane { interactive: VecDeque::new(), bulk: VecDeque::new() };
        Self { waiting, bulk_min_share, owed: 0.0 }
    }

    /// Joins the lane's queue at its end.
    pub fn join(&mut self, lane: Lane, waiter: T) {
        self.waiting.get_mut(lane).push_back(waiter);
    }

    /// Removes those that have gone; only the front is looked at, the rest is met when its turn comes.
    pub fn leave(&mut self, gone: impl Fn(&T) -> bool) {
        for lane in Lane::ALL {
            let queue = self.waiting.get_mut(lane);
            while queue.front().is_some_and(&gone) {
                queue.pop_front();
            }
        }
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        Lane::ALL.into_iter().all(|lane| self.waiting.get(lane).is_empty())
    }

    /// Whose turn it is; the turn counts only when [`Lanes::served`] says that it was taken.
    pub fn next(&mut self) -> Option<(Lane, T)> {
        let lane = self.turn()?;
        self.waiting.get_mut(lane).pop_front().map(|waiter| (lane, waiter))
    }

    /// Counts a turn that was taken, `contested` if the other lane waited as well.
    pub fn served(&mut self, lane: Lane, contested: bool) {
        if contested {
            self.owed += self.bulk_min_share;
        }
        if lane == Lane::Bulk {
            // Turns that the bulk lane had to itself earn the interactive one nothing back.
            self.owed = (self.owed - 1.0).max(0.0);
        }
    }

    /// Whether both lanes wait.
    #[must_use]
    pub fn contested(&self) -> bool {
        Lane::ALL.into_iter().all(|lane| !self.waiting.get(lane).is_empty())
    }

    fn turn(&self) -> Option<Lane> {
        let bulk_first = self.owed + self.bulk_min_share >= 1.0;
        let [first, second] = if bulk_first && self.contested() {
            [Lane::Bulk, Lane::Interactive]
        } else {
            [Lane::Interactive, Lane::Bulk]
        };
        [first, second].into_iter().find(|lane| !self.waiting.get(*lane).is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(share: f64, interactive: usize, bulk: usize) -> Vec<Lane> {
        let mut lanes = Lanes::new(share);
        (0..interactive).for_each(|_| lanes.join(Lane::Interactive, ()));
        (0..bulk).for_each(|_| lanes.join(Lane::Bulk, ()));
        let mut turns = Vec::new();
        loop {
            let contested = lanes.contested();
            let Some((lane, ())) = lanes.next() else { return turns };
            lanes.served(lane, contested);
            turns.push(lane);
        }
    }

    #[test]
    fn interactive_jobs_go_first() {
        use Lane::{Bulk, Interactive};
        assert_eq!(turns(0.0, 2, 2), [Interactive, Interactive, Bulk, Bulk]);
    }

    #[test]
    fn a_lane_alone_gets_everything() {
        assert_eq!(turns(0.05, 0, 100).len(), 100);
        assert_eq!(turns(0.05, 100, 0).len(), 100);
    }

    #[test]
    fn while_both_wait_the_bulk_lane_gets_its_share_and_no_more() {
        for (share, every) in [(0.05, 20), (0.25, 4), (0.5, 2), (1.0, 1)] {
            let turns = turns(share, 1000, 1000);
            let bulk = turns[..200].iter().filter(|lane| **lane == Lane::Bulk).count();
            assert!((bulk.abs_diff(200 / every)) <= 1, "share {share}: {bulk} of 200");
        }
    }

    #[test]
    fn a_sweep_earns_no_debt_while_it_is_alone() {
        let mut lanes = Lanes::new(0.05);
        for _ in 0..1000 {
            lanes.join(Lane::Bulk, ());
            let (lane, ()) = lanes.next().unwrap();
            lanes.served(lane, false);
        }
        lanes.join(Lane::Bulk, ());
        lanes.join(Lane::Interactive, ());
        assert_eq!(lanes.next().unwrap().0, Lane::Interactive);
    }
}
