//! This replica's share of a rate that all replicas keep together.
//!
//! No replica knows the others. Each has one consumer on each lane, and the broker counts them. The consumers of a
//! lane divide half of the rate. So the shares add up to the rate at most, even if some replicas consume one lane
//! alone. The rules for each lane:
//!
//! - A share that falls applies at once.
//! - A share that grows applies once the higher count is older than [`SETTLED`]. A replica that left may make calls
//!   while its last count is valid, and the others must have seen each new one.
//! - For the same reason a replica has no share until it has been counted for [`SETTLED`] without a gap.
//! - A count is valid for [`GOOD_FOR`]. A replica without a recent count may no longer be counted by others.
//!
//! So each replica with a share was counted by all others with a share. Each was counted without a gap from `SETTLED`
//! to `GOOD_FOR` ago, and each asked within that time. A server that grants leases would be exact to the call, but it
//! would be one more server.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

use crate::{
    domain::{Lane, PerLane},
    ports::ANSWERED_WITHIN,
};

/// How long a count is valid, from the request on.
pub(super) const GOOD_FOR: Duration = Duration::from_secs(3);

/// After this time every other replica with a share has counted a replica that was there all the time.
pub(super) const SETTLED: Duration = Duration::from_secs(8);

const _: () = assert!(
    SETTLED.as_millis() > 2 * GOOD_FOR.as_millis() + ANSWERED_WITHIN.as_millis(),
    "a replica may have asked too early and too late to count another"
);

/// The consumers that the broker counted on each lane.
#[derive(Debug, Default)]
pub(super) struct Fleet(PerLane<LaneConsumers>);

/// The consumers that the broker counted on one lane.
#[derive(Debug, Default)]
struct LaneConsumers {
    /// Whether our own consumer is active.
    in_force: bool,
    /// Since when the broker has counted our consumer without a gap.
    since: Option<Instant>,
    /// When the latest count was requested.
    latest: Option<Instant>,
    /// The counts that exceed every later one, with the times of their requests.
    peaks: VecDeque<(Instant, u32)>,
}

impl Fleet {
    /// Notes a count of a lane's consumers that was requested at `asked`, while our own consumer was active. A count of
    /// 0 means that the queue was too busy to answer, and changes no share.
    pub(super) fn counted(&mut self, lane: Lane, asked: Instant, consumers: u32) {
        let counts = self.0.get_mut(lane);
        counts.in_force = true;
        if consumers > 0 {
            counts.counted(asked, consumers);
        }
    }

    /// Notes that our own consumer of a lane is not active.
    pub(super) fn absent(&mut self, lane: Lane) {
        let counts = self.0.get_mut(lane);
        (counts.in_force, counts.since, counts.latest) = (false, None, None);
    }

    /// Whether our own consumer of any lane is active.
    pub(super) fn consumes(&self) -> bool {
        Lane::ALL.into_iter().any(|lane| self.0.get(lane).in_force)
    }

    /// Our share of the rate, from 0 to 1.
    pub(super) fn share(&self, now: Instant) -> f64 {
        Lane::ALL.into_iter().map(|lane| self.0.get(lane).share(now) / 2.0).sum()
    }
}

impl LaneConsumers {
    fn counted(&mut self, asked: Instant, consumers: u32) {
        let gap = self.latest.is_none_or(|latest| asked > latest + GOOD_FOR);
        if gap || self.since.is_none() {
            self.since = Some(asked);
        }
        self.latest = Some(asked);
        while self.peaks.back().is_some_and(|(_, peak)| *peak <= consumers) {
            self.peaks.pop_back();
        }
        while self.peaks.front().is_some_and(|(at, _)| *at + SETTLED <= asked) {
            self.peaks.pop_front();
        }
        self.peaks.push_back((asked, consumers));
    }

    /// The share among the lane's consumers.
    fn share(&self, now: Instant) -> f64 {
        let settled = self.since.is_some_and(|since| since + SETTLED <= now);
        let good = self.latest.is_some_and(|latest| now <= latest + GOOD_FOR);
        let highest = self.peaks.iter().find(|(at, _)| now < *at + SETTLED);
        match highest {
            Some((_, consumers)) if settled && good => f64::from(*consumers).recip(),
            _ => 0.0,
        }
    }
}

#[cfg(test)]
mod tests;
