//! One look at the whole queue: every letter is read once, and all stay held.

use std::{fmt, pin::Pin, sync::Arc, time::Duration};

use futures_util::{FutureExt, StreamExt, future::try_join_all, stream::select_all};
use lapin::{
    BasicProperties, Channel, Connection, Consumer,
    message::Delivery,
    options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions},
    types::{FieldTable, ShortString},
};
use tokio::time::{sleep, timeout};

use super::{
    holding::Holding,
    identity::Identity,
    particulars::Particulars,
    queue::{LookError, Unanswered, asked, asked_at_length},
    read::Reader,
};
use crate::{
    broker::{
        cause::fault,
        topology::{self, Occupancy},
    },
    domain::StoredLetter,
};

/// The most letters that one consumer can hold: a prefetch is a 16-bit number, and a quorum queue takes
/// "unlimited" for 2000.
const PREFETCH: u16 = u16::MAX;

/// Letters that were counted and do not come within this time are in somebody else's hand.
const QUIET: Duration = Duration::from_secs(5);

/// How often a queue that is busy is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(50);

/// A delivery's tag on its channel. It means nothing outside the look that it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag(pub(super) u64);

/// A letter that is held, as it came.
pub struct Held {
    tag: Tag,
    body: Vec<u8>,
    properties: BasicProperties,
    reader: Arc<Reader>,
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").field("tag", &self.tag).finish_non_exhaustive()
    }
}

impl Held {
    /// Its tag.
    #[must_use]
    pub const fn tag(&self) -> Tag {
        self.tag
    }

    /// What is written on it.
    #[must_use]
    pub fn letter(&self) -> StoredLetter {
        self.reader.read(&self.properties, &self.body)
    }

    /// What came with it besides.
    #[must_use]
    pub fn particulars(&self) -> Particulars {
        self.reader.particulars(&self.properties, &self.body)
    }

    /// What tells it from every other letter, in this look and the next.
    #[must_use]
    pub fn identity(&self) -> Identity {
        Identity::of(&self.properties, &self.body)
    }

    /// Its body, byte for byte. It holds a live token.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Its body and properties, for another queue.
    pub(super) fn into_parts(self) -> (Vec<u8>, BasicProperties) {
        (self.body, self.properties)
    }
}

/// What the broker says once it has handed over all that waited.
struct Settled {
    /// Consumers besides ours.
    others: u32,
    /// Letters that it hands to nobody, or to none of ours.
    unreached: u32,
}

