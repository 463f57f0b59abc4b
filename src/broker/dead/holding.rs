//! Letters that are held: they leave the queue, or go back.

use std::time::Duration;

use futures_util::future::{join_all, try_join_all};
use lapin::{
    Channel,
    options::{BasicAckOptions, BasicNackOptions, BasicQosOptions},
    types::ShortString,
};
use tokio::time::{sleep, timeout};

use super::{
    held::Tag,
    queue::{LookError, Unanswered, asked, asked_at_length},
};
use crate::broker::{connection::Connection, session::LINGER, topology};

/// The broker has taken acks and letters within this time, or they are not waited for.
const LIMIT: Duration = Duration::from_secs(60);

/// As many letters more give it a second more.
const LETTERS_A_SECOND: u64 = 1_000;

/// It takes the letters of one channel back within this time, or the next channel is closed meanwhile.
const RETURN_LIMIT: Duration = Duration::from_secs(20);

/// How often the broker is asked whether it has.
const ASK_AGAIN: Duration = Duration::from_millis(20);

/// Letters that go back one by one are told to the broker so many at a time: it is the slower one, and keeps
/// in memory what it has not done.
const TOLD_AT_ONCE: usize = 1024;

/// The letters that a look holds. Dropped, all that were not acked go back; those of several channels may change
/// places then.
#[derive(Debug)]
pub struct Holding<'a> {
    connection: &'a Connection,
    /// In the order in which they got letters.
    channels: Vec<Held>,
    /// The last of them.
    latest: Channel,
    queue: &'a ShortString,
}

/// What came by one channel.
#[derive(Debug)]
struct Held {
    channel: Channel,
    /// Letters that came and were not acked.
    left: u64,
    /// Every letter up to this tag is acked.
    acked_up_to: u64,
    /// Letters that were acked.
    acked: u64,
}

impl Held {
    fn by(channel: &Channel) -> Self {
        Self { channel: channel.clone(), left: 0, acked_up_to: 0, acked: 0 }
    }
}

async fn open(connection: &Connection, prefetch: u16) -> Result<Channel, Unanswered> {
    let channel = asked(connection.create_channel()).await?;
    asked(channel.basic_qos(prefetch, BasicQosOptions::default())).await?;
    Ok(channel)
}

impl<'a> Holding<'a> {
    /// Opens the first channel, for so many letters that are not acked; nothing is held yet.
    pub(super) async fn begin(
        connection: &'a Connection,
        queue: &'a ShortString,
        prefetch: u16,
    ) -> Result<Self, Unanswered> {
        let latest = open(connection, prefetch).await?;
        let channels = vec![Held::by(&latest)];
        Ok(Self { connection, channels, latest, queue })
    }

    /// Opens another channel: the letters that are still to come, come by it.
    ///
    /// The broker looks for a letter that is acked among all that its channel holds, the oldest first. With the
    /// whole of a long queue on one channel, that takes longer with each letter that stays: tried, dozens of acks a
    /// second where 100,000 letters were held.
    pub(super) async fn go_on(&mut self, prefetch: u16) -> Result<(), Unanswered> {
        self.latest = open(self.connection, prefetch).await?;
        self.channels.push(Held::by(&self.latest));
        Ok(())
    }

    /// The channel that letters come by.
    pub(super) const fn channel(&self) -> &Channel {
        &self.latest
    }

    /// Its number, counted from the first one.
    pub(super) const fn number(&self) -> usize {
        self.channels.len() - 1
    }

    /// So many letters more are held.
    pub(super) fn add(&mut self, letters: u64) {
        if let Some(held) = self.channels.last_mut() {
            held.left += letters;
        }
    }

    /// Takes letters out of the queue for good. Each is named once, in the order in which they came.
    ///
    /// # Errors
    ///
    /// [`LookError::Lost`]; any of these letters may have gone back then.
    pub(super) async fn ack(&mut self, letters: &[Tag]) -> Result<(), LookError> {
        let mut acking = Vec::new();
        for letters in letters.chunk_by(|one, next| one.channel == next.channel) {
            let Some(held) = letters.first().and_then(|tag| self.channels.get_mut(tag.channel))
            else {
                continue;
            };
            let frames = acks(&mut held.acked_up_to, letters);
            held.left = held.left.saturating_sub(letters.len() as u64);
            held.acked += letters.len() as u64;
            let channel = &held.channel;
            acking.extend(frames.into_iter().map(|Ack { tag, multiple }| {
                let channel = channel.clone();
                async move { channel.basic_ack(tag, BasicAckOptions { multiple }).await }
            }));
        }
        asked(try_join_all(acking)).await?;
        Ok(())
    }

