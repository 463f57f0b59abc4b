//! The messages that wait for one queue, the next batch, and the search for a message that breaks its channel.
//!
//! A broker that refuses a message by closing the channel names no message. Other messages of the batch may be stored
//! without a confirm, and are then stored twice. Brokers refuse a message for its size, so a message larger than all
//! confirmed ones goes alone. If a channel still breaks, each unconfirmed message of the batch goes alone. A message
//! that breaks its channel alone, twice, is unpublishable; others go between its two tries. The order is kept as long
//! as no message is refused.
//!
//! If the broker closes the connection, the refused message may belong to any queue. Such a failure counts only against a
//! message that was alone on its connection.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{
    batch::{Interruption, PublishResult, PublishedBatch},
    channel_failure::{ChannelFailure, MessageBlame},
};
use crate::ports::Unpublishable;

/// A message that broke this many channels alone is unpublishable.
const MOST_BREAKS: u32 = 2;

#[derive(Debug, Clone, Copy)]
pub(super) struct BatchLimits {
    pub(super) messages: usize,
    /// The most bytes of bodies. A single message may exceed it.
    pub(super) bytes: usize,
}

impl BatchLimits {
    /// The limits for one caller with a channel of its own: mostly all messages that it brings.
    pub(super) const ONE_CALLER: Self = Self { messages: usize::MAX, bytes: 16 * 1024 * 1024 };
}

/// Messages that wait to be published to one queue.
#[derive(Debug)]
pub(super) struct Pending<M> {
    entries: VecDeque<PendingMessage<M>>,
    limits: BatchLimits,
    /// The number of messages added so far.
    came: u64,
    /// The size of the largest message confirmed since a message last broke a channel.
    proven: usize,
    /// Counts the messages that the broker has confirmed, to this queue or another.
    confirmed: Arc<AtomicU64>,
}

/// A message that waits or is on its way.
#[derive(Debug)]
pub(super) struct PendingMessage<M> {
    pub(super) message: M,
    size: usize,
    place: u64,
    /// Whether it was unconfirmed when a message broke a channel.
    suspect: bool,
    /// Whether the shared connection failed, so that it needs a dedicated one.
    dedicated: bool,
    /// The number of channels that it broke alone.
    breaks: u32,
    /// The number of confirmed messages when it was last tried alone.
    tried_at: Option<u64>,
}

/// The users of a batch's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ConnectionUse {
    /// This batch alone.
    Dedicated,
    /// Other queues as well.
    Shared,
}

#[derive(Debug)]
pub(super) struct Applied<M> {
    pub(super) confirmed: Vec<M>,
    /// Never to be published again, with the reason.
    pub(super) unpublishable: Vec<(M, Unpublishable)>,
    pub(super) next: NextStep,
}

/// The next step after a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NextStep {
    Continue,
    /// Open another channel at once: a message broke this one, for this reason.
    Reopen(String),
    /// Open another channel after a delay, for this reason.
    Wait(String),
}

impl<M> Pending<M> {
    /// An empty list of messages. `confirmed` is shared by all queues of a publisher.
    pub(super) const fn new(limits: BatchLimits, confirmed: Arc<AtomicU64>) -> Self {
        Self { entries: VecDeque::new(), limits, came: 0, proven: 0, confirmed }
    }

