//! Letters that are held: they leave the queue, or go back.

use std::time::Duration;

use futures_util::future::try_join_all;
use lapin::{
    Channel,
    options::{BasicAckOptions, BasicNackOptions, BasicQosOptions},
    types::ShortString,
};
use tokio::time::sleep;

use super::{
    held::Tag,
    queue::{LookError, Unanswered, asked, asked_at_length},
};
use crate::broker::{connection::Connection, link, session::LINGER, topology};

/// The broker has taken acks and letters within this time, or they are not waited for.
const LIMIT: Duration = Duration::from_secs(60);

/// As many letters more give it a second more.
const LETTERS_A_SECOND: u64 = 1_000;

/// How often the broker is asked whether it has.
const ASK_AGAIN: Duration = Duration::from_millis(20);

/// Letters that go back one by one are told to the broker so many at a time: it is the slower one, and keeps
/// in memory what it has not done.
const TOLD_AT_ONCE: usize = 1024;

/// The letters of one channel. Dropped, all that were not acked go back, in their order.
#[derive(Debug)]
pub struct Holding<'a> {
    connection: &'a Connection,
    channel: Channel,
    queue: &'a ShortString,
    /// Consumers of the queue besides ours.
    pub others: u32,
    /// Letters that came and were not acked.
    left: u64,
    /// Every letter up to this tag is acked.
    acked_up_to: u64,
    /// Letters that were acked.
    acked: u64,
}

impl<'a> Holding<'a> {
    /// Nothing is held yet.
    pub(super) const fn new(
        connection: &'a Connection,
        channel: Channel,
        queue: &'a ShortString,
        others: u32,
    ) -> Self {
        Self { connection, channel, queue, others, left: 0, acked_up_to: 0, acked: 0 }
    }

    /// The channel that the letters come by.
    pub(super) const fn channel(&self) -> &Channel {
        &self.channel
    }

    /// One more letter is held.
    pub(super) const fn add(&mut self) {
        self.left += 1;
    }

    /// Takes letters out of the queue for good. Each is named once, in the order of the tags.
    ///
    /// # Errors
    ///
    /// [`LookError::Lost`]; any of these letters may have gone back then.
    pub(super) async fn ack(&mut self, letters: &[Tag]) -> Result<(), LookError> {
        let frames = acks(&mut self.acked_up_to, letters);
        self.left = self.left.saturating_sub(letters.len() as u64);
        self.acked += letters.len() as u64;
        asked(try_join_all(frames.into_iter().map(|Ack { tag, multiple }| {
            self.channel.basic_ack(tag, BasicAckOptions { multiple })
        })))
        .await?;
        Ok(())
    }

    /// Gives letters back before all others, in this order. Nobody may get letters any more.
    pub(super) async fn give_back(&self, mut letters: impl Iterator<Item = u64>) {
        loop {
            let some: Vec<u64> = letters.by_ref().take(TOLD_AT_ONCE).collect();
            if some.is_empty() {
                return;
            }
            let options = BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
            let told = some.into_iter().map(|tag| self.channel.basic_nack(tag, options));
            let done = async {
                asked(try_join_all(told)).await?;
                self.caught_up().await
            };
            // What was not told goes back with the rest, and the next look puts it in order.
            if done.await.is_err() {
                return;
            }
        }
    }

    /// Waits until the channel has dealt with all that it was told.
    async fn caught_up(&self) -> Result<(), Unanswered> {
        asked_at_length(self.channel.basic_qos(0, BasicQosOptions::default())).await
    }

    /// Lets go of the rest; returns when the broker has it back, so that whoever looks next sees it.
    pub(super) async fn close(self) {
        let letters = self.acked.max(self.left);
        let limit = LIMIT + Duration::from_secs(letters / LETTERS_A_SECOND);
        let closing = async {
            if self.acked > 0 {
                // Answered behind the acks: the channel has handled them all. The queue may still not have.
                let _ = self.channel.basic_qos(0, BasicQosOptions::default()).await;
                sleep(LINGER).await;
            }
            if self.channel.close(200, "done".into()).await.is_ok() {
                self.returned().await;
            }
        };
        let _ = link::answer(self.connection.status(), limit, closing).await;
    }

    /// Waits until the queue has lost our consumers: it takes back what they held in the same step.
    async fn returned(&self) {
        let Ok(channel) = asked(self.connection.create_channel()).await else { return };
        while let Ok(now) = asked(topology::look(&channel, self.queue)).await {
            // RabbitMQ says 0 and 0 of a quorum queue that is busy; with letters left that is no answer.
            let busy = (now.ready, now.consumers) == (0, 0) && self.left > 0;
            if now.consumers <= self.others && !busy {
                break;
            }
            sleep(ASK_AGAIN).await;
        }
    }
}

/// A `basic.ack`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ack {
    tag: u64,
    /// Whether everything below is acked with it.
    multiple: bool,
}

/// The fewest acks that cover exactly these letters, where every one up to `all_up_to` is acked. A letter that
/// is not acked may stand anywhere above it, so what lies behind a gap is acked singly.
fn acks(all_up_to: &mut u64, letters: &[Tag]) -> Vec<Ack> {
    let in_a_row = (*all_up_to + 1..).zip(letters).take_while(|(next, tag)| *next == tag.0).count();
    let (row, rest) = letters.split_at(in_a_row);
    let mut frames = Vec::new();
    if let Some(Tag(tag)) = row.last() {
        *all_up_to = *tag;
        frames.push(Ack { tag: *tag, multiple: row.len() > 1 });
    }
    frames.extend(rest.iter().map(|Tag(tag)| Ack { tag: *tag, multiple: false }));
    frames
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ack_covers_many_letters_only_where_none_is_left_below_it() {
        let mut up_to = 0;
        let mut acked = |tags: &[u64]| {
            let tags: Vec<Tag> = tags.iter().copied().map(Tag).collect();
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
