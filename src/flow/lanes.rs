//! The waiting jobs of both lanes, and which lane and client is next.

use super::fair::FairQueue;
use crate::domain::{ClientKey, Lane, PerLane};

/// The waiting jobs of both lanes. The interactive lane goes first. While both lanes wait, the bulk lane gets its
/// minimum share, so that a stream of logouts never starves a sweep.
#[derive(Debug)]
pub(super) struct Lanes<T> {
    waiting: PerLane<FairQueue<T>>,
    bulk_min_share: f64,
    /// How many starts the bulk lane is behind its minimum share.
    owed: f64,
}

/// The lane and client that is next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LaneTurn {
    pub(super) lane: Lane,
    pub(super) client: ClientKey,
    /// Whether the other lane could have been served as well.
    pub(super) contested: bool,
}

impl<T> Lanes<T> {
    /// Empty lanes with this minimum share for the bulk lane, from 0 to 1.
    pub(super) fn new(bulk_min_share: f64) -> Self {
        Self { waiting: PerLane::from_fn(|_| FairQueue::default()), bulk_min_share, owed: 0.0 }
    }

    /// The waiting jobs of a lane.
    pub(super) const fn lane(&mut self, lane: Lane) -> &mut FairQueue<T> {
        self.waiting.get_mut(lane)
    }

    /// The lane and client that is next among the clients that `may` be served.
    pub(super) fn next(&self, mut may: impl FnMut(ClientKey) -> bool) -> Option<LaneTurn> {
        let mut next = |lane| self.waiting.get(lane).next(&mut may);
        let first = next(Lane::Interactive);
        let bulk_first = self.owed + self.bulk_min_share >= 1.0;
        match (first, next(Lane::Bulk)) {
            (Some(_), Some(client)) if bulk_first => {
                Some(LaneTurn { lane: Lane::Bulk, client, contested: true })
            }
            (Some(client), bulk) => {
                Some(LaneTurn { lane: Lane::Interactive, client, contested: bulk.is_some() })
            }
            (None, Some(client)) => Some(LaneTurn { lane: Lane::Bulk, client, contested: false }),
            (None, None) => None,
        }
    }

    /// Notes that the turn was taken.
    pub(super) fn served(&mut self, turn: LaneTurn) {
        if turn.contested {
            self.owed += self.bulk_min_share;
        }
        if turn.lane == Lane::Bulk {
            // Uncontested turns of the bulk lane create no debt.
            self.owed = (self.owed - 1.0).max(0.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: ClientKey = ClientKey(0);

    fn turns(share: f64, interactive: usize, bulk: usize) -> Vec<Lane> {
        let mut lanes = Lanes::new(share);
        (0..interactive).for_each(|_| lanes.lane(Lane::Interactive).join(CLIENT, ()));
        (0..bulk).for_each(|_| lanes.lane(Lane::Bulk).join(CLIENT, ()));
        let mut turns = Vec::new();
        while let Some(turn) = lanes.next(|_| true) {
            lanes.lane(turn.lane).take(turn.client);
            lanes.served(turn);
            turns.push(turn.lane);
        }
        turns
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
            lanes.lane(Lane::Bulk).join(CLIENT, ());
            let turn = lanes.next(|_| true).unwrap();
            lanes.lane(turn.lane).take(turn.client);
            lanes.served(turn);
        }
        lanes.lane(Lane::Bulk).join(CLIENT, ());
        lanes.lane(Lane::Interactive).join(CLIENT, ());
        assert_eq!(lanes.next(|_| true).unwrap().lane, Lane::Interactive);
    }

    #[test]
    fn a_lane_whose_clients_are_all_paused_contests_nothing() {
        let mut lanes = Lanes::new(1.0);
        lanes.lane(Lane::Interactive).join(CLIENT, ());
        lanes.lane(Lane::Bulk).join(ClientKey(1), ());
        let turn = lanes.next(|client| client == CLIENT).unwrap();
        assert_eq!(turn, LaneTurn { lane: Lane::Interactive, client: CLIENT, contested: false });
    }
}