    /// Gives letters of the first channel back before all others, in this order. Nobody may get letters any more.
    pub(super) async fn give_back(&self, mut letters: impl Iterator<Item = u64>) {
        let Some(Held { channel, .. }) = self.channels.first() else { return };
        loop {
            let some: Vec<u64> = letters.by_ref().take(TOLD_AT_ONCE).collect();
            if some.is_empty() {
                return;
            }
            let options = BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
            let told = some.into_iter().map(|tag| channel.basic_nack(tag, options));
            let done = async {
                asked(try_join_all(told)).await?;
                // Answered behind the letters: the channel has dealt with them all.
                asked_at_length(channel.basic_qos(0, BasicQosOptions::default())).await
            };
            // What was not told goes back with the rest, and the next look puts it in order.
            if done.await.is_err() {
                return;
            }
        }
    }

    /// Lets go of the rest, one channel after the other, so that the letters keep their order. Returns when the
    /// broker has all of them back, so that whoever looks next sees them.
    pub(super) async fn close(self) {
        let Self { connection, channels, queue, .. } = self;
        let letters: u64 = channels.iter().map(|held| held.acked.max(held.left)).sum();
        let limit = LIMIT + Duration::from_secs(letters / LETTERS_A_SECOND);
        let closing = async {
            let acked = channels.iter().filter(|held| held.acked > 0);
            // Answered behind the acks: the channels have handled them all. The queue may still not have.
            let handled = acked.map(|held| held.channel.basic_qos(0, BasicQosOptions::default()));
            if !join_all(handled).await.is_empty() {
                sleep(LINGER).await;
            }
            // Without an answer the channels are closed all the same.
            let asking = asked(connection.create_channel()).await.ok();
            for held in channels {
                let asking = asking.as_ref().filter(|_| held.left > 0);
                let before = match asking {
                    Some(asking) => timeout(RETURN_LIMIT, consumers(asking, queue)).await.ok(),
                    None => None,
                };
                let closed = held.channel.close(200, "done".into()).await.is_ok();
                // One that has failed has given its letters back already.
                if let (true, Some(asking), Some(Some(before))) = (closed, asking, before) {
                    // The next one is closed in any case: whoever begins to consume meanwhile hides the end of this.
                    let _ = timeout(RETURN_LIMIT, returned(asking, queue, before)).await;
                }
            }
        };
        let _ = connection.answer(limit, closing).await;
    }
}

/// The consumers of the queue, those that are cancelled and hold letters among them. `None` if the broker does not tell.
async fn consumers(asking: &Channel, queue: &ShortString) -> Option<u32> {
    loop {
        let now = asked(topology::look(asking, queue)).await.ok()?;
        // RabbitMQ says 0 and 0 of a quorum queue that is busy; where letters are held that is no answer.
        if (now.ready, now.consumers) != (0, 0) {
            return Some(now.consumers);
        }
        sleep(ASK_AGAIN).await;
    }
}

/// Waits until the queue has fewer consumers than before: it takes back what one of them held in the same step.
async fn returned(asking: &Channel, queue: &ShortString, before: u32) {
    while consumers(asking, queue).await.is_some_and(|now| now >= before) {
        sleep(ASK_AGAIN).await;
    }
}

/// A `basic.ack`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ack {
    tag: u64,
    /// Whether everything below is acked with it.
    multiple: bool,
}

/// The fewest acks that cover exactly these letters of one channel, where every one up to `all_up_to` is acked. A letter that
/// is not acked may stand anywhere above it, so what lies behind a gap is acked singly.
fn acks(all_up_to: &mut u64, letters: &[Tag]) -> Vec<Ack> {
    let in_a_row =
        (*all_up_to + 1..).zip(letters).take_while(|(next, tag)| *next == tag.delivery).count();
    let (row, rest) = letters.split_at(in_a_row);
    let mut frames = Vec::new();
    if let Some(tag) = row.last() {
        *all_up_to = tag.delivery;
        frames.push(Ack { tag: tag.delivery, multiple: row.len() > 1 });
    }
    frames.extend(rest.iter().map(|tag| Ack { tag: tag.delivery, multiple: false }));
    frames
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ack_covers_many_letters_only_where_none_is_left_below_it() {
        let mut up_to = 0;
        let mut acked = |tags: &[u64]| {
            let tags: Vec<Tag> =
                tags.iter().map(|tag| Tag { channel: 0, delivery: *tag }).collect();
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
