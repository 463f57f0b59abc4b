//! One lane of a session: a channel, its consumer, its acker.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, future::try_join_all};
use lapin::{
    Channel, Connection, Consumer, ErrorKind,
    options::{
        BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions,
    },
    types::{FieldTable, ShortString},
};
use tokio::{sync::mpsc, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{
    acks::Frame,
    delivery::{AmqpDelivery, Exits},
    headers,
    receipt::{ChannelLedger, Receipt},
};
use crate::{
    domain::Lane,
    metrics::EndedBy,
    ports::{Clock, SystemClock},
};

/// The longest that a settlement waits for others to be told together with it.
const FLUSH_AFTER: Duration = Duration::from_millis(4);

/// A consuming channel. Each lane has its own, so that a straggler of one never holds up the acks of
/// the other.
#[derive(Debug)]
pub struct LaneChannel {
    lane: Lane,
    channel: Channel,
    consumer: Consumer,
    ledger: Arc<ChannelLedger>,
}

impl LaneChannel {
    /// Opens the channel and begins to consume.
    ///
    /// # Errors
    ///
    /// The broker's, or the connection's.
    pub async fn open(
        connection: &Connection,
        lane: Lane,
        queue: &ShortString,
        prefetch: u16,
    ) -> lapin::Result<Self> {
        let channel = connection.create_channel().await?;
        channel.basic_qos(prefetch, BasicQosOptions::default()).await?;
        let consumer = channel
            .basic_consume(
                queue.clone(),
                ShortString::default(),
                BasicConsumeOptions::default(),
                FieldTable::default(),
            )
            .await?;
        Ok(Self { lane, channel, consumer, ledger: Arc::default() })
    }

    /// Stops consuming; what was delivered before still comes out of [`LaneChannel::pump`].
    ///
    /// # Errors
    ///
    /// The broker's, or the connection's.
    pub async fn cancel(&self) -> lapin::Result<()> {
        self.channel.basic_cancel(self.consumer.tag(), BasicCancelOptions::default()).await
    }

    /// Ends the claims of all deliveries: the session is over.
    pub fn lose(&self) {
        self.ledger.lose();
    }

    /// Passes deliveries on until the consumer ends, and says how it ended.
    pub async fn pump(&self, exits: Arc<Exits>, intake: mpsc::Sender<AmqpDelivery>) -> EndedBy {
        let mut consumer = self.consumer.clone();
        while let Some(next) = consumer.next().await {
            let delivery = match next {
                Ok(delivery) => delivery,
                Err(error) => return ended_by(&error),
            };
            if !self.ledger.delivered(delivery.delivery_tag) {
                // Acks would go astray from here on: only a new channel counts from the start.
                return EndedBy::ChannelClosed;
            }
            let receipt = Receipt::new(delivery.delivery_tag, Arc::clone(&self.ledger));
            let arrival = headers::read(
                &delivery.properties,
                self.lane,
                delivery.redelivered,
                &exits.queues,
                SystemClock.now(),
            );
            let delivery = AmqpDelivery::new(
                arrival,
                delivery.data,
                delivery.properties,
                receipt,
                Arc::clone(&exits),
            );
            if intake.send(delivery).await.is_err() {
                return EndedBy::Shutdown;
            }
        }
        // The stream of a consumer that the broker cancelled just ends: its queue was deleted.
        EndedBy::ConsumerCancelled
    }

    /// Tells the broker what is settled, many at a time, until `closing`; then the rest.
    pub async fn acker(&self, closing: CancellationToken) -> EndedBy {
        let mut frames = Vec::new();
        loop {
            let last = tokio::select! {
                () = self.ledger.some() => false,
                () = closing.cancelled() => true,
            };
            if !last {
                tokio::select! {
                    () = self.ledger.many() => {}
                    () = sleep(FLUSH_AFTER) => {}
                    () = closing.cancelled() => {}
                }
            }
            self.ledger.flush(&mut frames);
            if let Err(error) = self.tell(&frames).await {
                return ended_by(&error);
            }
            frames.clear();
            if last {
                return EndedBy::Shutdown;
            }
        }
    }

    /// Writes the frames. Requeues first, and written before the acks: one with `multiple` past them
    /// would ack what is to come back.
    async fn tell(&self, frames: &[Frame]) -> lapin::Result<()> {
        let requeues = frames.iter().filter_map(|frame| match frame {
            Frame::Requeue { tag } => {
                let options = BasicNackOptions { requeue: true, multiple: false };
                Some(self.channel.basic_nack(*tag, options))
            }
            Frame::Ack { .. } => None,
        });
        try_join_all(requeues).await?;
        let acks = frames.iter().filter_map(|frame| match frame {
            Frame::Ack { tag, multiple } => {
                Some(self.channel.basic_ack(*tag, BasicAckOptions { multiple: *multiple }))
            }
            Frame::Requeue { .. } => None,
        });
        try_join_all(acks).await?;
        Ok(())
    }
}

/// What an error of the channel or the connection means for the session.
pub fn ended_by(error: &lapin::Error) -> EndedBy {
    match error.kind() {
        ErrorKind::ProtocolError(_) if error.is_amqp_soft_error() => EndedBy::ChannelClosed,
        ErrorKind::InvalidChannelState(..) => EndedBy::ChannelClosed,
        _ => EndedBy::ConnectionLost,
    }
}
