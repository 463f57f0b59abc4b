//! The channels that hold unacked messages: they ack them, or return them to the queue.

use std::{ops::RangeInclusive, time::Duration};

use futures_util::future::{join_all, try_join_all};
use lapin::{
    Channel,
    options::{BasicAckOptions, BasicQosOptions},
    types::ShortString,
};
use tokio::time::{sleep, timeout};

use super::{
    message::MessageTag,
    queue::{ANSWER_LIMIT, BrowseError, asked},
    requeue::Requeue,
};
use crate::broker::{
    acks::{Frame, Settle},
    connection::Connection,
    session::LINGER,
    topology,
};

/// The longest wait for the broker to process acks and returned messages, apart from [`MESSAGES_PER_SECOND`].
const CLOSE_LIMIT: Duration = Duration::from_secs(60);

/// For each such number of messages, closing may take a second longer.
const MESSAGES_PER_SECOND: u64 = 1_000;

/// The longest wait for one channel's messages to be requeued. Then the next channel is closed anyway.
const RETURN_LIMIT: Duration = Duration::from_secs(20);

/// The interval of asking whether they are requeued.
const ASK_AGAIN: Duration = Duration::from_millis(20);

/// Holds the messages of a browse on its channels. If it is dropped, the broker requeues all unacked messages;
/// those of several channels may change places then.
#[derive(Debug)]
pub(super) struct AckSession<'a> {
    connection: &'a Connection,
    /// The channels, in the order in which they received messages.
    channels: Vec<AckChannel>,
    /// The latest channel, which receives messages.
    latest: Channel,
    queue: &'a ShortString,
}

#[derive(Debug)]
struct AckChannel {
    channel: Channel,
    /// The number of messages that arrived and were not acked.
    held: u64,
    /// Every message up to this delivery tag is acked.
    acked_up_to: u64,
    acked: u64,
}

impl AckChannel {
    fn new(channel: &Channel) -> Self {
        Self { channel: channel.clone(), held: 0, acked_up_to: 0, acked: 0 }
    }
}

async fn open(connection: &Connection, prefetch: u16) -> Result<Channel, BrowseError> {
    let channel = asked(connection, ANSWER_LIMIT, connection.create_channel()).await?;
    asked(connection, ANSWER_LIMIT, channel.basic_qos(prefetch, BasicQosOptions::default()))
        .await?;
    Ok(channel)
}

impl<'a> AckSession<'a> {
    /// Opens the first channel, which holds up to `prefetch` unacked messages.
    pub(super) async fn begin(
        connection: &'a Connection,
        queue: &'a ShortString,
        prefetch: u16,
    ) -> Result<Self, BrowseError> {
        let latest = open(connection, prefetch).await?;
        let channels = vec![AckChannel::new(&latest)];
        Ok(Self { connection, channels, latest, queue })
    }

    /// Opens another channel for the messages that follow.
    ///
    /// For each ack, the broker searches all messages that the channel holds, the oldest first. On a single
    /// channel this gets slow: measured, dozens of acks a second with 100,000 messages held.
    pub(super) async fn add_channel(&mut self, prefetch: u16) -> Result<(), BrowseError> {
        self.latest = open(self.connection, prefetch).await?;
        self.channels.push(AckChannel::new(&self.latest));
        Ok(())
    }

