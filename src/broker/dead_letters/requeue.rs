//! Requeues held messages in a given order.
//!
//! A quorum queue keeps the order of a few nacks only. RabbitMQ sends each nack to the queue as a command of its own
//! while at most 32 commands of the channel are not processed. It merges the nacks that follow into one command. The
//! queue requeues the messages of one command in the order of an Erlang map: ascending for up to 32 messages, arbitrary
//! for more. Tried on 3.10.8: the messages from the 34th on were shuffled. One nack for many messages (`multiple`) is one
//! such command too. So no more than [`NACKS_AT_ONCE`] nacks are sent before the queue has processed those before.
//!
//! No reply says that it has: the channel answers `basic.qos` by itself. So the queue is asked for its number of ready
//! messages until the requeued ones are among them. A message that arrives meanwhile counts like a requeued one.
//! Therefore the number must also stand still, and [`NACKS_AT_ONCE`] leaves room for a few nacks that are still not
//! processed.

use std::{ops::RangeInclusive, time::Duration};

use futures_util::future::try_join_all;
use lapin::{Channel, options::BasicNackOptions, types::ShortString};
use tokio::time::{Instant, sleep};

use super::queue::{ANSWER_LIMIT, BrowseError, asked};
use crate::broker::{connection::Connection, topology};

/// The most nacks that are sent together. RabbitMQ merges nacks when more than 32 are not processed.
const NACKS_AT_ONCE: usize = 24;

/// The longest wait for the queue to requeue these. If it takes longer, another consumer receives the messages, and
/// there is no order to restore.
const REQUEUE_LIMIT: Duration = Duration::from_secs(20);

/// The longest wait for a busy queue.
const BUSY_LIMIT: Duration = Duration::from_secs(2);

/// The first interval of asking whether they are requeued. It doubles up to the longest one.
const ASK_AGAIN: Duration = Duration::from_millis(1);
const ASK_LATER: Duration = Duration::from_millis(50);

/// The most questions until the number of ready messages stands still. Beyond that, messages arrive all the time.
const MOST_QUESTIONS: usize = 16;

/// A channel whose messages return to its queue.
pub(super) struct Requeue<'a> {
    pub(super) connection: &'a Connection,
    pub(super) channel: &'a Channel,
    pub(super) queue: &'a ShortString,
}

impl Requeue<'_> {
    /// Requeues these delivery tags in this order. Returns early if the queue does not requeue them in time. No
    /// consumer of ours may receive any more.
    pub(super) async fn in_order(
        &self,
        tags: impl Iterator<Item = RangeInclusive<u64>>,
    ) -> Result<(), BrowseError> {
        let mut ready = None;
        // Within a range the tags ascend, so also merged nacks keep their order.
        for mut range in tags {
            loop {
                let some: Vec<u64> = range.by_ref().take(NACKS_AT_ONCE).collect();
                if some.is_empty() {
                    break;
                }
                let before = match ready {
                    Some(ready) => ready,
                    None => self.ready().await?,
                };
                let expected = before.saturating_add(u32::try_from(some.len()).unwrap_or(u32::MAX));
                let options = BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
                let nacks = some.into_iter().map(|tag| self.channel.basic_nack(tag, options));
                asked(self.connection, ANSWER_LIMIT, try_join_all(nacks)).await?;
                match self.requeued(expected).await? {
                    None => return Ok(()),
                    now => ready = now,
                }
            }
        }
        Ok(())
    }

    /// Waits until the queue has at least `expected` ready messages and no more are added. Returns their number, or
    /// `None` after [`REQUEUE_LIMIT`].
    async fn requeued(&self, expected: u32) -> Result<Option<u32>, BrowseError> {
        let end = Instant::now() + REQUEUE_LIMIT;
        let mut ready = self.ready().await?;
        let mut pause = ASK_AGAIN;
        while ready < expected {
            if Instant::now() >= end {
                return Ok(None);
            }
            sleep(pause).await;
            pause = (pause * 2).min(ASK_LATER);
            ready = self.ready().await?;
        }
        for _ in 0..MOST_QUESTIONS {
            let before = std::mem::replace(&mut ready, self.ready().await?);
            if before == ready {
                break;
            }
        }
        Ok(Some(ready))
    }

    /// The number of ready messages. The question goes over the channel that requeues: the answer follows what the queue
    /// has told that channel before.
    async fn ready(&self) -> Result<u32, BrowseError> {
        let end = Instant::now() + BUSY_LIMIT;
        let mut pause = ASK_AGAIN;
        loop {
            let answer = topology::passive_declare(self.channel, self.queue);
            let now = asked(self.connection, ANSWER_LIMIT, answer).await?;
            // RabbitMQ answers 0 and 0 for a busy quorum queue, which counts cancelled consumers that hold messages. A
            // classic queue does not count them, so there it may be the answer.
            if (now.ready, now.consumers) != (0, 0) || Instant::now() >= end {
                return Ok(now.ready);
            }
            sleep(pause).await;
            pause = (pause * 2).min(ASK_LATER);
        }
    }
}
