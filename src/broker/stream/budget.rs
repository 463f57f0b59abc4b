//! Bytes in flight: how much of what was delivered is still held, and how much may be.
//!
//! A prefetch counts messages, and a message may be as large as the broker allows. So each delivery is charged
//! with its bytes as lapin gets it, until whoever works on it lets go. While the budget is used up the stream
//! reads no further, and what waits stays with the broker.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Waker,
};

use tokio::sync::watch;

/// Headers up to this size count as they are; they are mostly text.
const PLAIN_HEADERS: usize = 1024;

/// Beyond it each byte counts for so many: decoded, the smallest entry of a table takes that much memory.
const DECODED: u64 = 48;

/// How many bytes may be in flight, over all connections that share it.
#[derive(Debug)]
pub struct Budget {
    limit: u64,
    used: Mutex<Used>,
    /// Whether a stream is not read.
    stalled: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Used {
    bytes: u64,
    /// Streams that wait for bytes; one entry for each at most.
    waiting: Vec<Waker>,
    /// So many streams are not read.
    stalled: usize,
}

impl Budget {
    /// A budget of so many bytes.
    #[must_use]
    pub fn new(limit: u64) -> Arc<Self> {
        let (used, stalled) = (Mutex::default(), watch::Sender::new(false));
        Arc::new(Self { limit, used, stalled })
    }

    /// Bytes in flight now.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.used().bytes
    }

    /// Tells whether a stream is not read, because its next message does not fit.
    #[must_use]
    pub fn stalls(&self) -> watch::Receiver<bool> {
        self.stalled.subscribe()
    }

    /// A stream is not read any more, or is read again.
    fn stall(&self, stalled: bool) {
        let mut used = self.used();
        used.stalled = used.stalled.saturating_add_signed(if stalled { 1 } else { -1 });
        let any = used.stalled > 0;
        // Under the lock, so that the last word is the present one.
        self.stalled.send_if_modified(|stalled| std::mem::replace(stalled, any) != any);
    }

    fn used(&self) -> MutexGuard<'_, Used> {
        // Plain values: nothing can be left half done.
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes bytes, if they are there, or if they must be had all the same.
    fn take(&self, cost: u64, at_any_rate: bool) -> bool {
        let mut used = self.used();
        let fits = at_any_rate || used.bytes.saturating_add(cost) <= self.limit;
        if fits {
            used.bytes = used.bytes.saturating_add(cost);
        }
        fits
    }

    /// Gives bytes back, and wakes whoever waits for some.
    fn give_back(&self, cost: u64) {
        if cost == 0 {
            return;
        }
        let waiting = {
            let mut used = self.used();
            used.bytes = used.bytes.saturating_sub(cost);
            std::mem::take(&mut used.waiting)
        };
        waiting.iter().for_each(Waker::wake_by_ref);
    }
}

/// What one delivery counts for: its body, and its headers as they are in memory.
#[must_use]
pub const fn cost(header: usize, body: u64) -> u64 {
    let large = header.saturating_sub(PLAIN_HEADERS) as u64;
    (header as u64).saturating_add(large.saturating_mul(DECODED)).saturating_add(body)
}

/// A delivery as its connection knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivered {
    /// The channel that it came on.
    pub channel: u16,
    /// Its tag there.
    pub tag: u64,
}

/// The charges of one connection.
#[derive(Debug)]
pub struct Account {
    budget: Arc<Budget>,
    /// The connection ends with its consuming channel.
    of_lane: bool,
    charges: Mutex<Charges>,
}

#[derive(Debug, Default)]
struct Charges {
    /// The stream is gone: nothing is charged any more.
    closed: bool,
    /// The stream is not read.
    stalled: bool,
    /// Bytes of this connection, claimed or not.
    bytes: u64,
    /// Deliveries on their way through the client library, in order.
    unclaimed: VecDeque<(Delivered, u64)>,
}

