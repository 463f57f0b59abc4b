//! What waits to be published to one queue, what goes next, and which message breaks its channel.
//!
//! A broker that refuses a message by closing the channel names no message, and what it had stored of the
//! same batch may stay unconfirmed and be stored twice. So a message that is larger than all that were
//! confirmed before goes alone: size is what a broker refuses a message for. Where a channel breaks all
//! the same, each message of the batch that was not confirmed goes alone. One that breaks its channel
//! alone, and twice, is unpublishable; the others go on between its two tries. The messages keep their
//! order as long as none is refused.
//!
//! Where the broker fails and closes the connection, the culprit may be a message of any queue. Such a break
//! counts only against a message that was alone on its connection.

use std::collections::VecDeque;

use super::{
    batch::{BatchResult, Interruption, PublishResult},
    channel_failure::{Blame, ChannelFailure},
};
use crate::ports::Unpublishable;

/// A message is unpublishable once it broke so many channels alone.
const MOST_BREAKS: u32 = 2;

/// How much goes out before its confirms are awaited.
#[derive(Debug, Clone, Copy)]
pub struct BatchLimits {
    /// Messages at most.
    pub messages: usize,
    /// Bytes of their bodies at most; one message goes whatever its size.
    pub bytes: usize,
}

/// Messages that wait to be published to one queue.
#[derive(Debug)]
pub struct Pending<M> {
    entries: VecDeque<PendingMessage<M>>,
    limits: BatchLimits,
    /// How many came so far.
    came: u64,
    /// The size of the largest message that was confirmed since a channel last broke over a message.
    proven: usize,
}

/// A message that waits or is on its way.
#[derive(Debug)]
pub struct PendingMessage<M> {
    /// The message.
    pub message: M,
    size: usize,
    place: u64,
    /// Whether it was unconfirmed as a channel broke over a message.
    suspect: bool,
    /// Whether the connection broke that others share, so that it is alone only on another.
    dedicated: bool,
    /// How many channels it broke alone.
    breaks: u32,
    /// How many messages were confirmed as it was last tried alone.
    tried_at: Option<u64>,
}

/// Who else may have had messages on their way over the connection of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionUse {
    /// Nobody.
    Dedicated,
    /// Whoever publishes to other queues.
    Shared,
}

/// What became of a batch.
#[derive(Debug)]
pub struct Applied<M> {
    /// Stored in their queue.
    pub confirmed: Vec<M>,
    /// Not to be published again.
    pub unpublishable: Vec<(M, Unpublishable)>,
    /// How to go on.
    pub next: NextStep,
}

/// How to go on after a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NextStep {
    /// On the same channel.
    Continue,
    /// On another channel, at once: a message broke this one, for this reason.
    Reopen(String),
    /// On another channel, after a wait, for this reason.
    Wait(String),
}

impl<M> Pending<M> {
    /// Nothing waits yet.
    pub const fn new(limits: BatchLimits) -> Self {
        Self { entries: VecDeque::new(), limits, came: 0, proven: 0 }
    }

    /// Adds a message with so many bytes of body.
    pub fn push(&mut self, message: M, size: usize) {
        let place = self.came;
        self.came += 1;
        let (suspect, dedicated, breaks, tried_at) = (false, false, 0, None);
        self.entries.push_back(PendingMessage {
            message,
            size,
            place,
            suspect,
            dedicated,
            breaks,
            tried_at,
        });
    }

    /// Messages that wait.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Drops the messages that nobody needs any more.
    pub fn retain(&mut self, needed: impl Fn(&M) -> bool) {
        self.entries.retain(|entry| needed(&entry.message));
    }

    /// The messages that are left, in the order in which they came.
    pub fn into_messages(self) -> Vec<M> {
        let mut entries = Vec::from(self.entries);
        entries.sort_unstable_by_key(|entry| entry.place);
        entries.into_iter().map(|entry| entry.message).collect()
    }

