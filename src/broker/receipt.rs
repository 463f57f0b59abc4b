//! One delivery's claim on its channel: settled once, or given back when dropped.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::acks::{Acks, Frame, Settle};
use crate::ports::Settled;

/// So many settlements are told to the broker at once, without waiting for more.
const FLUSH_COUNT: usize = 64;

/// The settlements of one channel, shared by its deliveries and its acker. It belongs to one session:
/// no ack ever crosses into the next, where the same tag means another job.
#[derive(Debug, Default)]
pub struct ChannelLedger {
    acks: Mutex<Acks>,
    some: Notify,
    many: Notify,
    lost: CancellationToken,
}

impl ChannelLedger {
    /// Notes a delivery; `false` if its tag is not the next one.
    #[must_use]
    pub fn delivered(&self, tag: u64) -> bool {
        self.acks().delivered(tag)
    }

    /// Deliveries that are not settled yet.
    #[must_use]
    pub fn in_hand(&self) -> usize {
        self.acks().in_hand()
    }

    /// Waits until something is settled.
    pub async fn some(&self) {
        self.some.notified().await;
    }

    /// Waits until so much is settled that it should be told at once.
    pub async fn many(&self) {
        self.many.notified().await;
    }

    /// What to tell the broker now.
    pub fn flush(&self, frames: &mut Vec<Frame>) {
        self.acks().flush(frames);
    }

    /// Ends it: the session is lost, and whatever is in hand will be delivered again.
    pub fn lose(&self) {
        self.lost.cancel();
    }

    fn settle(&self, tag: u64, settle: Settle) {
        let unflushed = self.acks().settle(tag, settle);
        if unflushed == 1 {
            self.some.notify_one();
        } else if unflushed == FLUSH_COUNT {
            self.many.notify_one();
        }
    }

    fn acks(&self) -> MutexGuard<'_, Acks> {
        // Nothing in `Acks` panics halfway through a change.
        self.acks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One delivery's claim on its channel.
#[derive(Debug)]
pub struct Receipt {
    tag: u64,
    ledger: Arc<ChannelLedger>,
    settled: bool,
}

impl Receipt {
    /// The claim of the delivery with this tag.
    #[must_use]
    pub const fn new(tag: u64, ledger: Arc<ChannelLedger>) -> Self {
        Self { tag, ledger, settled: false }
    }

    /// Acks the delivery, if its session still lives.
    pub fn ack(mut self) -> Settled {
        self.settle(Settle::Ack, Settled::Done)
    }

    /// Gives the delivery back, if its session still lives.
    pub fn requeue(mut self) -> Settled {
        self.settle(Settle::Requeue, Settled::HandedBack)
    }

    /// Cancelled when the session is lost.
    #[must_use]
    pub fn lost(&self) -> CancellationToken {
        self.ledger.lost.clone()
    }

    fn settle(&mut self, settle: Settle, settled: Settled) -> Settled {
        self.settled = true;
        if self.ledger.lost.is_cancelled() {
            return Settled::Abandoned;
        }
        self.ledger.settle(self.tag, settle);
        settled
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        // A job that nobody settled, for whatever reason, must not wait for the channel to end.
        if !self.settled {
            self.settle(Settle::Requeue, Settled::HandedBack);
        }
    }
}
