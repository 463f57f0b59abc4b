//! A lane in one session: its consumer, its acker, and the single job for a probe.

use std::{sync::Arc, time::Duration};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{
    commands::DeliverySender, connection::Connection, delivery::SettlementTargets,
    lane::LaneChannel, one_job::FetchAnswer, session_end::SessionBreak,
};
use crate::{domain::Lane, ports::Demand};

/// A command without an answer in this time ends the session.
const COMMAND_LIMIT: Duration = Duration::from_secs(10);

/// The consumer and the acker of a lane.
#[derive(Debug)]
pub(super) struct Consumption {
    lane: Lane,
    channel: Arc<LaneChannel>,
    prefetch: u16,
    targets: Arc<SettlementTargets>,
    tasks: JoinSet<LaneTask>,
    consuming: bool,
    /// Whether the last consumer may still bring deliveries.
    pumping: bool,
}

/// A task that ended, with the reason.
#[derive(Debug)]
enum LaneTask {
    /// Passed deliveries on.
    Pump(SessionBreak),
    /// Sent settlements to the broker.
    Acker(SessionBreak),
}

impl Consumption {
    /// Opens the lane. It does not consume yet.
    pub(super) async fn open(
        connection: &Connection,
        lane: Lane,
        prefetch: u16,
        targets: Arc<SettlementTargets>,
    ) -> lapin::Result<Self> {
        Ok(Self {
            lane,
            channel: Arc::new(LaneChannel::open(connection, lane).await?),
            prefetch,
            targets,
            tasks: JoinSet::new(),
            consuming: false,
            pumping: false,
        })
    }

    /// The lane's channel.
    pub(super) const fn channel(&self) -> &Arc<LaneChannel> {
        &self.channel
    }

    /// Starts the acker. It runs until `closing`, then sends the rest.
    pub(super) fn settle_until(&mut self, closing: CancellationToken) {
        let channel = Arc::clone(&self.channel);
        self.tasks.spawn(async move { LaneTask::Acker(channel.acker(closing).await) });
    }

    /// Starts or stops consuming, as `wanted` says.
    pub(super) async fn follow(
        &mut self,
        connection: &Connection,
        wanted: Demand,
        intake: Option<&DeliverySender>,
    ) -> Result<(), SessionBreak> {
        if self.consuming && wanted != Demand::All {
            in_time(connection, self.channel.cancel()).await?.map_err(SessionBreak::Failed)?;
            self.consuming = false;
        } else if let Some(intake) = intake
            && self.waits_for_room(wanted)
            && self.has_room()
        {
            let queue = self.targets.queues.lane(self.lane);
            let consuming = self.channel.consume(queue, self.prefetch);
            let consumer = in_time(connection, consuming).await?.map_err(SessionBreak::Failed)?;
            let (channel, targets) = (Arc::clone(&self.channel), Arc::clone(&self.targets));
            let deliveries = intake.deliveries.clone();
            self.tasks.spawn(async move {
                LaneTask::Pump(channel.pump(consumer, targets, deliveries).await)
            });
            (self.consuming, self.pumping) = (true, true);
        }
        Ok(())
    }

    /// Whether only a lack of room stops it from consuming.
    pub(super) fn waits_for_room(&self, wanted: Demand) -> bool {
        wanted == Demand::All && !self.consuming
    }

    /// Whether a consumer may start. The stopped one must have ended with few jobs left, or pause after pause would
    /// pile up jobs.
    fn has_room(&self) -> bool {
        !self.pumping && has_room(self.channel.in_flight(), self.prefetch)
    }

    /// Fetches the single wanted job, if there is one. The demand stays until the worker changes it, so the queue of
    /// deliveries must be empty: a job there is the one.
    pub(super) async fn fetch(
        &self,
        connection: &Connection,
        wanted: Demand,
        intake: Option<&DeliverySender>,
    ) -> Result<FetchAnswer, SessionBreak> {
        let Some(DeliverySender { deliveries, .. }) = intake else {
            return Ok(FetchAnswer::NotNow);
        };
        let waits = deliveries.capacity() < deliveries.max_capacity();
        if wanted != Demand::One || self.consuming || self.pumping || waits {
            return Ok(FetchAnswer::NotNow);
        }
        let fetching = self.channel.fetch(self.targets.queues.lane(self.lane), &self.targets);
        match in_time(connection, fetching).await?? {
            None => Ok(FetchAnswer::None),
            Some(delivery) => {
                // If the receiver is gone, the dropped delivery is requeued.
                let _ = deliveries.send(delivery).await;
                Ok(FetchAnswer::Job)
            }
        }
    }

    /// Waits until a task ends. Fails if that ends the session.
    pub(super) async fn next_end(&mut self) -> Result<(), SessionBreak> {
        match self.tasks.join_next().await {
            Some(Ok(LaneTask::Pump(SessionBreak::Cancelled))) if !self.consuming => {
                self.pumping = false;
                Ok(())
            }
            Some(Ok(LaneTask::Pump(broken) | LaneTask::Acker(broken))) => Err(broken),
            // A panic. The session is rebuilt, and nothing is lost.
            Some(Err(_)) => Err(SessionBreak::Panicked),
            // The acker lives as long as the session.
            None => std::future::pending().await,
        }
    }

    /// Waits until the broker has read everything that was sent.
    pub(super) async fn until_read(&self, connection: &Connection) {
        let _ = in_time(connection, self.channel.until_read(self.prefetch)).await;
    }

    /// Ends the tasks.
    pub(super) async fn end(&mut self) {
        self.tasks.shutdown().await;
    }
}

/// Carries out a command. No answer in time ends the session.
async fn in_time<T>(
    connection: &Connection,
    command: impl Future<Output = T>,
) -> Result<T, SessionBreak> {
    connection.answer_read(COMMAND_LIMIT, command).await.map_err(SessionBreak::Silent)
}

/// Whether a lane with this many jobs in flight may consume again.
const fn has_room(in_flight: usize, prefetch: u16) -> bool {
    in_flight <= prefetch as usize / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_consumes_again_when_it_holds_half_a_prefetch_at_most() {
        for (in_flight, room) in [(0, true), (8, true), (9, false), (16, false)] {
            assert_eq!(has_room(in_flight, 16), room, "{in_flight}");
        }
        assert!(has_room(0, 1), "a prefetch of one");
    }
}
