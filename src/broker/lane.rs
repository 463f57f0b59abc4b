//! The channel of one lane in a session.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use futures_util::{StreamExt, future::try_join_all};
use lapin::{
    Channel, Consumer,
    message::Delivery,
    options::{
        BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicGetOptions,
        BasicNackOptions, BasicQosOptions,
    },
    types::{FieldTable, ShortString},
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    acks::{Frame, Settle},
    connection::Connection,
    delivery::{AmqpDelivery, SettlementTargets},
    headers,
    receipt::{ChannelLedger, Receipt},
    session_end::SessionBreak,
    starvation::Serving,
    stream::StreamHandle,
};
use crate::{
    domain::Lane,
    ports::{Clock, SystemClock},
};

/// A consuming channel, on the connection of its lane.
#[derive(Debug)]
pub(super) struct LaneChannel {
    lane: Lane,
    prefetch: u16,
    targets: Arc<SettlementTargets>,
    channel: Channel,
    stream: StreamHandle,
    ledger: Arc<ChannelLedger>,
    /// The number of consumers started so far.
    consumptions: AtomicU64,
    consuming: AtomicBool,
}

impl LaneChannel {
    pub(super) async fn open(
        connection: &Connection,
        lane: Lane,
        prefetch: u16,
        targets: Arc<SettlementTargets>,
    ) -> lapin::Result<Self> {
        Ok(Self {
            lane,
            prefetch,
            targets,
            channel: connection.create_channel().await?,
            stream: connection.stream().clone(),
            ledger: Arc::default(),
            consumptions: AtomicU64::new(0),
            consuming: AtomicBool::new(false),
        })
    }

    pub(super) fn queue(&self) -> &ShortString {
        self.targets.queues.lane(self.lane)
    }

    pub(super) async fn consume(&self) -> lapin::Result<Consumer> {
        self.channel.basic_qos(self.prefetch, BasicQosOptions::default()).await?;
        let options = BasicConsumeOptions::default();
        // Each consumer gets a new tag: RabbitMQ 3.10 crashes the connection when a tag is reused on a channel with
        // unsettled deliveries of its former consumer.
        self.consumptions.fetch_add(1, Ordering::Relaxed);
        let tag = self.consumer_tag();
        let arguments = FieldTable::default();
        let queue = self.queue().clone();
        let consumer = self.channel.basic_consume(queue, tag, options, arguments).await?;
        self.consuming.store(true, Ordering::Relaxed);
        Ok(consumer)
    }

    /// Stops the consumer. Deliveries that were sent before still come out of [`LaneChannel::pump`].
    pub(super) async fn cancel(&self) -> lapin::Result<()> {
        self.consuming.store(false, Ordering::Relaxed);
        self.channel.basic_cancel(self.consumer_tag(), BasicCancelOptions::default()).await
    }

    /// Waits until the broker has read everything sent on this channel, above all acks. It answers in order, and this
    /// question changes nothing.
    pub(super) async fn until_read(&self) -> lapin::Result<()> {
        self.channel.basic_qos(self.prefetch, BasicQosOptions::default()).await
    }

    pub(super) async fn fetch(&self) -> Result<Option<AmqpDelivery>, SessionBreak> {
        let got = self.channel.basic_get(self.queue().clone(), BasicGetOptions::default()).await;
        let message = got.map_err(SessionBreak::Failed)?;
        message.map(|message| self.receive(message.delivery)).transpose()
    }

    /// Whether a stopped consumer may start again: few jobs must be left. Otherwise repeated pauses would accumulate
    /// jobs.
    pub(super) fn has_room(&self) -> bool {
        has_room(self.ledger.in_flight(), self.prefetch)
    }

    /// Whether a consumer is active.
    pub(super) fn is_consuming(&self) -> bool {
        self.consuming.load(Ordering::Relaxed)
    }

    /// The number of the active consumer, if there is one.
    pub(super) fn consumption(&self) -> Option<u64> {
        self.is_consuming().then(|| self.consumptions.load(Ordering::Relaxed))
    }

