//! Which deliveries of one channel are settled, and how to tell the broker with the fewest frames.
//!
//! An ack with `multiple` settles everything up to its tag, so it may only go up to the mark below
//! which every delivery is settled. What is settled above the mark goes singly. The tag of a
//! `multiple` must itself be unsettled for the broker: for a tag that it does not know it takes
//! everything and then closes the channel.

use std::collections::VecDeque;

/// The tags of a channel count from here (AMQP 0-9-1).
const FIRST_TAG: u64 = 1;

/// What the broker has been told of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slot {
    /// In flight.
    Unsettled,
    /// To be acked with the next flush.
    Done,
    /// To be requeued with the next flush.
    HandBack,
    /// To be dead-lettered by the broker with the next flush.
    DeadLetter,
    /// The broker knows.
    Told,
}

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
#[derive(Debug)]
pub struct Acks {
    /// The tag of the first slot.
    low: u64,
    slots: VecDeque<Slot>,
    unflushed: usize,
}

impl Default for Acks {
    fn default() -> Self {
        Self { low: FIRST_TAG, slots: VecDeque::new(), unflushed: 0 }
    }
}

impl Acks {
    /// Notes a delivery. Tags come in order, without gaps; one out of order is not noted, and `false`
    /// says so.
    #[must_use]
    pub fn delivered(&mut self, tag: u64) -> bool {
        let next = self.low + self.slots.len() as u64;
        if tag == next {
            self.slots.push_back(Slot::Unsettled);
        }
        tag == next
    }

    /// Notes how a delivery was settled; says how many now wait for a flush.
    pub fn settle(&mut self, tag: u64, settle: Settle) -> usize {
        let slot = tag
            .checked_sub(self.low)
            .and_then(|index| self.slots.get_mut(usize::try_from(index).ok()?));
        if let Some(slot @ Slot::Unsettled) = slot {
            *slot = match settle {
                Settle::Ack => Slot::Done,
                Settle::Requeue => Slot::HandBack,
                Settle::DeadLetter => Slot::DeadLetter,
            };
            self.unflushed += 1;
        }
        self.unflushed
    }

    /// How many deliveries there were.
    #[must_use]
    pub fn delivered_so_far(&self) -> u64 {
        self.low - FIRST_TAG + self.slots.len() as u64
    }

    /// Deliveries that are not settled yet.
    #[must_use]
    pub fn in_hand(&self) -> usize {
        self.slots.iter().filter(|slot| **slot == Slot::Unsettled).count()
    }

    /// Whether anything waits for a flush.
    #[must_use]
    pub const fn is_flushed(&self) -> bool {
        self.unflushed == 0
    }

    /// The frames that tell the broker all that was settled since the last flush.
    pub fn flush(&mut self, frames: &mut Vec<Frame>) {
        if self.is_flushed() {
            return;
        }
        let settled = self.slots.iter().take_while(|slot| **slot != Slot::Unsettled).count();
        let mark = self.slots.range(..settled).rposition(|slot| *slot == Slot::Done);
        // Nacks first: an ack with `multiple` past them would ack what is to come back, or what the
        // broker is to keep as a dead letter.
        for (slot, tag) in self.slots.iter_mut().zip(self.low..) {
            frames.push(match slot {
                Slot::HandBack => Frame::Requeue { tag },
                Slot::DeadLetter => Frame::DeadLetter { tag },
                Slot::Unsettled | Slot::Done | Slot::Told => continue,
            });
            *slot = Slot::Told;
        }
        if let Some(mark) = mark {
            let below = self.slots.range(..mark).any(|slot| *slot == Slot::Done);
            frames.push(Frame::Ack { tag: self.low + mark as u64, multiple: below });
        }
        self.slots.drain(..settled);
        self.low += settled as u64;
        for (slot, tag) in self.slots.iter_mut().zip(self.low..) {
            if *slot == Slot::Done {
                *slot = Slot::Told;
                frames.push(Frame::Ack { tag, multiple: false });
            }
        }
        self.unflushed = 0;
    }
}

#[cfg(test)]
mod tests;
