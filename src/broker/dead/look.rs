//! One look at the whole queue: every letter is read once, and all stay held.

use std::{fmt, pin::Pin, sync::Arc, time::Duration};

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
    held::{Held, Tag},
    holding::Holding,
    order::Order,
    queue::{LookError, Unanswered, asked_at_length},
    read::Reader,
    window::{Plan, Windows},
};
use crate::broker::{
    cause::fault,
    connection::{Claims, Connection},
    topology::{self, Occupancy},
};

/// Letters that were counted and do not come within this time are in somebody else's hand.
const QUIET: Duration = Duration::from_secs(5);

/// How often a queue that is busy is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(50);

/// What a look is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aim {
    /// Every letter goes back.
    Reading,
    /// Letters are acked while others are still to come.
    Taking,
}

/// What the broker says once it has handed over all that it hands to us.
struct Settled {
    /// Consumers besides ours.
    others: u32,
    /// Letters that it has not handed over.
    left: u32,
}

type Settling<'a> = Pin<Box<dyn Future<Output = Result<Settled, Unanswered>> + Send + 'a>>;

/// A look under way. Dropped, it is over, and the broker takes its letters back.
pub struct Look<'a> {
    aim: Aim,
    claims: &'a Claims,
    holding: Holding<'a>,
    queue: &'a ShortString,
    reader: &'a Arc<Reader>,
    plan: Plan,
    windows: Windows,
    /// Those that get letters.
    consumers: Vec<Consumer>,
    /// The one of them whose letters come now.
    current: usize,
    found: Occupancy,
    settling: Option<Settling<'a>>,
    settled: Option<Settled>,
    seen: u32,
    order: Order,
}

impl fmt::Debug for Look<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Look").field("seen", &self.seen).finish_non_exhaustive()
    }
}

impl<'a> Look<'a> {
    pub(super) async fn begin(
        connection: &'a Connection,
        queue: &'a ShortString,
        reader: &'a Arc<Reader>,
        found: Occupancy,
        aim: Aim,
    ) -> Result<Self, LookError> {
        let channels = (aim == Aim::Taking).then(|| connection.configuration().channel_max());
        let plan = Plan::of(found.ready, channels);
        let holding = Holding::begin(connection, queue, plan.prefetch).await?;
        let mut look = Self {
            aim,
            claims: connection.claims(),
            holding,
            queue,
            reader,
            plan,
            windows: Windows::default(),
            consumers: Vec::new(),
            current: 0,
            found,
            settling: None,
            settled: None,
            seen: 0,
            order: Order::default(),
        };
        look.ask_for(plan.first).await?;
        Ok(look)
    }

    /// Letters in the queue, as far as it is known: those that were seen, and those that the broker last said
    /// were waiting. Under load it may say none where there are some; they are seen all the same.
    #[must_use]
    pub fn expected(&self) -> u32 {
        let left = self.settled.as_ref().map_or(0, |settled| settled.left);
        self.found.ready.max(self.seen.saturating_add(left))
    }

    /// Letters seen so far.
    #[must_use]
    pub const fn seen(&self) -> u32 {
        self.seen
    }

    /// Letters that waited and were not seen: at the end of the look, those that went to others.
    #[must_use]
    pub fn missed(&self) -> u32 {
        let left = self.settled.as_ref().map_or(0, |settled| settled.left);
        self.found.ready.saturating_sub(self.seen).max(left)
    }

    /// Consumers of the queue besides this look: what they hold is not seen.
    #[must_use]
    pub fn others(&self) -> u32 {
        self.settled.as_ref().map_or(self.found.consumers, |settled| settled.others)
    }