    /// How the consumer is served now, with `waiting` jobs in the queue.
    pub(super) fn serving(&self, waiting: Option<u32>) -> Serving {
        Serving {
            consuming: self.is_consuming(),
            waiting,
            in_flight: self.ledger.in_flight(),
            delivered: self.ledger.delivered_so_far(),
        }
    }

    /// The tag of the present consumer. A channel has one at most.
    fn consumer_tag(&self) -> ShortString {
        format!("{}-{}", self.lane, self.consumptions.load(Ordering::Relaxed)).into()
    }

    /// Voids the receipts of all deliveries: the session is over.
    pub(super) fn lose(&self) {
        self.ledger.lose();
    }

    /// Passes deliveries on until the consumer ends, and returns the reason.
    pub(super) async fn pump(
        &self,
        mut consumer: Consumer,
        intake: mpsc::Sender<AmqpDelivery>,
    ) -> SessionBreak {
        while let Some(next) = consumer.next().await {
            let received = next.map_err(SessionBreak::Failed);
            match received.and_then(|delivery| self.receive(delivery)) {
                Err(broken) => return broken,
                Ok(delivery) => {
                    if intake.send(delivery).await.is_err() {
                        return SessionBreak::Closed;
                    }
                }
            }
        }
        // The stream gives no reason: the consumer was cancelled, by the broker or by the worker.
        SessionBreak::Cancelled
    }

    /// Takes a delivery. Fails if its tag is out of order: later acks would apply to other jobs. Only a new channel
    /// starts a new count.
    fn receive(&self, delivery: Delivery) -> Result<AmqpDelivery, SessionBreak> {
        let Delivery { delivery_tag, redelivered, properties, data, .. } = delivery;
        // First, so that its bytes are released in any case.
        let charge = self.stream.claim(self.channel.id(), delivery_tag);
        if !self.ledger.delivered(delivery_tag) {
            return Err(SessionBreak::Broken("a delivery came with a tag out of order"));
        }
        let receipt = Receipt::new(delivery_tag, Arc::clone(&self.ledger));
        let now = SystemClock.now();
        let received = headers::Received {
            properties: &properties,
            body: &data,
            lane: self.lane,
            redelivered,
        };
        let targets = Arc::clone(&self.targets);
        let metadata = headers::read(received, &targets.queues, &targets.history_keys, now);
        Ok(AmqpDelivery::new(metadata, data, properties, receipt, targets, Some(charge)))
    }

    /// Sends settlements to the broker, many at a time, until `closing`; then the rest.
    pub(super) async fn acker(&self, closing: CancellationToken) -> SessionBreak {
        let mut frames = Vec::new();
        loop {
            let last = self.ledger.due(&closing).await;
            self.ledger.flush(&mut frames);
            if let Err(error) = self.send_frames(&frames).await {
                return SessionBreak::Failed(error);
            }
            frames.clear();
            if last {
                return SessionBreak::Closed;
            }
        }
    }

    /// Writes the frames: the nacks, then the acks.
    async fn send_frames(&self, frames: &[Frame]) -> lapin::Result<()> {
        let acks = frames.partition_point(|frame| frame.settle != Settle::Ack);
        let (nacks, acks) = frames.split_at(acks);
        let nacks = nacks.iter().map(|frame| {
            let requeue = frame.settle == Settle::Requeue;
            self.channel.basic_nack(frame.tag, BasicNackOptions { requeue, multiple: false })
        });
        try_join_all(nacks).await?;
        let acks = acks.iter().map(|Frame { tag, multiple, .. }| {
            self.channel.basic_ack(*tag, BasicAckOptions { multiple: *multiple })
        });
        try_join_all(acks).await?;
        Ok(())
    }
}

/// Whether a lane with this many jobs in flight may consume again.
const fn has_room(in_flight: usize, prefetch: u16) -> bool {
    in_flight <= prefetch as usize / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_consumes_again_when_it_holds_half_a_prefetch_at_most() {
        for (in_flight, room) in [(0, true), (8, true), (9, false), (16, false)] {
            assert_eq!(has_room(in_flight, 16), room, "{in_flight}");
        }
        assert!(has_room(0, 1), "a prefetch of one");
    }
}
