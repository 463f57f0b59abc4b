//! Browsing the whole queue: every message is read once and stays held until the end.

use std::{pin::Pin, sync::Arc, time::Duration};

use futures_util::{
    FutureExt, StreamExt,
    future::{pending, ready, try_join, try_join_all},
    stream::select_all,
};
use lapin::{
    Channel, Consumer,
    message::Delivery,
    options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions},
    types::{FieldTable, ShortString},
};
use tokio::time::{sleep, timeout};

use super::{
    ack_session::AckSession,
    message::{BrowsedMessage, MessageTag},
    queue::{BrowseError, LONG_ANSWER_LIMIT, asked},
    reader::DeadLetterReader,
    return_order::ReturnOrder,
    window::{ReadPlan, Windows},
};
use crate::broker::{
    cause::fault,
    connection::Connection,
    topology::{self, Occupancy},
};

/// Messages that were counted and do not arrive within this time went to another consumer.
const QUIET: Duration = Duration::from_secs(5);

/// The pause between two questions to a busy queue.
const ASK_AGAIN: Duration = Duration::from_millis(50);

/// The handling of a browse's messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BrowseMode {
    /// All messages are requeued.
    ReadOnly,
    /// Some messages are acked while others still arrive.
    Ack,
}

/// The broker's answer once it has delivered all messages that it delivers to us.
struct Handover {
    /// Consumers besides ours.
    others: u32,
    /// Messages that the broker has not delivered.
    left: u32,
}

type AwaitedHandover<'a> = Pin<Box<dyn Future<Output = Result<Handover, BrowseError>> + Send + 'a>>;

/// A browse in progress. If it is dropped, the broker requeues the messages.
pub(super) struct Browse<'a> {
    mode: BrowseMode,
    session: AckSession<'a>,
    queue: &'a ShortString,
    reader: &'a Arc<DeadLetterReader>,
    plan: ReadPlan,
    windows: Windows,
    /// The consumers that receive messages.
    consumers: Vec<Consumer>,
    /// The index of the consumer whose messages come next.
    current: usize,
    /// The broker's counts at the start.
    found: Occupancy,
    awaited: Option<AwaitedHandover<'a>>,
    handover: Option<Handover>,
    seen: u32,
    order: ReturnOrder,
}

impl<'a> Browse<'a> {
    pub(super) async fn begin(
        connection: &'a Connection,
        queue: &'a ShortString,
        reader: &'a Arc<DeadLetterReader>,
        found: Occupancy,
        mode: BrowseMode,
    ) -> Result<Self, BrowseError> {
        let channels = (mode == BrowseMode::Ack).then(|| connection.configuration().channel_max());
        let plan = ReadPlan::of(found.ready, channels);
        let session = AckSession::begin(connection, queue, plan.prefetch).await?;
        let mut browse = Self {
            mode,
            session,
            queue,
            reader,
            plan,
            windows: Windows::new(plan.prefetch),
            consumers: Vec::new(),
            current: 0,
            found,
            awaited: None,
            handover: None,
            seen: 0,
            order: ReturnOrder::default(),
        };
        browse.add_consumers(plan.first).await?;
        Ok(browse)
    }

    /// Messages in the queue, as far as known: those seen, and those that the broker last counted as ready. A busy
    /// broker may report 0 although messages wait.
    pub(super) fn expected(&self) -> u32 {
        self.found.ready.max(self.seen.saturating_add(self.left()))
    }

    pub(super) const fn seen(&self) -> u32 {
        self.seen
    }

    /// Messages that were ready and were not seen. After the last message, this counts the messages that others
    /// received.
    pub(super) fn missed(&self) -> u32 {
        self.found.ready.saturating_sub(self.seen).max(self.left())
    }

    /// Other consumers of the queue. Messages that they hold are not seen.
    pub(super) fn others(&self) -> u32 {
        self.handover.as_ref().map_or(self.found.consumers, |handover| handover.others)
    }

    fn left(&self) -> u32 {
        self.handover.as_ref().map_or(0, |handover| handover.left)
    }

