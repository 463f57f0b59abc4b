//! The commands to the consuming side: the demand for jobs, and the order to close.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::delivery::AmqpDelivery;
use crate::ports::Demand;

/// The worker's end, which commands both lanes.
#[derive(Debug, Clone)]
pub struct ConsumerControl {
    wanted: watch::Sender<Demand>,
    stopped: CancellationToken,
    close: CancellationToken,
}

/// A lane's end, which receives the commands.
#[derive(Debug, Clone)]
pub(super) struct LaneCommands {
    wanted: watch::Receiver<Demand>,
    /// Cancelled once all deliveries in flight are settled: the lane sends the settlements and closes.
    pub(super) close: CancellationToken,
}

/// Takes a lane's deliveries. When the last clone is dropped, the broker delivers nothing more.
#[derive(Debug, Clone)]
pub(super) struct DeliverySender {
    /// The deliveries of both lanes.
    pub(super) deliveries: mpsc::Sender<AmqpDelivery>,
    _open: Arc<DropGuard>,
}

impl ConsumerControl {
    /// Returns the worker's end and each lane's end.
    pub(super) fn new(
        deliveries: mpsc::Sender<AmqpDelivery>,
    ) -> (Self, LaneCommands, DeliverySender) {
        let (wanted, commanded) = watch::channel(Demand::All);
        let (stopped, close) = (CancellationToken::new(), CancellationToken::new());
        let open = Arc::new(stopped.clone().drop_guard());
        let commands = LaneCommands { wanted: commanded, close: close.clone() };
        (Self { wanted, stopped, close }, commands, DeliverySender { deliveries, _open: open })
    }

    /// Sets how many jobs are wanted. After [`Demand::Never`] every other demand is ignored, and the source ends once
    /// everything delivered was taken from it.
    pub fn want(&self, wanted: Demand) {
        self.wanted.send_if_modified(|before| {
            let changed = *before != Demand::Never && *before != wanted;
            if changed {
                *before = wanted;
            }
            changed
        });
    }

    /// Waits until the broker delivers nothing more. A job requeued earlier would come back at once.
    pub async fn intake_stopped(&self) {
        self.stopped.cancelled().await;
    }

    /// Call it once all deliveries in flight are settled: the lanes send the settlements and close.
    pub fn close(&self) {
        self.want(Demand::Never);
        self.close.cancel();
    }
}

impl LaneCommands {
    /// How many jobs are wanted now.
    pub(super) fn wanted(&mut self) -> Demand {
        *self.wanted.borrow_and_update()
    }

    /// Waits for a change since [`LaneCommands::wanted`]. Never returns once no job is wanted any more.
    pub(super) async fn changed(&mut self) {
        let over =
            *self.wanted.borrow() == Demand::Never && !self.wanted.has_changed().unwrap_or(false);
        if over || self.wanted.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits until no job is wanted any more.
    pub(super) async fn unwanted(&mut self) {
        // The sender lives as long as the worker.
        let _ = self.wanted.wait_for(|wanted| *wanted == Demand::Never).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_intake_has_stopped_when_the_last_lane_gave_it_up() {
        let (control, _, interactive) = ConsumerControl::new(mpsc::channel(1).0);
        let bulk = interactive.clone();
        drop(interactive);
        assert!(!control.stopped.is_cancelled());
        drop(bulk);
        control.intake_stopped().await;
    }

    #[tokio::test]
    async fn after_never_nothing_else_is_listened_to() {
        let (control, mut commands, _) = ConsumerControl::new(mpsc::channel(1).0);
        control.want(Demand::None);
        commands.changed().await;
        control.close();
        control.want(Demand::All);
        assert_eq!(commands.wanted(), Demand::Never);
        assert!(commands.close.is_cancelled());
        commands.unwanted().await;
    }
}
