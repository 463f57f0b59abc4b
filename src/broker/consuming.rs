//! The state of each lane's consumer, for `/readyz`, the log, the metric and the other lane.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::{sync::watch, time::Instant};
use tracing::{info, warn};

use crate::{
    domain::{Lane, PerLane},
    metrics::Metrics,
    ports::{Clock, Condition, Report, SystemClock},
};

#[derive(Debug, Clone, PartialEq, Eq)]
enum LaneState {
    /// It consumes, or a pause stops it from consuming.
    Yes(Instant),
    /// It does not consume, for this cause.
    No(String),
    /// The worker stops.
    Stopping(SystemTime),
}

/// Whether each lane consumes.
#[derive(Debug)]
pub struct Consuming {
    states: watch::Sender<PerLane<LaneState>>,
    metrics: Arc<Metrics>,
}

impl Consuming {
    /// No lane consumes yet.
    pub(super) fn new(metrics: Arc<Metrics>) -> Self {
        let connecting = |_| LaneState::No("connecting to the broker".to_owned());
        Self { states: watch::Sender::new(PerLane::from_fn(connecting)), metrics }
    }

    pub(super) fn consumes(&self, lane: Lane) {
        self.set(lane, LaneState::Yes(Instant::now()));
        info!(lane = lane.as_str(), "consuming");
    }

    /// Records that a lane does not consume. Logs each change once, not each try.
    pub(super) fn fails(&self, lane: Lane, cause: &str) {
        if self.set(lane, LaneState::No(cause.to_owned())) {
            warn!(lane = lane.as_str(), cause, "not consuming");
        }
    }

    pub(super) fn stops(&self, lane: Lane) {
        self.set(lane, LaneState::Stopping(SystemClock.now()));
    }

    /// Whether a lane has consumed for at least this time.
    pub(super) fn has_consumed_for(&self, lane: Lane, least: Duration) -> bool {
        matches!(self.states.borrow().get(lane), LaneState::Yes(since) if since.elapsed() >= least)
    }

    /// Sets the state. Returns whether it changed.
    fn set(&self, lane: Lane, state: LaneState) -> bool {
        self.states.send_if_modified(|states| {
            let changed = *states.get(lane) != state;
            *states.get_mut(lane) = state;
            // The metric is set here, because changes are serialized here.
            let both =
                Lane::ALL.into_iter().all(|lane| matches!(states.get(lane), LaneState::Yes(_)));
            self.metrics.broker_connected(both);
            changed
        })
    }
}

impl Report for Consuming {
    fn condition(&self) -> Condition {
        let PerLane { interactive, bulk } = &*self.states.borrow();
        match (interactive, bulk) {
            (LaneState::Stopping(since), _) | (_, LaneState::Stopping(since)) => {
                Condition::Waiting {
                    reason: "shutting down".to_owned(),
                    since: *since,
                    until: None,
                }
            }
            (LaneState::Yes(_), LaneState::Yes(_)) => Condition::Ready,
            (LaneState::No(cause), LaneState::Yes(_)) => only_one(Lane::Interactive, cause),
            (LaneState::Yes(_), LaneState::No(cause)) => only_one(Lane::Bulk, cause),
            (LaneState::No(one), LaneState::No(other)) if one == other => {
                Condition::NotReady { reason: format!("neither lane consumes: {one}") }
            }
            (LaneState::No(interactive), LaneState::No(bulk)) => Condition::NotReady {
                reason: format!(
                    "neither lane consumes: the interactive lane: {interactive}; the bulk lane: {bulk}"
                ),
            },
        }
    }
}

fn only_one(lane: Lane, cause: &str) -> Condition {
    let other = lane.other();
    let reason = format!("the {lane} lane does not consume: {cause}; the {other} lane continues");
    Condition::NotReady { reason }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Build;

    fn lanes() -> Consuming {
        Consuming::new(Arc::new(Metrics::new(Build { version: "1", revision: "r" }).unwrap()))
    }

    fn connected(lanes: &Consuming) -> bool {
        lanes.metrics.render().unwrap().contains("\nrevoker_broker_connected 1\n")
    }

    fn reason(lanes: &Consuming) -> String {
        match lanes.condition() {
            Condition::NotReady { reason } | Condition::Waiting { reason, .. } => reason,
            Condition::Ready => "ready".to_owned(),
        }
    }

    #[test]
    fn the_worker_is_ready_and_connected_only_while_both_lanes_consume() {
        let lanes = lanes();
        assert_eq!(reason(&lanes), "neither lane consumes: connecting to the broker");
        lanes.consumes(Lane::Interactive);
        assert!(!connected(&lanes));
        lanes.consumes(Lane::Bulk);
        assert_eq!((reason(&lanes).as_str(), connected(&lanes)), ("ready", true));
        lanes.fails(Lane::Bulk, "541 INTERNAL_ERROR");
        assert!(!connected(&lanes));
    }

    #[test]
    fn the_reason_names_each_lane_that_fails_and_its_cause() {
        let lanes = lanes();
        lanes.consumes(Lane::Interactive);
        lanes.fails(Lane::Bulk, "541 INTERNAL_ERROR");
        assert_eq!(
            reason(&lanes),
            "the bulk lane does not consume: 541 INTERNAL_ERROR; the interactive lane continues"
        );
        lanes.fails(Lane::Interactive, "connection refused");
        assert_eq!(
            reason(&lanes),
            "neither lane consumes: the interactive lane: connection refused; the bulk lane: 541 \
             INTERNAL_ERROR"
        );
        lanes.fails(Lane::Bulk, "connection refused");
        assert_eq!(reason(&lanes), "neither lane consumes: connection refused");
        lanes.stops(Lane::Interactive);
        assert_eq!(reason(&lanes), "shutting down");
    }

    #[tokio::test(start_paused = true)]
    async fn how_long_a_lane_has_consumed_counts_from_its_last_beginning() {
        const LEAST: Duration = Duration::from_secs(10);
        let lanes = lanes();
        lanes.consumes(Lane::Bulk);
        tokio::time::advance(LEAST).await;
        assert!(lanes.has_consumed_for(Lane::Bulk, LEAST));
        assert!(!lanes.has_consumed_for(Lane::Interactive, LEAST));
        lanes.fails(Lane::Bulk, "cut");
        lanes.consumes(Lane::Bulk);
        assert!(!lanes.has_consumed_for(Lane::Bulk, LEAST));
    }
}