    pub(super) const fn connection(&self) -> &'a Connection {
        self.connection
    }

    /// The channel that receives messages.
    pub(super) const fn channel(&self) -> &Channel {
        &self.latest
    }

    /// The index of that channel; the first one has 0.
    pub(super) const fn index(&self) -> usize {
        self.channels.len() - 1
    }

    /// Counts messages that arrived on the latest channel.
    pub(super) fn add(&mut self, messages: u64) {
        if let Some(latest) = self.channels.last_mut() {
            latest.held += messages;
        }
    }

    /// Acks messages: each once, in the order of arrival. On an error, any of them may be requeued.
    pub(super) async fn ack(&mut self, messages: &[MessageTag]) -> Result<(), BrowseError> {
        let mut acking = Vec::new();
        for messages in messages.chunk_by(|one, next| one.channel == next.channel) {
            let Some(owner) = messages.first().and_then(|tag| self.channels.get_mut(tag.channel))
            else {
                continue;
            };
            let frames = acks(&mut owner.acked_up_to, messages);
            owner.held = owner.held.saturating_sub(messages.len() as u64);
            owner.acked += messages.len() as u64;
            let channel = &owner.channel;
            acking.extend(frames.into_iter().map(|Frame { tag, multiple, .. }| {
                let channel = channel.clone();
                async move { channel.basic_ack(tag, BasicAckOptions { multiple }).await }
            }));
        }
        asked(self.connection, ANSWER_LIMIT, try_join_all(acking)).await?;
        Ok(())
    }

    /// Returns messages of the first channel before all others, in this order. No consumer may receive any more.
    pub(super) async fn return_first(&self, tags: impl Iterator<Item = RangeInclusive<u64>>) {
        let Self { connection, channels, queue, .. } = self;
        let Some(AckChannel { channel, .. }) = channels.first() else { return };
        // On an error the others return with the rest, and the next browse puts them in order.
        let _ = Requeue { connection, channel, queue }.in_order(tags).await;
    }

    /// Closes the channels one after the other, so that unacked messages keep their order. Returns when the broker
    /// has requeued all of them, so that the next browse sees them.
    pub(super) async fn close(self) {
        let Self { connection, channels, queue, .. } = self;
        let messages: u64 = channels.iter().map(|channel| channel.acked.max(channel.held)).sum();
        let limit = CLOSE_LIMIT + Duration::from_secs(messages / MESSAGES_PER_SECOND);
        let closing = async {
            let acked = channels.iter().filter(|channel| channel.acked > 0);
            // The answers follow the acks: the channels have processed them. The queue may not have yet.
            let handled = acked.map(|acked| acked.channel.basic_qos(0, BasicQosOptions::default()));
            if !join_all(handled).await.is_empty() {
                sleep(LINGER).await;
            }
            // Without this channel, the others are still closed.
            let asking = asked(connection, RETURN_LIMIT, connection.create_channel()).await.ok();
            for AckChannel { channel, held, .. } in channels {
                let asking = asking.as_ref().filter(|_| held > 0);
                let before = match asking {
                    Some(asking) => {
                        timeout(RETURN_LIMIT, consumers(connection, asking, queue)).await.ok()
                    }
                    None => None,
                };
                let closed = channel.close(200, "done".into()).await.is_ok();
                // The messages of a channel that failed are requeued already.
                if let (true, Some(asking), Some(Some(before))) = (closed, asking, before) {
                    // The next channel is closed in any case: another client's new consumer would hide this end.
                    let _ =
                        timeout(RETURN_LIMIT, returned(connection, asking, queue, before)).await;
                }
            }
        };
        let _ = connection.answer(limit, closing).await;
    }
}

/// The queue's consumers, including cancelled ones that hold messages. `None` if the broker does not answer.
async fn consumers(connection: &Connection, asking: &Channel, queue: &ShortString) -> Option<u32> {
    loop {
        let now =
            asked(connection, ANSWER_LIMIT, topology::passive_declare(asking, queue)).await.ok()?;
        // RabbitMQ answers 0 and 0 for a busy quorum queue. While messages are held, that is no answer.
        if (now.ready, now.consumers) != (0, 0) {
            return Some(now.consumers);
        }
        sleep(ASK_AGAIN).await;
    }
}

/// Waits until the queue has fewer than `before` consumers: it requeues a consumer's messages in the same step.
async fn returned(connection: &Connection, asking: &Channel, queue: &ShortString, before: u32) {
    while consumers(connection, asking, queue).await.is_some_and(|now| now >= before) {
        sleep(ASK_AGAIN).await;
    }
}

/// The fewest acks for exactly these messages of one channel, on which everything up to `all_up_to` is acked.
/// Behind a gap each is acked alone, because unacked messages may be anywhere above it.
fn acks(all_up_to: &mut u64, messages: &[MessageTag]) -> Vec<Frame> {
    let in_a_row =
        (*all_up_to + 1..).zip(messages).take_while(|(next, tag)| *next == tag.delivery).count();
    let (row, rest) = messages.split_at(in_a_row);
    let ack =
        |tag: &MessageTag, multiple| Frame { tag: tag.delivery, settle: Settle::Ack, multiple };
    let mut frames = Vec::new();
    if let Some(tag) = row.last() {
        *all_up_to = tag.delivery;
        frames.push(ack(tag, row.len() > 1));
    }
    frames.extend(rest.iter().map(|tag| ack(tag, false)));
    frames
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ack_covers_many_letters_only_where_none_is_left_below_it() {
        let mut up_to = 0;
        let mut acked = |tags: &[u64]| {
            let tags: Vec<MessageTag> =
                tags.iter().map(|tag| MessageTag { channel: 0, delivery: *tag }).collect();
            let frames = acks(&mut up_to, &tags);
            frames.into_iter().map(|ack| (ack.tag, ack.multiple)).collect::<Vec<_>>()
        };
        assert_eq!(acked(&[]), []);
        assert_eq!(acked(&[1]), [(1, false)]);
        assert_eq!(acked(&[2, 3, 4]), [(4, true)]);
        assert_eq!(acked(&[5, 6, 8, 9]), [(6, true), (8, false), (9, false)]);
        assert_eq!(acked(&[10, 11]), [(10, false), (11, false)], "7 is held");
        assert_eq!(acked(&[7]), [(7, false)]);
    }
}
