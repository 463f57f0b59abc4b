//! The budget of bytes in flight: the delivered bytes that are held, and their limit.
//!
//! A prefetch counts messages, which may be as large as the broker allows. So each delivery is charged when lapin
//! gets it, until its holder drops it. While the budget is used up, the stream reads no further, and messages wait in
//! the broker.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Waker,
};

use tokio::sync::watch;

/// Headers up to this size count once: they are mostly text.
const PLAIN_HEADERS: usize = 1024;

/// Beyond it each byte counts this often: the smallest table entry takes that much memory decoded.
const DECODED: u64 = 48;

/// The bytes that may be in flight, over all connections that share it.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: u64,
    used: Mutex<Used>,
    /// Whether any stream is not read.
    stalled: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Used {
    bytes: u64,
    /// Streams that wait for bytes, each once.
    waiting: Vec<Waker>,
    /// The number of streams that are not read.
    stalled: usize,
}

impl Default for Budget {
    /// A budget without a limit.
    fn default() -> Self {
        Self { limit: u64::MAX, used: Mutex::default(), stalled: watch::Sender::default() }
    }
}

impl Budget {
    pub(crate) fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self { limit, ..Self::default() })
    }

    pub(crate) fn in_flight(&self) -> u64 {
        self.used().bytes
    }

    /// Whether a stream is not read because its next message does not fit.
    pub(crate) fn stalls(&self) -> watch::Receiver<bool> {
        self.stalled.subscribe()
    }

    /// Records that a stream is not read any more, or is read again.
    fn stall(&self, stalled: bool) {
        let mut used = self.used();
        used.stalled = used.stalled.saturating_add_signed(if stalled { 1 } else { -1 });
        let any = used.stalled > 0;
        // Under the lock, so that the last update is the present state.
        self.stalled.send_if_modified(|stalled| std::mem::replace(stalled, any) != any);
    }

    fn used(&self) -> MutexGuard<'_, Used> {
        // Plain values: no change is left half done.
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes bytes if they fit, or `at_any_rate`.
    fn take(&self, cost: u64, at_any_rate: bool) -> bool {
        let mut used = self.used();
        let fits = at_any_rate || used.bytes.saturating_add(cost) <= self.limit;
        if fits {
            used.bytes = used.bytes.saturating_add(cost);
        }
        fits
    }

    /// Releases bytes, and wakes the streams that wait.
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

/// The cost of a delivery: its body, and its headers as decoded in memory.
pub(crate) const fn cost(header: usize, body: u64) -> u64 {
    let large = header.saturating_sub(PLAIN_HEADERS) as u64;
    (header as u64).saturating_add(large.saturating_mul(DECODED)).saturating_add(body)
}

/// A delivery, as its connection identifies it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Delivered {
    pub(crate) channel: u16,
    /// Its tag on that channel.
    pub(crate) tag: u64,
}

/// The charges of one connection.
#[derive(Debug, Default)]
pub(crate) struct Account {
    budget: Arc<Budget>,
    /// Whether the connection ends with its consuming channel.
    of_lane: bool,
    charges: Mutex<Charges>,
}

#[derive(Debug, Default)]
struct Charges {
    /// The stream has ended: nothing is charged any more.
    closed: bool,
    /// The bytes charged on this connection, claimed or not.
    bytes: u64,
    /// Charged deliveries inside lapin, in order.
    unclaimed: VecDeque<(Delivered, u64)>,
}

impl Account {
    /// An account for a connection. One `of_lane` ends with its only consuming channel.
    pub(crate) fn new(budget: Arc<Budget>, of_lane: bool) -> Arc<Self> {
        Arc::new(Self { budget, of_lane, charges: Mutex::default() })
    }

    /// Charges a delivery. Returns `false` if it must wait for other deliveries of this connection. Without others it
    /// passes with any size.
    pub(super) fn charge(&self, delivered: Delivered, cost: u64) -> bool {
        let mut charges = self.charges();
        let fits = !charges.closed && self.budget.take(cost, charges.bytes == 0);
        if fits {
            charges.bytes = charges.bytes.saturating_add(cost);
            charges.unclaimed.push_back((delivered, cost));
        }
        fits
    }

    /// Wakes `reader` once bytes are released. The caller checks once more afterwards.
    pub(super) fn wait(&self, reader: &Waker) {
        let mut used = self.budget.used();
        if !used.waiting.iter().any(|waiting| waiting.will_wake(reader)) {
            used.waiting.push(reader.clone());
        }
    }

    /// Records that the stream is not read any more, or is read again.
    pub(super) fn stall(&self, stalled: bool) {
        self.budget.stall(stalled);
    }

    /// Drops the unclaimed charges of a closed channel.
    ///
    /// lapin still delivers what it has of them. So in a lane they count until the stream ends, or as much again would
    /// be admitted meanwhile. Other connections stay open, and their charges are dropped here.
    pub(super) fn channel_closed(&self, channel: u16) {
        if !self.of_lane {
            self.drop_unclaimed(Some(channel));
        }
    }

    /// Drops all unclaimed charges: the stream has ended.
    pub(super) fn close(&self) {
        self.drop_unclaimed(None);
    }

    /// Drops the unclaimed charges of one channel. With `None`, it drops all and stops charging.
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

    /// Returns the charge of a delivery that lapin delivered. It lasts until dropped.
    #[must_use]
    pub(crate) fn claim(self: &Arc<Self>, delivered: Delivered) -> Charge {
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

/// The bytes of one delivery, charged until this is dropped.
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
