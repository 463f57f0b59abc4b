//! Records which deliveries of one channel are settled, and builds the fewest frames that report them to the broker.
//!
//! An ack with `multiple` settles everything up to its tag, so it goes up to the mark below which every delivery is
//! settled. Deliveries above the mark are acked singly. The tag of a `multiple` must itself be unsettled: for an
//! unknown tag the broker acks everything, then closes the channel.

use std::collections::VecDeque;

/// The first tag of a channel (AMQP 0-9-1).
const FIRST_TAG: u64 = 1;

/// How a delivery is settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settle {
    /// `basic.ack`: the job is done, or stored in another queue.
    Ack,
    /// `basic.nack` with requeue. RabbitMQ 4.3 does not count it towards the delivery limit, unlike `basic.reject`, a
    /// closed channel and a lost connection. Earlier versions count all four.
    Requeue,
    /// `basic.nack` without requeue: the queue's own dead-lettering takes the message. In a queue without one the
    /// message is lost.
    DeadLetter,
}

/// A frame to the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// The delivery.
    pub tag: u64,
    /// How it is settled.
    pub settle: Settle,
    /// Whether it settles everything below as well. Only an ack does.
    pub multiple: bool,
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

    /// Appends the frames for all settlements since the last flush, nacks first: an ack with `multiple` past them would
    /// ack deliveries that are to be requeued or dead-lettered.
    pub(super) fn flush(&mut self, frames: &mut Vec<Frame>) {
        if self.is_flushed() {
            return;
        }
        while self.slots.front() == Some(&true) {
            self.slots.pop_front();
            self.low += 1;
        }
        self.unflushed.sort_unstable_by_key(|(tag, _)| *tag);
        let frame = |(tag, settle): (u64, Settle)| Frame { tag, settle, multiple: false };
        frames.extend(self.unflushed.extract_if(.., |(_, how)| *how != Settle::Ack).map(frame));
        let below = self.unflushed.partition_point(|(tag, _)| *tag < self.low);
        if let Some((tag, settle)) = self.unflushed[..below].last().copied() {
            frames.push(Frame { tag, settle, multiple: below > 1 });
        }
        frames.extend(self.unflushed.drain(..).skip(below).map(frame));
    }
}

#[cfg(test)]
mod tests;