    /// The next message in queue order. `None` if all that were ready at the start were seen, or others received
    /// the rest. After an error nothing is held any more.
    pub(super) async fn next(&mut self) -> Result<Option<BrowsedMessage>, BrowseError> {
        loop {
            if let Some(message) = self.arrived()? {
                return Ok(Some(message));
            }
            match &self.handover {
                None => {
                    if let Some(message) = Box::pin(self.await_handover()).await? {
                        return Ok(Some(message));
                    }
                }
                Some(handover) if handover.left > 0 && self.windows.all_are_full() => {
                    Box::pin(self.add_consumers(1)).await?;
                }
                Some(_) => break,
            }
        }
        if self.missed() == 0 || self.consumers.is_empty() {
            return Ok(None);
        }
        // In a cluster, the node that delivers may lag behind the node that was asked.
        let consumers = self.consumers.iter_mut().enumerate();
        let mut late =
            select_all(consumers.map(|(n, consumer)| consumer.map(move |next| (n, next))));
        match timeout(QUIET, late.next()).await {
            Ok(Some((consumer, next))) => {
                drop(late);
                self.received(consumer, Some(next)).map(Some)
            }
            Ok(None) | Err(_) => Ok(None),
        }
    }

    /// Acks messages: each once, in the order of arrival. On an error, any of them may be requeued.
    pub(super) async fn ack(&mut self, messages: &[MessageTag]) -> Result<(), BrowseError> {
        for tag in messages {
            self.windows.acked(tag.channel);
        }
        if !messages.is_empty() {
            // The broker may deliver others in their place.
            (self.awaited, self.handover) = (None, None);
        }
        self.session.ack(messages).await
    }

    /// Stops consuming and keeps the messages: they can still be acked, and new dead letters stay in the queue.
    /// After an error nothing is held any more.
    pub(super) async fn hold(&mut self) -> Result<(), BrowseError> {
        self.awaited = None;
        self.windows.end();
        let mut consumers = std::mem::take(&mut self.consumers);
        let tags: Vec<_> = consumers.iter().map(Consumer::tag).collect();
        let cancelled = asked(
            self.session.connection(),
            LONG_ANSWER_LIMIT,
            cancel(self.session.channel(), &tags),
        );
        // Unread messages are held as well. The answer arrives behind them, and they use up the bytes in flight, so
        // they are read first.
        let (stream, channel) = (self.session.connection().stream(), self.session.channel().id());
        let mut unread = 0;
        let mut take_away = |delivery: Delivery| {
            drop(stream.claim(channel, delivery.delivery_tag));
            unread += 1;
        };
        let coming = select_all(consumers.iter_mut()).for_each(|delivery| {
            delivery.into_iter().for_each(&mut take_away);
            ready(())
        });
        tokio::select! {
            biased;
            cancelled = cancelled => cancelled?,
            never = coming.then(|()| pending()) => never,
        }
        for consumer in &mut consumers {
            while let Some(Some(Ok(delivery))) = consumer.next().now_or_never() {
                take_away(delivery);
            }
        }
        self.session.add(unread);
        Ok(())
    }

    /// Ends the browse. Returns when the broker has requeued its messages.
    pub(super) async fn close(mut self) {
        // Boxed, like the rare steps of `next`: otherwise each command's future contains all of them.
        if Box::pin(self.hold()).await.is_ok() && self.mode == BrowseMode::ReadOnly {
            Box::pin(self.session.return_first(self.order.ahead())).await;
        }
        Box::pin(self.session.close()).await;
    }

    /// A message that has arrived. Before the handover, only the current consumer's messages count: those of the next
    /// consumer follow in the queue.
    fn arrived(&mut self) -> Result<Option<BrowsedMessage>, BrowseError> {
        while let Some(consumer) = self.consumers.get_mut(self.current) {
            if let Some(next) = consumer.next().now_or_never() {
                return self.received(self.current, next).map(Some);
            }
            let over = self.handover.is_some() || self.windows.is_full(self.current);
            if !over || self.current + 1 == self.consumers.len() {
                break;
            }
            self.current += 1;
        }
        Ok(None)
    }