impl Account {
    /// An account of that budget, for a connection whose consuming channels come and go.
    #[must_use]
    pub fn new(budget: Arc<Budget>) -> Arc<Self> {
        Arc::new(Self { budget, of_lane: false, charges: Mutex::default() })
    }

    /// An account of that budget, for a connection that ends with its only consuming channel, as a lane's does.
    #[must_use]
    pub fn of_lane(budget: Arc<Budget>) -> Arc<Self> {
        Arc::new(Self { budget, of_lane: true, charges: Mutex::default() })
    }

    /// Charges a delivery; `false` if it has to wait for others of this connection to end. One that has no
    /// others to wait for is let through, however large it is.
    pub(super) fn charge(&self, delivered: Delivered, cost: u64) -> bool {
        let mut charges = self.charges();
        let fits = !charges.closed && self.budget.take(cost, charges.bytes == 0);
        if fits {
            charges.bytes = charges.bytes.saturating_add(cost);
            charges.unclaimed.push_back((delivered, cost));
        }
        fits
    }

    /// Has a reader woken once bytes are given back. Whoever waits looks once more afterwards.
    pub(super) fn wait(&self, reader: &Waker) {
        let mut used = self.budget.used();
        if !used.waiting.iter().any(|waiting| waiting.will_wake(reader)) {
            used.waiting.push(reader.clone());
        }
    }

    /// Notes whether the stream is read.
    pub(super) fn stall(&self, stalled: bool) {
        let changed = std::mem::replace(&mut self.charges().stalled, stalled) != stalled;
        if changed {
            self.budget.stall(stalled);
        }
    }

    /// A channel is closed: drops the charges of its deliveries that nobody claimed.
    ///
    /// The client library still hands out what it has of them. So in a lane they count until the stream ends, or
    /// as much again would be let in meanwhile. Elsewhere the connection goes on, and nobody else would drop them.
    pub(super) fn channel_closed(&self, channel: u16) {
        if !self.of_lane {
            self.drop_unclaimed(Some(channel));
        }
    }

    /// The stream has ended: drops the charges of deliveries that nobody claimed.
    pub(super) fn close(&self) {
        self.stall(false);
        self.drop_unclaimed(None);
    }

    /// Of one channel; with `None` of all, and nothing is charged any more.
    fn drop_unclaimed(&self, channel: Option<u16>) {
        let mut lost = 0_u64;
        let mut charges = self.charges();
        charges.closed |= channel.is_none();
        charges.unclaimed.retain(|(delivered, cost)| {
            let keep = channel.is_some_and(|channel| channel != delivered.channel);
            if !keep {
                lost = lost.saturating_add(*cost);
            }
            keep
        });
        charges.bytes = charges.bytes.saturating_sub(lost);
        drop(charges);
        self.budget.give_back(lost);
    }

    /// The charge of a delivery that came out of the client library. It lasts until it is dropped.
    #[must_use]
    pub fn claim(self: &Arc<Self>, delivered: Delivered) -> Charge {
        let mut charges = self.charges();
        let found = charges.unclaimed.iter().position(|(other, _)| *other == delivered);
        let cost =
            found.and_then(|place| charges.unclaimed.remove(place)).map_or(0, |(_, cost)| cost);
        drop(charges);
        Charge { account: Arc::clone(self), cost }
    }

    fn give_back(&self, cost: u64) {
        {
            let mut charges = self.charges();
            charges.bytes = charges.bytes.saturating_sub(cost);
        }
        self.budget.give_back(cost);
    }

    fn charges(&self) -> MutexGuard<'_, Charges> {
        // Plain values: nothing can be left half done.
        self.charges.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The bytes of one delivery, for as long as somebody holds it.
#[derive(Debug)]
pub struct Charge {
    account: Arc<Account>,
    cost: u64,
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.account.give_back(self.cost);
    }
}

#[cfg(test)]
mod tests;