/// A look under way. Dropped, it is over, and the broker takes its letters back.
pub struct Look<'a> {
    connection: &'a Connection,
    channel: Channel,
    queue: &'a ShortString,
    reader: &'a Arc<Reader>,
    consumers: Vec<Consumer>,
    /// The consumer whose letters come now, and how many it has brought.
    current: (usize, u16),
    found: Occupancy,
    settling: Pin<Box<dyn Future<Output = Result<Settled, Unanswered>> + Send + 'a>>,
    settled: Option<Settled>,
    seen: u32,
    last: u64,
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
    ) -> Result<Self, LookError> {
        let channel = asked(connection.create_channel()).await?;
        asked(channel.basic_qos(PREFETCH, BasicQosOptions::default())).await?;
        // More than it takes to hold the whole queue, for the count may be old; and asked for in one go,
        // for between two of them a part would be held. The broker puts letters back in the order of
        // their consumers' tags.
        let needed = found.ready / u32::from(PREFETCH) + 2;
        let asking = (0..needed).map(|n| {
            let (tag, options) = (format!("look-{n:04}").into(), BasicConsumeOptions::default());
            channel.basic_consume(queue.clone(), tag, options, FieldTable::default())
        });
        let consumers = asked_at_length(try_join_all(asking)).await?;
        Ok(Self {
            connection,
            settling: Box::pin(settle(channel.clone(), queue.clone(), needed)),
            channel,
            queue,
            reader,
            consumers,
            current: (0, 0),
            found,
            settled: None,
            seen: 0,
            last: 0,
        })
    }

    /// Letters that waited in the queue when the look began. Under load the broker may say none where
    /// there are some; they are seen all the same.
    #[must_use]
    pub const fn expected(&self) -> u32 {
        self.found.ready
    }

    /// Letters seen so far.
    #[must_use]
    pub const fn seen(&self) -> u32 {
        self.seen
    }

    /// Letters that waited and were not seen: at the end of the look, those that went to others.
    #[must_use]
    pub fn missed(&self) -> u32 {
        let unreached = self.settled.as_ref().map_or(0, |settled| settled.unreached);
        self.found.ready.saturating_sub(self.seen).max(unreached)
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
        while self.settled.is_none() {
            if self.current.1 == PREFETCH {
                self.current = (self.current.0 + 1, 0);
            }
            let Some(consumer) = self.consumers.get_mut(self.current.0) else { break };
            tokio::select! {
                biased;
                next = consumer.next() => return self.received(next).map(Some),
                settled = &mut self.settling => self.settled = Some(settled?),
            }
        }
        // All that was handed over has arrived.
        while let Some(consumer) = self.consumers.get_mut(self.current.0) {
            if let Some(next) = consumer.next().now_or_never() {
                return self.received(next).map(Some);
            }
            self.current = (self.current.0 + 1, 0);
        }
        if self.missed() == 0 {
            return Ok(None);
        }
        // Unless another node of a cluster hands over, which may lag behind the one that was asked.
        let late = timeout(QUIET, select_all(self.consumers.iter_mut()).next()).await;
        late.map_or(Ok(None), |next| self.received(next).map(Some))
    }

    fn received(&mut self, next: Option<lapin::Result<Delivery>>) -> Result<Held, LookError> {
        let delivery = match next {
            None => return Err(LookError::Deleted(self.queue.to_string())),
            Some(Err(error)) => return Err(LookError::Lost(fault(&error))),
            Some(Ok(delivery)) => delivery,
        };
        self.current.1 = self.current.1.saturating_add(1);
        self.seen += 1;
        self.last = self.last.max(delivery.delivery_tag);
        Ok(Held {
            tag: Tag(delivery.delivery_tag),
            body: delivery.data,
            properties: delivery.properties,
            reader: Arc::clone(self.reader),
        })
    }

    /// Ends the reading and keeps the letters: from here on they can be acked, and what dies now stays
    /// in the queue.
    ///
    /// # Errors
    ///
    /// [`LookError`]; nothing is held any more then.
    pub async fn hold(self) -> Result<Holding<'a>, LookError> {
        for consumer in &self.consumers {
            let options = BasicCancelOptions::default();
            asked_at_length(self.channel.basic_cancel(consumer.tag(), options)).await?;
        }
        Ok(self.into_holding())
    }

    /// Ends the look; returns when the broker has its letters back.
    pub async fn close(self) {
        self.into_holding().close().await;
    }

    fn into_holding(self) -> Holding<'a> {
        let others = self.others().max(self.found.consumers);
        Holding::new(self.connection, self.channel, self.queue, others, self.last)
    }
}

/// Waits until the broker has handed all that waited to `ours` consumers, and all of it has arrived: the
/// queue is asked once more behind them, and then the channel, which answers behind its deliveries.
async fn settle(channel: Channel, queue: ShortString, ours: u32) -> Result<Settled, Unanswered> {
    let handed_over = async {
        loop {
            let now = topology::look(&channel, &queue).await?;
            // RabbitMQ says 0 and 0 of a quorum queue that is busy for more than 250 ms. It has our
            // consumers, so that is no answer.
            if now.consumers > 0 {
                channel.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
                return Ok(now);
            }
            sleep(ASK_AGAIN).await;
        }
    };
    let now = asked_at_length(handed_over).await?;
    Ok(Settled { others: now.consumers.saturating_sub(ours), unreached: now.ready })
}
