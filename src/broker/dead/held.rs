//! One letter that is held.

use std::{fmt, sync::Arc};

use lapin::{
    BasicProperties,
    message::Delivery,
    types::{AMQPValue, FieldTable},
};

use super::{identity::Identity, particulars::Particulars, read::Reader};
use crate::{broker::stream::Charge, domain::StoredLetter};

/// What a property, a header or a value takes in memory besides its text: places in maps, pointers, lengths.
const BESIDES_A_TEXT: usize = 96;

/// Tables in tables are measured down to here. The stream lets nothing deeper through.
const DEEPEST: usize = 32;

/// Where a delivery is held. It means nothing outside the look that it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag {
    /// The channel that it came by, counted from the first one of the look.
    pub(super) channel: usize,
    /// Its tag on that channel.
    pub(super) delivery: u64,
}

/// A letter that is held, as it came.
pub struct Held {
    tag: Tag,
    body: Vec<u8>,
    properties: BasicProperties,
    reader: Arc<Reader>,
    /// As long as it lasts, its bytes are not free for the next letters.
    charge: Option<Charge>,
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").field("tag", &self.tag).finish_non_exhaustive()
    }
}

impl Held {
    /// What was delivered by a channel of the look, for that charge.
    pub(super) fn new(
        channel: usize,
        delivery: Delivery,
        reader: &Arc<Reader>,
        charge: Option<Charge>,
    ) -> Self {
        Self {
            tag: Tag { channel, delivery: delivery.delivery_tag },
            body: delivery.data,
            properties: delivery.properties,
            reader: Arc::clone(reader),
            charge,
        }
    }

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

    /// About the memory that it takes, in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.body.len() + weight_of(&self.properties)
    }

    /// Its charge against the bytes in flight. While it is kept, they count, also if the letter is gone.
    pub const fn take_charge(&mut self) -> Option<Charge> {
        self.charge.take()
    }

    /// Its body and properties, for another queue. They count among the letters in flight no longer.
    pub(super) fn into_parts(self) -> (Vec<u8>, BasicProperties) {
        (self.body, self.properties)
    }
}

/// About the memory that properties take, in bytes.
fn weight_of(properties: &BasicProperties) -> usize {
    let texts = [
        properties.content_type(),
        properties.content_encoding(),
        properties.correlation_id(),
        properties.reply_to(),
        properties.expiration(),
        properties.message_id(),
        properties.kind(),
        properties.user_id(),
        properties.app_id(),
        properties.cluster_id(),
    ];
    let texts = texts.into_iter().flatten().map(|text| BESIDES_A_TEXT + text.as_str().len());
    let headers = properties.headers().as_ref().map_or(0, |headers| weight_of_table(headers, 0));
    size_of::<BasicProperties>() + texts.sum::<usize>() + headers
}

fn weight_of_table(table: &FieldTable, depth: usize) -> usize {
    let entries = table.inner().iter();
    entries.map(|(name, value)| name.as_str().len() + weight_of_value(value, depth)).sum()
}

fn weight_of_value(value: &AMQPValue, depth: usize) -> usize {
    BESIDES_A_TEXT
        + match value {
            AMQPValue::ShortString(text) => text.as_str().len(),
            AMQPValue::LongString(text) => text.as_bytes().len(),
            AMQPValue::ByteArray(bytes) => bytes.as_slice().len(),
            AMQPValue::FieldTable(table) if depth < DEEPEST => weight_of_table(table, depth + 1),
            AMQPValue::FieldArray(values) if depth < DEEPEST => {
                values.as_slice().iter().map(|value| weight_of_value(value, depth + 1)).sum()
            }
            _ => 0,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_a_letter_carries_counts_in_its_size() {
        let plain = weight_of(&BasicProperties::default());
        let long = "x".repeat(10_000);
        let text = || AMQPValue::LongString(long.as_str().into());
        let mut inner = FieldTable::default();
        inner.insert("deep".into(), AMQPValue::FieldArray(vec![text(), text()].into()));
        let mut headers = FieldTable::default();
        headers.insert("text".into(), text());
        headers.insert("table".into(), AMQPValue::FieldTable(inner));
        headers.insert("bytes".into(), AMQPValue::ByteArray(long.as_bytes().into()));
        let properties = BasicProperties::default()
            .with_message_id("x".repeat(200).into())
            .with_headers(headers);
        let more = weight_of(&properties) - plain;
        assert!((40_200..42_000).contains(&more), "{more}");
    }
}