    /// The next letter in the order of the queue; `None` when all were seen that waited when the look
    /// began, or somebody else has taken the rest.
    ///
    /// # Errors
    ///
    /// [`LookError`]; nothing is held any more then.
    pub async fn next(&mut self) -> Result<Option<Held>, LookError> {
        loop {
            if let Some(held) = self.arrived()? {
                return Ok(Some(held));
            }
            match &self.settled {
                None => {
                    if let Some(held) = Box::pin(self.settle()).await? {
                        return Ok(Some(held));
                    }
                }
                Some(settled) if settled.left > 0 && self.windows.all_are_full() => {
                    Box::pin(self.ask_for(1)).await?;
                }
                Some(_) => break,
            }
        }
        if self.missed() == 0 || self.consumers.is_empty() {
            return Ok(None);
        }
        // Unless another node of a cluster hands over, which may lag behind the one that was asked.
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

    /// Takes letters out of the queue for good. Each is named once, in the order in which they came.
    ///
    /// # Errors
    ///
    /// [`LookError::Lost`]; any of these letters may have gone back then.
    pub async fn ack(&mut self, letters: &[Tag]) -> Result<(), LookError> {
        for tag in letters {
            self.windows.acked(tag.channel);
        }
        if !letters.is_empty() {
            // In their place the broker may hand over others.
            (self.settling, self.settled) = (None, None);
        }
        self.holding.ack(letters).await
    }

    /// Ends the reading and keeps the letters: they can still be acked, and what dies now stays in the queue.
    ///
    /// # Errors
    ///
    /// [`LookError`]; nothing is held any more then.
    pub async fn hold(&mut self) -> Result<(), LookError> {
        self.settling = None;
        self.windows.end();
        let mut consumers = std::mem::take(&mut self.consumers);
        let tags: Vec<_> = consumers.iter().map(Consumer::tag).collect();
        let cancelled = asked_at_length(cancel(self.holding.channel(), &tags));
        // What came behind the last letter that was read is held as well. The answer stands behind it, so it has to
        // be taken out of the way: it uses up what may be in flight.
        let (claims, channel) = (self.claims, self.holding.channel().id());
        let mut unread = 0;
        let mut take_away = |delivery: Delivery| {
            drop(claims.claim(channel, delivery.delivery_tag));
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
        self.holding.add(unread);
        Ok(())
    }

    /// Ends the look; returns when the broker has its letters back.
    pub async fn close(mut self) {
        // Boxed, as are the rarer steps of `next`: each command would carry the size of all of them.
        if Box::pin(self.hold()).await.is_ok() && self.aim == Aim::Reading {
            Box::pin(self.holding.give_back(self.order.ahead())).await;
        }
        Box::pin(self.holding.close()).await;
    }

    /// A letter that has arrived. As long as letters may be on their way, only that of the consumer whose turn
    /// it is: all letters of the next one stand behind its.
    fn arrived(&mut self) -> Result<Option<Held>, LookError> {
        while let Some(consumer) = self.consumers.get_mut(self.current) {
            if let Some(next) = consumer.next().now_or_never() {
                return self.received(self.current, next).map(Some);
            }
            let over = self.settled.is_some() || self.windows.is_full(self.current);
            if !over || self.current + 1 == self.consumers.len() {
                break;
            }
            self.current += 1;
        }
        Ok(None)
    }

    /// Waits until the broker has handed over what it hands to us, or until a letter arrives.
    async fn settle(&mut self) -> Result<Option<Held>, LookError> {
        let channel = self.holding.channel();
        let settling = self.settling.get_or_insert_with(|| {
            let ours = self.windows.counted();
            Box::pin(settle(channel.clone(), self.queue.clone(), ours, self.plan.prefetch))
        });
        let Some(consumer) = self.consumers.get_mut(self.current) else { return Ok(None) };
        tokio::select! {
            biased;
            next = consumer.next() => return self.received(self.current, next).map(Some),
            settled = settling => self.settled = Some(settled?),
        }
        self.settling = None;
        Ok(None)
    }

    /// Asks for more consumers in one go, for between two of them a part of the queue would be held. Those that
    /// are there get no letters any more: while one is acked, only the last one may get another in its place. Where
    /// letters are acked, each consumer has a channel of its own.
    async fn ask_for(&mut self, consumers: u32) -> Result<(), LookError> {
        let full: Vec<_> = self.consumers.iter().map(Consumer::tag).collect();
        let channel = self.holding.channel().clone();
        if self.aim == Aim::Taking && self.windows.count() > 0 {
            self.holding.go_on(self.plan.prefetch).await?;
        }
        let latest = self.holding.channel();
        let asking = (self.windows.count()..).take(consumers as usize).map(|n| {
            // The broker puts letters back in the order of their consumers' tags.
            let (tag, options) = (format!("look-{n:04}").into(), BasicConsumeOptions::default());
            latest.basic_consume(self.queue.clone(), tag, options, FieldTable::default())
        });
        let asking = try_join(cancel(&channel, &full), try_join_all(asking));
        ((), self.consumers) = asked_at_length(asking).await?;
        self.windows.end();
        self.consumers.iter().for_each(|_| self.windows.asked(self.plan.prefetch));
        (self.current, self.settled) = (0, None);
        Ok(())
    }

    fn received(
        &mut self,
        consumer: usize,
        next: Option<lapin::Result<Delivery>>,
    ) -> Result<Held, LookError> {
        let delivery = match next {
            None => return Err(LookError::Deleted(self.queue.to_string())),
            Some(Err(error)) => return Err(LookError::Lost(fault(&error))),
            Some(Ok(delivery)) => delivery,
        };
        self.seen += 1;
        self.windows.brought(consumer);
        if self.aim == Aim::Reading {
            self.order.note(delivery.delivery_tag, &delivery.properties);
        }
        self.holding.add(1);
        let charge = self.claims.claim(self.holding.channel().id(), delivery.delivery_tag);
        Ok(Held::new(self.holding.number(), delivery, self.reader, charge))
    }
}

async fn cancel(channel: &Channel, consumers: &[ShortString]) -> lapin::Result<()> {
    let cancelling = consumers.iter().map(|tag| {
        let options = BasicCancelOptions::default();
        channel.basic_cancel(tag.clone(), options)
    });
    try_join_all(cancelling).await.map(|_| ())
}

/// Waits until the broker has handed over all that it hands to `ours` consumers, and all of it has arrived: the
/// queue is asked once more behind them, and then the channel, which answers behind its deliveries.
async fn settle(
    channel: Channel,
    queue: ShortString,
    ours: u32,
    prefetch: u16,
) -> Result<Settled, Unanswered> {
    let handed_over = async {
        loop {
            let now = topology::look(&channel, &queue).await?;
            // RabbitMQ says 0 and 0 of a quorum queue that is busy for more than 250 ms. It has our
            // consumers, so that is no answer.
            if now.consumers > 0 {
                channel.basic_qos(prefetch, BasicQosOptions::default()).await?;
                return Ok(now);
            }
            sleep(ASK_AGAIN).await;
        }
    };
    let now = asked_at_length(handed_over).await?;
    Ok(Settled { others: now.consumers.saturating_sub(ours), left: now.ready })
}
