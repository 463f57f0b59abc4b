//! The receipt of one delivery: settled once, or requeued when dropped.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::sleep};
use tokio_util::sync::CancellationToken;

use super::acks::{Acks, Frame, Settle};
use crate::ports::{Settled, Unpublishable};

/// This many settlements are flushed at once.
const FLUSH_COUNT: usize = 64;

/// The longest time that a settlement waits for others.
const FLUSH_AFTER: Duration = Duration::from_millis(4);

/// The settlements of one channel, shared by its deliveries and its acker. It belongs to one session. An ack in the
/// next session would hit another job with the same tag.
#[derive(Debug, Default)]
pub struct ChannelLedger {
    acks: Mutex<Acks>,
    some: Notify,
    many: Notify,
    lost: CancellationToken,
}

impl ChannelLedger {
    /// Records a delivery. Returns `false` if its tag is not the next one.
    #[must_use]
    pub fn delivered(&self, tag: u64) -> bool {
        self.acks().delivered(tag)
    }

    /// The number of deliveries so far.
    pub(super) fn delivered_so_far(&self) -> u64 {
        self.acks().delivered_so_far()
    }

    /// The number of unsettled deliveries.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.acks().in_flight()
    }

    /// Waits until a flush is due: at once for many settlements, after a moment for a few, and at `closing`. Returns
    /// `true` for the last flush.
    pub async fn due(&self, closing: &CancellationToken) -> bool {
        tokio::select! {
            biased;
            () = self.some.notified() => {}
            () = closing.cancelled() => return true,
        }
        tokio::select! {
            biased;
            () = self.many.notified() => {}
            () = closing.cancelled() => {}
            () = sleep(FLUSH_AFTER) => {}
        }
        false
    }

    /// Appends the frames for the broker.
    pub fn flush(&self, frames: &mut Vec<Frame>) {
        self.acks().flush(frames);
    }

    /// Marks the session as lost: everything in flight will be delivered again.
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
        // Nothing in `Acks` panics during a change.
        self.acks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The receipt of one delivery.
#[derive(Debug)]
pub struct Receipt {
    tag: u64,
    ledger: Arc<ChannelLedger>,
    settled: bool,
}

impl Receipt {
    /// The receipt of the delivery with this tag.
    #[must_use]
    pub const fn new(tag: u64, ledger: Arc<ChannelLedger>) -> Self {
        Self { tag, ledger, settled: false }
    }

    /// Acks the delivery, if its session is still open.
    #[must_use]
    pub fn ack(mut self) -> Settled {
        self.settle(Settle::Ack, Settled::Done)
    }

    /// Requeues the delivery, if its session is still open.
    #[must_use]
    pub fn requeue(mut self) -> Settled {
        self.settle(Settle::Requeue, Settled::Requeued)
    }

    /// Leaves the delivery to its queue's own dead-lettering, if its session is still open.
    pub(super) fn leave_to_broker(mut self, refusal: Unpublishable) -> Settled {
        self.settle(Settle::DeadLetter, Settled::LeftToBroker(refusal))
    }

    /// Cancelled when the session is lost.
    #[must_use]
    pub fn lost(&self) -> CancellationToken {
        self.ledger.lost.clone()
    }

    /// Returns once the session is lost.
    pub(super) async fn until_lost(&self) {
        self.ledger.lost.cancelled().await;
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
        // An unsettled job must not wait for the end of the channel.
        if !self.settled {
            let _ = self.settle(Settle::Requeue, Settled::Requeued);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    /// A channel with this many deliveries, all of them acked.
    fn settled(deliveries: u64) -> Arc<ChannelLedger> {
        let ledger = Arc::new(ChannelLedger::default());
        for tag in 1..=deliveries {
            assert!(ledger.delivered(tag));
            assert_eq!(Receipt::new(tag, Arc::clone(&ledger)).ack(), Settled::Done);
        }
        ledger
    }

    #[tokio::test(start_paused = true)]
    async fn a_few_settlements_wait_a_moment_for_more_and_many_do_not() {
        for (deliveries, wait) in [(1, FLUSH_AFTER), (FLUSH_COUNT as u64, Duration::ZERO)] {
            let ledger = settled(deliveries);
            let began = Instant::now();
            assert!(!ledger.due(&CancellationToken::new()).await);
            assert_eq!(began.elapsed(), wait, "{deliveries}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_flush_at_closing_is_immediate_and_settlements_come_before_the_last_one() {
        let (ledger, closing) = (settled(1), CancellationToken::new());
        closing.cancel();
        let began = Instant::now();
        assert!(!ledger.due(&closing).await, "something is to be told first");
        let mut frames = Vec::new();
        ledger.flush(&mut frames);
        assert_eq!(frames.len(), 1);
        assert!(ledger.due(&closing).await);
        assert_eq!(began.elapsed(), Duration::ZERO);
    }

    #[tokio::test]
    async fn an_unsettled_delivery_is_requeued_but_not_in_a_lost_session() {
        let ledger = Arc::new(ChannelLedger::default());
        let receipt = |tag| {
            assert!(ledger.delivered(tag));
            Receipt::new(tag, Arc::clone(&ledger))
        };
        let (dropped, late) = (receipt(1), receipt(2));
        drop(dropped);
        ledger.lose();
        assert!(late.lost().is_cancelled());
        assert_eq!(late.ack(), Settled::Abandoned);
        let mut frames = Vec::new();
        ledger.flush(&mut frames);
        assert_eq!(frames, [Frame { tag: 1, settle: Settle::Requeue, multiple: false }]);
    }
}
