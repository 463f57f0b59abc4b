//! What the consuming side is told: how many jobs are wanted, and when to close.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::delivery::AmqpDelivery;
use crate::ports::Demand;

/// What the worker tells its lanes by.
#[derive(Debug, Clone)]
pub struct ConsumerControl {
    wanted: watch::Sender<Demand>,
    stopped: CancellationToken,
    close: CancellationToken,
}

/// What a lane is told.
#[derive(Debug, Clone)]
pub struct LaneCommands {
    wanted: watch::Receiver<Demand>,
    /// Everything in flight is settled: tell the broker and close.
    pub close: CancellationToken,
}

/// Where a lane's deliveries go. When the last clone is dropped, the broker delivers nothing more.
#[derive(Debug, Clone)]
pub struct DeliverySender {
    /// The deliveries of both lanes.
    pub deliveries: mpsc::Sender<AmqpDelivery>,
    _open: Arc<DropGuard>,
}

impl ConsumerControl {
    /// A control, and both ends that a lane needs.
    #[must_use]
    pub fn new(deliveries: mpsc::Sender<AmqpDelivery>) -> (Self, LaneCommands, DeliverySender) {
        let (wanted, commanded) = watch::channel(Demand::All);
        let (stopped, close) = (CancellationToken::new(), CancellationToken::new());
        let open = Arc::new(stopped.clone().drop_guard());
        let commands = LaneCommands { wanted: commanded, close: close.clone() };
        (Self { wanted, stopped, close }, commands, DeliverySender { deliveries, _open: open })
    }

    /// Says how many jobs are wanted. After [`Demand::Never`] nothing else is listened to, and the
    /// source ends once everything delivered was taken from it.
    pub fn want(&self, wanted: Demand) {
        self.wanted.send_if_modified(|before| {
            let changed = *before != Demand::Never && *before != wanted;
            if changed {
                *before = wanted;
            }
            changed
        });
    }

    /// Waits until the broker delivers nothing more: what is handed back before that comes again.
    pub async fn intake_stopped(&self) {
        self.stopped.cancelled().await;
    }

    /// Everything in flight is settled: tells the broker and closes.
    pub fn close(&self) {
        self.want(Demand::Never);
        self.close.cancel();
    }
}

impl LaneCommands {
    /// How many jobs are wanted now.
    pub fn wanted(&mut self) -> Demand {
        *self.wanted.borrow_and_update()
    }

    /// Waits until something was said since [`LaneCommands::wanted`]; for ever, once no job is wanted any more.
    pub async fn changed(&mut self) {
        let over =
            *self.wanted.borrow() == Demand::Never && !self.wanted.has_changed().unwrap_or(false);
        if over || self.wanted.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits until no job is wanted any more.
    pub async fn unwanted(&mut self) {
        // The sender lives as long as the worker; if it is gone nothing is wanted any more.
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