    /// Waits for the broker's handover, or returns the message that arrives before it.
    async fn await_handover(&mut self) -> Result<Option<BrowsedMessage>, BrowseError> {
        let (connection, channel) = (self.session.connection(), self.session.channel());
        let awaited = self.awaited.get_or_insert_with(|| {
            let ours = self.windows.counted();
            Box::pin(handover(
                connection,
                channel.clone(),
                self.queue.clone(),
                ours,
                self.plan.prefetch,
            ))
        });
        let Some(consumer) = self.consumers.get_mut(self.current) else { return Ok(None) };
        tokio::select! {
            biased;
            next = consumer.next() => return self.received(self.current, next).map(Some),
            handover = awaited => self.handover = Some(handover?),
        }
        self.awaited = None;
        Ok(None)
    }

    /// Adds consumers and cancels the full ones in one go: between two steps only a part of the queue would be
    /// held. After an ack, only the last consumer may receive a further message. In mode `Ack`, each consumer has
    /// its own channel.
    async fn add_consumers(&mut self, consumers: u32) -> Result<(), BrowseError> {
        let full: Vec<_> = self.consumers.iter().map(Consumer::tag).collect();
        let channel = self.session.channel().clone();
        if self.mode == BrowseMode::Ack && self.windows.count() > 0 {
            self.session.add_channel(self.plan.prefetch).await?;
        }
        let latest = self.session.channel();
        let adding = (self.windows.count()..).take(consumers as usize).map(|n| {
            // The broker requeues messages in the order of their consumers' tags.
            let (tag, options) = (format!("browse-{n:04}").into(), BasicConsumeOptions::default());
            latest.basic_consume(self.queue.clone(), tag, options, FieldTable::default())
        });
        let adding = try_join(cancel(&channel, &full), try_join_all(adding));
        ((), self.consumers) = asked(self.session.connection(), LONG_ANSWER_LIMIT, adding).await?;
        self.windows.end();
        self.consumers.iter().for_each(|_| self.windows.add());
        (self.current, self.handover) = (0, None);
        Ok(())
    }

    fn received(
        &mut self,
        consumer: usize,
        next: Option<lapin::Result<Delivery>>,
    ) -> Result<BrowsedMessage, BrowseError> {
        let delivery = match next {
            None => return Err(BrowseError::Deleted(self.queue.to_string())),
            Some(Err(error)) => return Err(BrowseError::Lost(fault(&error))),
            Some(Ok(delivery)) => delivery,
        };
        self.seen += 1;
        self.windows.received(consumer);
        if self.mode == BrowseMode::ReadOnly {
            self.order.note(delivery.delivery_tag, &delivery.properties);
        }
        self.session.add(1);
        let stream = self.session.connection().stream();
        let charge = stream.claim(self.session.channel().id(), delivery.delivery_tag);
        Ok(BrowsedMessage::new(self.session.index(), delivery, self.reader, charge))
    }
}

async fn cancel(channel: &Channel, consumers: &[ShortString]) -> lapin::Result<()> {
    let cancelling = consumers.iter().map(|tag| {
        let options = BasicCancelOptions::default();
        channel.basic_cancel(tag.clone(), options)
    });
    try_join_all(cancelling).await.map(|_| ())
}

/// Waits until all messages that the broker delivers to `ours` consumers have arrived. First the queue answers behind
/// its deliveries, then the channel.
async fn handover(
    connection: &Connection,
    channel: Channel,
    queue: ShortString,
    ours: u32,
    prefetch: u16,
) -> Result<Handover, BrowseError> {
    let handed_over = async {
        loop {
            let now = topology::passive_declare(&channel, &queue).await?;
            // RabbitMQ answers 0 and 0 for a quorum queue that is busy for more than 250 ms. The queue has our
            // consumers, so that is no answer.
            if now.consumers > 0 {
                channel.basic_qos(prefetch, BasicQosOptions::default()).await?;
                return Ok(now);
            }
            sleep(ASK_AGAIN).await;
        }
    };
    let now = asked(connection, LONG_ANSWER_LIMIT, handed_over).await?;
    Ok(Handover { others: now.consumers.saturating_sub(ours), left: now.ready })
}
