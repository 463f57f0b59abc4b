//! A replica's share of a rate that all replicas keep together.
//!
//! No replica knows the others. Each has one consumer on each lane, and the broker counts them. Each lane's consumers
//! divide half of the rate, so that the shares add up to the rate at most, also where some replicas consume one lane
//! alone. The rules below hold for each lane:
//!
//! - A share that falls applies at once.
//! - A share that grows applies once the higher count is older than [`SETTLED`]. A replica that left may make calls
//!   for as long as its last count is good, and the others must have seen whoever came.
//! - For the same reason a replica has no share until it has been counted for [`SETTLED`] without a gap.
//! - A count is good for [`GOOD_FOR`]. A replica that the broker tells nothing may not be counted any more.
//!
//! So at any time, all replicas with a share were counted together by each of them: with a share, each was counted from
//! `SETTLED` to `GOOD_FOR` ago without a gap, and each has asked within that time. A server that hands out leases would
//! be exact to the call, but would be one more server.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

use crate::{
    domain::{Lane, PerLane},
    ports::ANSWERED_WITHIN,
};

/// So long after it was asked for, a count is good.
pub const GOOD_FOR: Duration = Duration::from_secs(3);

/// After so long, every other replica with a share has counted whoever was there all the time.
pub const SETTLED: Duration = Duration::from_secs(8);

const _: () = assert!(
    SETTLED.as_millis() > 2 * GOOD_FOR.as_millis() + ANSWERED_WITHIN.as_millis(),
    "a replica may have asked too early and too late to count another"
);

/// What the broker counted on each lane.
#[derive(Debug, Default)]
pub struct Fleet(PerLane<Counts>);

/// What the broker counted on one lane.
#[derive(Debug, Default)]
struct Counts {
    /// Whether our own consumer is in force.
    in_force: bool,
    /// Since when the broker has counted it without a gap.
    since: Option<Instant>,
    /// When it was asked for the latest count.
    latest: Option<Instant>,
    /// The counts that are higher than every later one, each with when it was asked for.
    peaks: VecDeque<(Instant, u32)>,
}

impl Fleet {
    /// Asked at `asked`, with our own consumer in force, the broker counted so many on a lane. A count of 0 says that
    /// the queue was too busy to tell, and changes no share.
    pub fn counted(&mut self, lane: Lane, asked: Instant, consumers: u32) {
        let counts = self.0.get_mut(lane);
        counts.in_force = true;
        if consumers > 0 {
            counts.counted(asked, consumers);
        }
    }

    /// Our own consumer of a lane is not in force.
    pub fn absent(&mut self, lane: Lane) {
        let counts = self.0.get_mut(lane);
        (counts.in_force, counts.since, counts.latest) = (false, None, None);
    }

    /// Whether our own consumer of any lane is in force.
    #[must_use]
    pub fn consumes(&self) -> bool {
        Lane::ALL.into_iter().any(|lane| self.0.get(lane).in_force)
    }

    /// Our share of the rate, from 0 to 1.
    #[must_use]
    pub fn share(&self, now: Instant) -> f64 {
        Lane::ALL.into_iter().map(|lane| self.0.get(lane).share(now) / 2.0).sum()
    }
}

impl Counts {
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

    /// The share of what the lane's consumers divide.
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