    /// Takes out what goes next. `confirmed` counts the messages that the same broker has confirmed so
    /// far, to any queue: a message that broke its channel alone waits until others have passed, if there
    /// are any.
    pub fn next(&mut self, confirmed: u64) -> Vec<PendingMessage<M>> {
        match self.due(confirmed) {
            Some(suspect) => self.entries.remove(suspect).into_iter().collect(),
            None => self.first(self.window()),
        }
    }

    /// Whether what goes next needs a connection over which nothing else goes.
    pub fn needs_dedicated(&self, confirmed: u64) -> bool {
        self.due(confirmed)
            .and_then(|place| self.entries.get(place))
            .is_some_and(|due| due.dedicated)
    }

    /// Lets others go before the messages that need a connection dedicated: there is none for now.
    pub fn put_off(&mut self, confirmed: u64) {
        for entry in self.entries.iter_mut().filter(|entry| entry.dedicated) {
            entry.tried_at = Some(confirmed);
        }
    }

    /// The place of the suspect that goes next, if one does.
    fn due(&self, confirmed: u64) -> Option<usize> {
        let others_wait = self.entries.iter().any(|entry| !entry.suspect);
        let is_due = |entry: &PendingMessage<M>| {
            entry.suspect && (!others_wait || entry.tried_at.is_none_or(|at| at < confirmed))
        };
        let due = self.entries.iter().enumerate().filter(|(_, entry)| is_due(entry));
        due.min_by_key(|(_, entry)| entry.breaks).map(|(place, _)| place)
    }

    /// Notes what became of a batch; what is still to be published waits again.
    pub fn apply(
        &mut self,
        batch: Vec<PendingMessage<M>>,
        published: BatchResult,
        used: ConnectionUse,
        confirmed: u64,
    ) -> Applied<M> {
        let alone = batch.len() == 1;
        let mut applied =
            Applied { confirmed: Vec::new(), unpublishable: Vec::new(), next: NextStep::Continue };
        let (mut unknown, mut refused) = (Vec::new(), None);
        for (mut entry, fate) in batch.into_iter().zip(published.fates) {
            match fate {
                PublishResult::Confirmed => {
                    self.proven = self.proven.max(entry.size);
                    applied.confirmed.push(entry.message);
                }
                PublishResult::Unknown => unknown.push(entry),
                PublishResult::Nacked | PublishResult::Returned => {
                    // The channel bears it. Behind the others, which another try may reach first.
                    (entry.suspect, entry.dedicated) = (false, false);
                    self.entries.push_back(entry);
                    refused = refused.max(fate.refusal());
                }
            }
        }
        applied.next = match (published.interruption, refused) {
            (Some(Interruption::ChannelFailure(ChannelFailure { why, blame })), _)
                if blame != Blame::Nobody =>
            {
                let alone = alone && (blame == Blame::Message || used == ConnectionUse::Dedicated);
                self.broke(unknown, alone, blame, &why, confirmed, &mut applied)
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

    /// A channel broke over one of these, or the broker may have failed over one of them.
    fn broke(
        &mut self,
        mut unknown: Vec<PendingMessage<M>>,
        alone: bool,
        blame: Blame,
        why: &str,
        confirmed: u64,
        applied: &mut Applied<M>,
    ) -> NextStep {
        // What passed before may not pass any more: an operator may have lowered the limit.
        self.proven = 0;
        for entry in &mut unknown {
            entry.suspect = true;
            entry.dedicated = blame == Blame::Perhaps;
        }
        let mut next = NextStep::Reopen(why.to_owned());
        if alone && let Some(mut entry) = unknown.pop() {
            entry.breaks += 1;
            // A broker that fails over everything condemns nothing.
            let is_proved = match blame {
                Blame::Message => true,
                Blame::Perhaps => entry.tried_at.is_some_and(|at| at < confirmed),
                Blame::Nobody => false,
            };
            if blame == Blame::Perhaps {
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

    /// Puts messages to the front, in their order.
    fn put_back(&mut self, entries: Vec<PendingMessage<M>>) {
        for entry in entries.into_iter().rev() {
            self.entries.push_front(entry);
        }
    }

    /// How many of the first messages make a batch; suspects among them stay behind.
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
