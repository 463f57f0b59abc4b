//! The letters of a look that is over, held until it is decided which of them leave the queue.

use std::time::Duration;

use futures_util::future::try_join_all;
use lapin::{
    Channel, Connection,
    options::{BasicAckOptions, BasicQosOptions},
    types::ShortString,
};
use tokio::time::{sleep, timeout};

use super::{
    look::Tag,
    queue::{LookError, asked, asked_at_length},
};
use crate::broker::{
    acks::{Acks, Frame, Settle},
    session::LINGER,
    topology,
};

/// The broker has taken the letters back within this time, or they are not waited for.
const RETURN_LIMIT: Duration = Duration::from_secs(60);

/// How often the broker is asked whether it has.
const ASK_AGAIN: Duration = Duration::from_millis(20);

/// Letters that are held. Dropped, all that were not acked go back, in their order.
#[derive(Debug)]
pub struct Holding<'a> {
    connection: &'a Connection,
    channel: Channel,
    queue: &'a ShortString,
    others: u32,
    acks: Acks,
    /// Letters that were read and not acked.
    left: u64,
    acked: bool,
}

impl<'a> Holding<'a> {
    /// `others` are the queue's consumers besides those of the look, `last` is the highest tag that was
    /// seen. What came in behind it is held as well, and never acked.
    pub(super) fn new(
        connection: &'a Connection,
        channel: Channel,
        queue: &'a ShortString,
        others: u32,
        last: u64,
    ) -> Self {
        let mut acks = Acks::default();
        let in_order = (1..=last).all(|tag| acks.delivered(tag));
        debug_assert!(in_order, "the tags of a channel count from one");
        Self { connection, channel, queue, others, acks, left: last, acked: false }
    }

    /// Takes letters out of the queue for good.
    ///
    /// # Errors
    ///
    /// [`LookError::Lost`]; any of these letters may have gone back then.
    pub async fn ack(&mut self, letters: impl IntoIterator<Item = Tag>) -> Result<(), LookError> {
        for Tag(tag) in letters {
            self.acks.settle(tag, Settle::Ack);
            self.left = self.left.saturating_sub(1);
        }
        let mut frames = Vec::new();
        self.acks.flush(&mut frames);
        self.acked |= !frames.is_empty();
        asked(try_join_all(frames.into_iter().filter_map(|frame| match frame {
            Frame::Ack { tag, multiple } => {
                Some(self.channel.basic_ack(tag, BasicAckOptions { multiple }))
            }
            Frame::Requeue { .. } | Frame::DeadLetter { .. } => None,
        })))
        .await?;
        Ok(())
    }

    /// Lets go of the rest; returns when the broker has it back, so that whoever looks next sees it.
    pub async fn close(self) {
        if self.acked {
            // Answered behind the acks: the channel has handled them all. The queue may still not have.
            let _ = asked_at_length(self.channel.basic_qos(0, BasicQosOptions::default())).await;
            sleep(LINGER).await;
        }
        if asked_at_length(self.channel.close(200, "done".into())).await.is_ok() {
            let _ = timeout(RETURN_LIMIT, self.returned()).await;
        }
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
