//! One look at the whole queue: every letter is read once, and all stay held.

use std::{fmt, sync::Arc, time::Duration};

use futures_util::{StreamExt, future::try_join_all};
use lapin::{
    BasicProperties, Channel, Connection, Consumer,
    options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions},
    types::{FieldTable, ShortString},
};
use tokio::time::timeout;

use super::{
    holding::Holding,
    identity::Identity,
    particulars::Particulars,
    queue::{LookError, asked},
    read::Reader,
};
use crate::{
    broker::{connect::fault, topology::Occupancy},
    domain::StoredLetter,
};

/// The most letters that one consumer can hold: a prefetch is a 16-bit number, and a quorum queue takes
/// "unlimited" for 2000.
const PREFETCH: u16 = u16::MAX;

/// Letters that were counted and do not come within this time are in somebody else's hand.
const QUIET: Duration = Duration::from_secs(10);

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

/// A look under way. Dropped, it is over, and the broker takes its letters back.
#[derive(Debug)]
pub struct Look<'a> {
    connection: &'a Connection,
    channel: Channel,
    queue: &'a ShortString,
    reader: &'a Arc<Reader>,
    consumers: Vec<Consumer>,
    /// The consumer whose letters come now, and how many it has brought.
    current: (usize, u16),
    found: Occupancy,
    seen: u32,
    last: u64,
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
        // As many as it takes to hold the whole queue, asked for in one go: between two of them a part
        // would be held. The broker puts letters back in the order of their consumers' tags.
        let needed = match found.ready {
            0 => 0,
            ready => ready / u32::from(PREFETCH) + 1,
        };
        let asking = (0..needed).map(|n| {
            let (tag, options) = (format!("look-{n:04}").into(), BasicConsumeOptions::default());
            channel.basic_consume(queue.clone(), tag, options, FieldTable::default())
        });
        let consumers = asked(try_join_all(asking)).await?;
        let (current, seen, last) = ((0, 0), 0, 0);
        Ok(Self { connection, channel, queue, reader, consumers, current, found, seen, last })
    }

    /// Letters that waited in the queue when the look began, all of which it should see.
    #[must_use]
    pub const fn expected(&self) -> u32 {
        self.found.ready
    }

    /// Letters seen so far.
    #[must_use]
    pub const fn seen(&self) -> u32 {
        self.seen
    }

    /// Consumers of the queue besides this look: what they hold is not seen.
    #[must_use]
    pub const fn others(&self) -> u32 {
        self.found.consumers
    }

    /// The next letter in the order of the queue; `None` when all were seen that waited when the look
    /// began, or somebody else has taken the rest.
    ///
    /// # Errors
    ///
    /// [`LookError`]; nothing is held any more then.
    pub async fn next(&mut self) -> Result<Option<Held>, LookError> {
        if self.seen == self.found.ready {
            return Ok(None);
        }
        let (at, brought) = self.current;
        if brought == PREFETCH {
            self.current = (at + 1, 0);
        }
        let Some(consumer) = self.consumers.get_mut(self.current.0) else { return Ok(None) };
        let delivery = match timeout(QUIET, consumer.next()).await {
            Err(_) => return Ok(None),
            Ok(None) => return Err(LookError::Deleted(self.queue.to_string())),
            Ok(Some(Err(error))) => return Err(LookError::Lost(fault(&error))),
            Ok(Some(Ok(delivery))) => delivery,
        };
        self.current.1 += 1;
        self.seen += 1;
        self.last = self.last.max(delivery.delivery_tag);
        Ok(Some(Held {
            tag: Tag(delivery.delivery_tag),
            body: delivery.data,
            properties: delivery.properties,
            reader: Arc::clone(self.reader),
        }))
    }

    /// Ends the reading and keeps the letters: from here on they can be acked, and what dies now stays
    /// in the queue.
    ///
    /// # Errors
    ///
    /// [`LookError`]; nothing is held any more then.
    pub async fn hold(self) -> Result<Holding<'a>, LookError> {
        for consumer in &self.consumers {
            let cancelled =
                self.channel.basic_cancel(consumer.tag(), BasicCancelOptions::default());
            asked(cancelled).await?;
        }
        Ok(Holding::new(self.connection, self.channel, self.queue, self.found, self.last))
    }

    /// Ends the look; returns when the broker has its letters back.
    pub async fn close(self) {
        Holding::new(self.connection, self.channel, self.queue, self.found, self.last)
            .close()
            .await;
    }
}
