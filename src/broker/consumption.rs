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
    channel: Arc<LaneChannel>,
    tasks: JoinSet<LaneTask>,
    /// Whether the last consumer may still bring deliveries.
    pumping: bool,
}

/// A task that ended, with the reason.
#[derive(Debug)]
enum LaneTask {
    /// The task that passes deliveries on.
    Pump(SessionBreak),
    /// The task that sends settlements to the broker.
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
        let channel = LaneChannel::open(connection, lane, prefetch, targets).await?;
        Ok(Self { channel: Arc::new(channel), tasks: JoinSet::new(), pumping: false })
    }

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
        if self.channel.is_consuming() && wanted != Demand::All {
            in_time(connection, self.channel.cancel()).await?.map_err(SessionBreak::Failed)?;
        } else if let Some(intake) = intake
            && self.waits_for_room(wanted)
            && !self.pumping
            && self.channel.has_room()
        {
            let consuming = self.channel.consume();
            let consumer = in_time(connection, consuming).await?.map_err(SessionBreak::Failed)?;
            let (channel, deliveries) = (Arc::clone(&self.channel), intake.deliveries.clone());
            self.tasks
                .spawn(async move { LaneTask::Pump(channel.pump(consumer, deliveries).await) });
            self.pumping = true;
        }
        Ok(())
    }

    /// Whether only a lack of room stops it from consuming.
    pub(super) fn waits_for_room(&self, wanted: Demand) -> bool {
        wanted == Demand::All && !self.channel.is_consuming()
    }

    /// Fetches the single wanted job, if there is one. The demand stays until the worker changes it, so the queue of
    /// deliveries must be empty: a job in it is already the wanted one.
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
        if wanted != Demand::One || self.channel.is_consuming() || self.pumping || waits {
            return Ok(FetchAnswer::NotNow);
        }
        match in_time(connection, self.channel.fetch()).await?? {
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
            Some(Ok(LaneTask::Pump(SessionBreak::Cancelled))) if !self.channel.is_consuming() => {
                self.pumping = false;
                Ok(())
            }
            Some(Ok(LaneTask::Pump(broken) | LaneTask::Acker(broken))) => Err(broken),
            // A panic. The session is rebuilt, and nothing is lost.
            Some(Err(_)) => Err(SessionBreak::Broken("a task of the session panicked")),
            // The acker lives as long as the session.
            None => std::future::pending().await,
        }
    }

    /// Waits until the broker has read all sent frames.
    pub(super) async fn until_read(&self, connection: &Connection) {
        let _ = in_time(connection, self.channel.until_read()).await;
    }

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