    /// Adds a message whose body has `size` bytes.
    pub(super) fn push(&mut self, message: M, size: usize) {
        self.entries.push_back(PendingMessage {
            message,
            size,
            place: self.came,
            suspect: false,
            dedicated: false,
            breaks: 0,
            tried_at: None,
        });
        self.came += 1;
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Drops the messages that are not `needed`.
    pub(super) fn retain(&mut self, needed: impl Fn(&M) -> bool) {
        self.entries.retain(|entry| needed(&entry.message));
    }

    /// The remaining messages, in the order of their arrival.
    pub(super) fn into_messages(self) -> Vec<M> {
        let mut entries = Vec::from(self.entries);
        entries.sort_unstable_by_key(|entry| entry.place);
        entries.into_iter().map(|entry| entry.message).collect()
    }

    /// Takes out the next batch. A message that broke its channel alone waits until others have passed, if there are
    /// any.
    pub(super) fn next(&mut self) -> Vec<PendingMessage<M>> {
        match self.due() {
            Some(suspect) => self.entries.remove(suspect).into_iter().collect(),
            None => self.first(self.window()),
        }
    }

    /// Whether the next batch needs a dedicated connection.
    pub(super) fn needs_dedicated(&self) -> bool {
        self.due().and_then(|place| self.entries.get(place)).is_some_and(|due| due.dedicated)
    }

    /// Delays the messages that need a dedicated connection, while none can be opened.
    pub(super) fn put_off(&mut self) {
        let confirmed = self.confirmed();
        for entry in self.entries.iter_mut().filter(|entry| entry.dedicated) {
            entry.tried_at = Some(confirmed);
        }
    }

    /// The index of the suspected message to send next, if one is due.
    fn due(&self) -> Option<usize> {
        let confirmed = self.confirmed();
        let others_wait = self.entries.iter().any(|entry| !entry.suspect);
        let is_due = |entry: &PendingMessage<M>| {
            entry.suspect && (!others_wait || entry.tried_at.is_none_or(|at| at < confirmed))
        };
        let due = self.entries.iter().enumerate().filter(|(_, entry)| is_due(entry));
        due.min_by_key(|(_, entry)| entry.breaks).map(|(place, _)| place)
    }

    /// Applies the results of a batch. Unconfirmed messages wait again.
    pub(super) fn apply(
        &mut self,
        batch: Vec<PendingMessage<M>>,
        published: PublishedBatch,
        used: ConnectionUse,
    ) -> Applied<M> {
        let alone = batch.len() == 1;
        // Mostly all are confirmed.
        let confirmed = Vec::with_capacity(batch.len());
        let mut applied =
            Applied { confirmed, unpublishable: Vec::new(), next: NextStep::Continue };
        let (mut unknown, mut refused) = (Vec::new(), None);
        for (mut entry, result) in batch.into_iter().zip(published.results) {
            match result {
                PublishResult::Confirmed => {
                    self.proven = self.proven.max(entry.size);
                    self.confirmed.fetch_add(1, Ordering::Relaxed);
                    applied.confirmed.push(entry.message);
                }
                PublishResult::Unknown => unknown.push(entry),
                PublishResult::Nacked | PublishResult::Returned => {
                    // The message did not break the channel. It goes behind the others, which may be accepted.
                    (entry.suspect, entry.dedicated) = (false, false);
                    self.entries.push_back(entry);
                    refused = refused.max(result.refusal());
                }
            }
        }
        applied.next = match (published.interruption, refused) {
            (Some(Interruption::ChannelFailure(ChannelFailure { why, blame })), _)
                if blame != MessageBlame::Nobody =>
            {
                let alone =
                    alone && (blame == MessageBlame::Message || used == ConnectionUse::Dedicated);
                self.broke(unknown, alone, blame, &why, &mut applied)
            }
            (Some(interruption), _) => {
                self.put_back(unknown);
                NextStep::Wait(interruption.to_string())
            }
            (None, Some(refusal)) => NextStep::Wait(refusal.to_owned()),
            (None, None) => NextStep::Continue,
        };
        applied
    }

    /// Handles a channel that one of these messages broke, or may have broken.
    fn broke(
        &mut self,
        mut unknown: Vec<PendingMessage<M>>,
        alone: bool,
        blame: MessageBlame,
        why: &str,
        applied: &mut Applied<M>,
    ) -> NextStep {
        let confirmed = self.confirmed();
        // A size that was accepted before may be refused now: an operator may have lowered the limit.
        self.proven = 0;
        for entry in &mut unknown {
            entry.suspect = true;
            entry.dedicated = blame == MessageBlame::Perhaps;
        }
        let mut next = NextStep::Reopen(why.to_owned());
        if alone && let Some(mut entry) = unknown.pop() {
            entry.breaks += 1;
            // A broker that fails on every message proves nothing against one.
            let is_proved = match blame {
                MessageBlame::Message => true,
                MessageBlame::Perhaps => entry.tried_at.is_some_and(|at| at < confirmed),
                MessageBlame::Nobody => false,
            };
            if blame == MessageBlame::Perhaps {
                next = NextStep::Wait(why.to_owned());
            }
            entry.tried_at = Some(confirmed);
            if is_proved && entry.breaks >= MOST_BREAKS {
                let refusal = Unpublishable { size: entry.size, why: why.to_owned() };
                applied.unpublishable.push((entry.message, refusal));
            } else {
                unknown.push(entry);
            }
        }
        self.put_back(unknown);
        next
    }

    fn confirmed(&self) -> u64 {
        self.confirmed.load(Ordering::Relaxed)
    }

    /// Puts messages back to the front, in order.
    fn put_back(&mut self, entries: Vec<PendingMessage<M>>) {
        for entry in entries.into_iter().rev() {
            self.entries.push_front(entry);
        }
    }

    /// The number of first messages that make a batch. Suspects among them stay.
    fn window(&self) -> usize {
        let (mut messages, mut bytes, mut alone) = (0, 0_usize, false);
        let ends = self.entries.iter().position(|entry| {
            if entry.suspect {
                return false;
            }
            messages += 1;
            bytes = bytes.saturating_add(entry.size);
            let is_larger = entry.size > self.proven;
            let is_full = messages > self.limits.messages || bytes > self.limits.bytes;
            let ends = messages > 1 && (alone || is_larger || is_full);
            alone |= is_larger;
            ends
        });
        ends.unwrap_or(self.entries.len())
    }

    fn first(&mut self, window: usize) -> Vec<PendingMessage<M>> {
        let (suspects, batch) = self.entries.drain(..window).partition(|entry| entry.suspect);
        self.put_back(suspects);
        batch
    }
}

#[cfg(test)]
mod tests;
