//! A lane in one session: its consumer, its acker, and the one job that a pause asks for.

use std::{sync::Arc, time::Duration};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{
    commands::DeliverySender, connection::Connection, delivery::SettlementTargets,
    lane::LaneChannel, one_job::FetchAnswer, session_end::SessionBreak,
};
use crate::{domain::Lane, ports::Demand};

/// The broker answers a command within this time, or the connection counts as lost.
const COMMAND_LIMIT: Duration = Duration::from_secs(10);

/// The consumer and the acker of a lane.
#[derive(Debug)]
pub struct Consumption {
    lane: Lane,
    channel: Arc<LaneChannel>,
    prefetch: u16,
    targets: Arc<SettlementTargets>,
    tasks: JoinSet<LaneTask>,
    consuming: bool,
    /// The last consumer may still bring deliveries.
    pumping: bool,
}

/// A task that ended.
#[derive(Debug)]
enum LaneTask {
    /// It passed deliveries on.
    Pump(SessionBreak),
    /// It told the broker of settlements.
    Acker(SessionBreak),
}

impl Consumption {
    /// Opens the lane; nothing is consumed yet.
    ///
    /// # Errors
    ///
    /// The broker's, or the connection's.
    pub async fn open(
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
    pub const fn channel(&self) -> &Arc<LaneChannel> {
        &self.channel
    }

    /// Tells the broker what is settled, from now on until `closing`; then the rest.
    pub fn settle_until(&mut self, closing: CancellationToken) {
        let channel = Arc::clone(&self.channel);
        self.tasks.spawn(async move { LaneTask::Acker(channel.acker(closing).await) });
    }

    /// Begins or stops to consume, as is wanted now.
    ///
    /// # Errors
    ///
    /// What ends the session.
    pub async fn follow(
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

    /// Whether it would consume, if there was room.
    pub fn waits_for_room(&self, wanted: Demand) -> bool {
        wanted == Demand::All && !self.consuming
    }

    /// Whether a consumer may begin: the one told to stop has come to its end, and not so much is left of
    /// what it brought that pause after pause would pile up.
    fn has_room(&self) -> bool {
        !self.pumping && has_room(self.channel.in_flight(), self.prefetch)
    }

    /// Takes the one job that is wanted, if there is any. It stays wanted until whoever wanted it says
    /// otherwise, so the intake must have room: a job that waits there is the one.
    ///
    /// # Errors
    ///
    /// What ends the session.
    pub async fn fetch(
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
                // If nobody takes jobs any more, the delivery goes back as it is dropped.
                let _ = deliveries.send(delivery).await;
                Ok(FetchAnswer::Job)
            }
        }
    }

    /// Waits until a task ends. Fails if that ends the session.
    pub async fn next_end(&mut self) -> Result<(), SessionBreak> {
        match self.tasks.join_next().await {
            Some(Ok(LaneTask::Pump(SessionBreak::Cancelled))) if !self.consuming => {
                self.pumping = false;
                Ok(())
            }
            Some(Ok(LaneTask::Pump(broken) | LaneTask::Acker(broken))) => Err(broken),
            // The session is rebuilt, and nothing is lost.
            Some(Err(_)) => Err(SessionBreak::Panicked),
            // The acker lives as long as the session.
            None => std::future::pending().await,
        }
    }

    /// Waits until the broker has read everything that it was told.
    pub async fn until_read(&self, connection: &Connection) {
        let _ = in_time(connection, self.channel.until_read(self.prefetch)).await;
    }

    /// Ends its tasks.
    pub async fn end(&mut self) {
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

/// Whether a lane that holds so many deliveries may consume again after a pause.
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
