//! Records which deliveries of one channel are settled, and tells the broker with the fewest frames.
//!
//! An ack with `multiple` settles everything up to its tag, so it goes up to the mark below which every delivery is
//! settled. Deliveries above the mark are acked singly. The tag of a `multiple` must itself be unsettled: for an
//! unknown tag the broker acks everything, then closes the channel.

use std::collections::VecDeque;

/// The first tag of a channel (AMQP 0-9-1).
const FIRST_TAG: u64 = 1;

/// How a delivery was settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Settle {
    /// The job is done, or stored in another queue.
    Ack,
    /// It returns to its queue.
    Requeue,
    /// The broker dead-letters it by the arguments of its queue.
    DeadLetter,
}

/// A frame to the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame {
    /// `basic.ack`.
    Ack {
        /// The delivery.
        tag: u64,
        /// Whether it acks everything below as well.
        multiple: bool,
    },
    /// `basic.nack` with requeue. RabbitMQ 4.3 does not count it towards the delivery limit, unlike `basic.reject`, a
    /// closed channel and a lost connection. Earlier versions count all four.
    Requeue {
        /// The delivery.
        tag: u64,
    },
    /// `basic.nack` without requeue: the queue's own dead-lettering takes the message. In a queue without one the
    /// message is lost.
    DeadLetter {
        /// The delivery.
        tag: u64,
    },
}

/// The deliveries of one channel from the lowest unsettled one on.
///
/// A delivery that takes minutes keeps everything above it here, so frequent steps never scan all of it. Settlements
/// since the last flush have a list of their own, and deliveries in flight are counted.
#[derive(Debug)]
pub(super) struct Acks {
    /// The tag of the first slot.
    low: u64,
    /// Whether each delivery is settled. The first is not, or waits for a flush.
    slots: VecDeque<bool>,
    in_flight: usize,
    /// Settlements for the next flush.
    unflushed: Vec<(u64, Settle)>,
}

impl Default for Acks {
    fn default() -> Self {
        Self { low: FIRST_TAG, slots: VecDeque::new(), in_flight: 0, unflushed: Vec::new() }
    }
}

impl Acks {
    /// Records a delivery. Tags come in order without gaps. Returns `false` for a tag out of order, which is not
    /// recorded.
    #[must_use]
    pub(super) fn delivered(&mut self, tag: u64) -> bool {
        let next = self.low + self.slots.len() as u64;
        if tag == next {
            self.slots.push_back(false);
            self.in_flight += 1;
        }
        tag == next
    }

    /// Records a settlement. Returns how many settlements wait for a flush.
    pub(super) fn settle(&mut self, tag: u64, settle: Settle) -> usize {
        let slot = tag
            .checked_sub(self.low)
            .and_then(|index| self.slots.get_mut(usize::try_from(index).ok()?));
        if let Some(settled @ false) = slot {
            *settled = true;
            self.in_flight -= 1;
            self.unflushed.push((tag, settle));
        }
        self.unflushed.len()
    }

    /// The number of deliveries so far.
    pub(super) fn delivered_so_far(&self) -> u64 {
        self.low - FIRST_TAG + self.slots.len() as u64
    }

    /// The number of unsettled deliveries.
    pub(super) const fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Whether no settlement waits for a flush.
    pub(super) const fn is_flushed(&self) -> bool {
        self.unflushed.is_empty()
    }

    /// Appends the frames for all settlements since the last flush.
    pub(super) fn flush(&mut self, frames: &mut Vec<Frame>) {
        if self.is_flushed() {
            return;
        }
        while self.slots.front() == Some(&true) {
            self.slots.pop_front();
            self.low += 1;
        }
        self.unflushed.sort_unstable_by_key(|(tag, _)| *tag);
        // Nacks first: an ack with `multiple` past them would ack deliveries that are to be requeued or
        // dead-lettered.
        frames.extend(self.unflushed.iter().filter_map(|(tag, settle)| match settle {
            Settle::Ack => None,
            Settle::Requeue => Some(Frame::Requeue { tag: *tag }),
            Settle::DeadLetter => Some(Frame::DeadLetter { tag: *tag }),
        }));
        self.unflushed.retain(|(_, settle)| *settle == Settle::Ack);
        let below = self.unflushed.partition_point(|(tag, _)| *tag < self.low);
        if let Some((mark, _)) = self.unflushed[..below].last() {
            frames.push(Frame::Ack { tag: *mark, multiple: below > 1 });
        }
        let above = self.unflushed[below..].iter();
        frames.extend(above.map(|(tag, _)| Frame::Ack { tag: *tag, multiple: false }));
        self.unflushed.clear();
    }
}

#[cfg(test)]
mod tests;
