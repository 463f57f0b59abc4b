//! Samples the depth of the queues by passive declares, whose counts do not lag. It also detects a consumer without
//! deliveries although jobs wait.
//!
//! Each lane's session samples its own queue. One session alone samples the shared queues and that of a lane without
//! a session.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use lapin::{Channel, types::ShortString};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::{
    connection::Connection,
    lane::LaneChannel,
    queues::Queues,
    session_end::SessionBreak,
    starvation::Starvation,
    topology::{self, Occupancy},
    wait::{ConnectionState, NoAnswer},
};
use crate::{
    domain::{Lane, PerLane},
    metrics::{Depth, Metrics},
    ports::Consumers,
};

const EVERY: Duration = Duration::from_secs(2);

/// The limit of one sample. The next one uses another channel.
const LIMIT: Duration = Duration::from_secs(10);

/// Which lanes have a session that samples.
#[derive(Debug, Clone, Default)]
pub(super) struct Samplers(Arc<PerLane<AtomicBool>>);

/// Marks a lane as sampling until it is dropped.
struct Sampler<'a>(&'a AtomicBool);

impl Samplers {
    fn enter(&self, lane: Lane) -> Sampler<'_> {
        let sampler = Sampler(self.0.get(lane));
        sampler.0.store(true, Ordering::Relaxed);
        sampler
    }

    /// The lanes that the session of `lane` samples, its own first.
    fn lanes(&self, lane: Lane) -> impl Iterator<Item = Lane> {
        let alone = !self.0.get(lane.other()).load(Ordering::Relaxed);
        [Some(lane), alone.then_some(lane.other())].into_iter().flatten()
    }

    /// Whether the session of `lane` samples the shared queues.
    fn samples_shared(&self, lane: Lane) -> bool {
        lane == Lane::Interactive || !self.0.get(Lane::Interactive).load(Ordering::Relaxed)
    }
}

impl Drop for Sampler<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// Samples for one lane.
#[derive(Debug)]
pub(super) struct Depths {
    pub(super) lane: Lane,
    pub(super) queues: Arc<Queues>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) samplers: Samplers,
    /// Receives the number of the lane's consumers, where replicas share a rate.
    pub(super) consumers: Option<Arc<dyn Consumers>>,
}

impl Depths {
    /// Samples until the connection is gone or the lane's consumer starves.
    pub(super) async fn sample(
        &self,
        connection: &Connection,
        consumer: &LaneChannel,
    ) -> SessionBreak {
        let Some(consumers) = &self.consumers else {
            return self.sample_depths(connection, consumer).await;
        };
        tokio::select! {
            broken = self.sample_depths(connection, consumer) => broken,
            broken = self.count_consumers(&**consumers, connection, consumer) => broken,
        }
    }

    async fn sample_depths(&self, connection: &Connection, consumer: &LaneChannel) -> SessionBreak {
        let _sampler = self.samplers.enter(self.lane);
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut probe = DepthProbe::on(connection);
        let mut starvation = Starvation::default();
        while connection.status().connected() {
            ticks.tick().await;
            if connection.state() == ConnectionState::Stalled {
                // The answer would wait behind unread deliveries.
                continue;
            }
            let mut waiting = None;
            if timeout(LIMIT, self.sample_once(&mut probe, &mut waiting)).await.is_err() {
                probe.forget();
            }
            if starvation.is_starving(consumer.serving(waiting)) {
                return SessionBreak::Starving;
            }
        }
        SessionBreak::Silent(NoAnswer::Gone)
    }

    /// Takes one sample, and returns in `waiting` how many jobs wait in the lane. A queue that cannot be sampled
    /// keeps its figure.
    async fn sample_once(&self, probe: &mut DepthProbe<'_>, waiting: &mut Option<u32>) {
        for lane in self.samplers.lanes(self.lane) {
            let Some(found) = probe.at(self.queues.lane(lane)).await else { continue };
            if lane == self.lane {
                // No consumer at all, not even ours: the queue was too busy to answer.
                *waiting = (found.consumers > 0 || found.ready > 0).then_some(found.ready);
            }
            self.metrics.queue_messages(depth_of(lane), found.ready.into());
        }
        if self.samplers.samples_shared(self.lane) {
            if let Some(found) = probe.at(self.queues.dead()).await {
                self.metrics.queue_messages(Depth::Dead, found.ready.into());
            }
            let mut parked = Some(0);
            for queue in self.queues.all_retry() {
                let found = probe.at(queue).await;
                parked = parked.zip(found).map(|(sum, found)| sum + u64::from(found.ready));
            }
            if let Some(parked) = parked {
                self.metrics.queue_messages(Depth::Parked, parked);
            }
        }
    }
}

const fn depth_of(lane: Lane) -> Depth {
    match lane {
        Lane::Interactive => Depth::Interactive,
        Lane::Bulk => Depth::Bulk,
    }
}

/// Asks for depths on a channel of its own, because a question about a missing queue closes the channel.
#[derive(Debug)]
pub(super) struct DepthProbe<'a> {
    connection: &'a Connection,
    channel: Option<Channel>,
}

impl<'a> DepthProbe<'a> {
    pub(super) const fn on(connection: &'a Connection) -> Self {
        Self { connection, channel: None }
    }

    /// Uses another channel next: this one has not answered.
    pub(super) fn forget(&mut self) {
        self.channel = None;
    }

    /// The occupancy of a queue; `None` if the broker refuses.
    pub(super) async fn at(&mut self, queue: &ShortString) -> Option<Occupancy> {
        if self.channel.as_ref().is_none_or(|channel| !channel.status().connected()) {
            self.channel = self.connection.create_channel().await.ok();
        }
        let found = topology::passive_declare(self.channel.as_ref()?, queue).await.ok();
        if found.is_none() {
            self.channel = None;
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lanes(samplers: &Samplers, lane: Lane) -> Vec<Lane> {
        samplers.lanes(lane).collect()
    }

    #[test]
    fn each_session_samples_its_own_lane_and_the_shared_queues_are_sampled_once() {
        let samplers = Samplers::default();
        let (_interactive, _bulk) = (samplers.enter(Lane::Interactive), samplers.enter(Lane::Bulk));
        for lane in Lane::ALL {
            assert_eq!(lanes(&samplers, lane), [lane]);
        }
        let shared = Lane::ALL.map(|lane| samplers.samples_shared(lane));
        assert_eq!(shared, [true, false]);
    }

    #[test]
    fn the_remaining_session_samples_all_queues() {
        let samplers = Samplers::default();
        let (interactive, bulk) = (samplers.enter(Lane::Interactive), samplers.enter(Lane::Bulk));
        drop(interactive);
        assert_eq!(lanes(&samplers, Lane::Bulk), [Lane::Bulk, Lane::Interactive]);
        assert!(samplers.samples_shared(Lane::Bulk));
        let _interactive = samplers.enter(Lane::Interactive);
        drop(bulk);
        assert_eq!(lanes(&samplers, Lane::Interactive), [Lane::Interactive, Lane::Bulk]);
    }
}
