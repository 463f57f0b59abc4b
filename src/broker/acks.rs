//! Which deliveries of one channel are settled, and how to tell the broker with the fewest frames.
//!
//! An ack with `multiple` settles everything up to its tag, so it may only go up to the mark below
//! which every delivery is settled. What is settled above the mark goes singly. The tag of a
//! `multiple` must itself be unsettled for the broker: for a tag that it does not know it takes
//! everything and then closes the channel.

use std::collections::VecDeque;

/// The tags of a channel count from here (AMQP 0-9-1).
const FIRST_TAG: u64 = 1;

/// How a delivery was settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settle {
    /// Its job stands proved or safe elsewhere.
    Ack,
    /// It goes back.
    Requeue,
    /// The broker dead-letters it, by the arguments of its queue.
    DeadLetter,
}

/// One frame for the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame {
    /// `basic.ack`.
    Ack {
        /// The delivery.
        tag: u64,
        /// Whether everything below is settled with it.
        multiple: bool,
    },
    /// `basic.nack` with requeue, which RabbitMQ 4.3 does not count towards the delivery limit. It does count
    /// `basic.reject`, a closed channel and a lost connection; before 4.3 it counts all four.
    Requeue {
        /// The delivery.
        tag: u64,
    },
    /// `basic.nack` without requeue: the queue's own dead-lettering takes the message. In a queue that
    /// has none, the message is lost.
    DeadLetter {
        /// The delivery.
        tag: u64,
    },
}

/// The deliveries of one channel since the lowest that is not settled.
///
/// One delivery that is kept for minutes keeps everything above it here. So nothing that happens often goes through
/// all of it: what was settled since the last flush is in a list of its own, and what is in flight is counted.
#[derive(Debug)]
pub struct Acks {
    /// The tag of the first slot.
    low: u64,
    /// Whether each delivery is settled. The first is not, or waits for a flush.
    slots: VecDeque<bool>,
    in_flight: usize,
    /// What the broker is to be told with the next flush.
    unflushed: Vec<(u64, Settle)>,
}

impl Default for Acks {
    fn default() -> Self {
        Self { low: FIRST_TAG, slots: VecDeque::new(), in_flight: 0, unflushed: Vec::new() }
    }
}

impl Acks {
    /// Notes a delivery. Tags come in order, without gaps; one out of order is not noted, and `false`
    /// says so.
    #[must_use]
    pub fn delivered(&mut self, tag: u64) -> bool {
        let next = self.low + self.slots.len() as u64;
        if tag == next {
            self.slots.push_back(false);
            self.in_flight += 1;
        }
        tag == next
    }

    /// Notes how a delivery was settled; says how many now wait for a flush.
    pub fn settle(&mut self, tag: u64, settle: Settle) -> usize {
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

    /// How many deliveries there were.
    #[must_use]
    pub fn delivered_so_far(&self) -> u64 {
        self.low - FIRST_TAG + self.slots.len() as u64
    }

    /// Deliveries that are not settled yet.
    #[must_use]
    pub const fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Whether nothing waits for a flush.
    #[must_use]
    pub const fn is_flushed(&self) -> bool {
        self.unflushed.is_empty()
    }

    /// The frames that tell the broker all that was settled since the last flush.
    pub fn flush(&mut self, frames: &mut Vec<Frame>) {
        if self.is_flushed() {
            return;
        }
        while self.slots.front() == Some(&true) {
            self.slots.pop_front();
            self.low += 1;
        }
        self.unflushed.sort_unstable_by_key(|(tag, _)| *tag);
        // Nacks first: an ack with `multiple` past them would ack what is to come back, or what the
        // broker is to keep as a dead letter.
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
