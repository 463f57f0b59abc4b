//! One message that a browse holds.

use std::sync::Arc;

use lapin::{
    BasicProperties,
    message::Delivery,
    types::{AMQPValue, FieldTable},
};

use super::{details::MessageDetails, identity::MessageIdentity, reader::DeadLetterReader};
use crate::{broker::stream::Charge, domain::StoredLetter};

/// Memory of a property, header or value besides its text, in bytes: places in maps, pointers, lengths.
const BESIDES_A_TEXT: usize = 96;

/// Nested tables are measured down to this depth. The stream passes no deeper table.
const DEEPEST: usize = 32;

/// Identifies a message within its browse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MessageTag {
    pub(super) channel: usize,
    /// Its delivery tag on that channel.
    pub(super) delivery: u64,
}

/// A message that a browse holds, as it was delivered. It contains a live token, so it has no `Debug`.
pub struct BrowsedMessage {
    tag: MessageTag,
    body: Vec<u8>,
    properties: BasicProperties,
    reader: Arc<DeadLetterReader>,
    /// Counts its bytes among those in flight until it is dropped.
    charge: Option<Charge>,
}

impl BrowsedMessage {
    pub(super) fn new(
        channel: usize,
        delivery: Delivery,
        reader: &Arc<DeadLetterReader>,
        charge: Charge,
    ) -> Self {
        Self {
            tag: MessageTag { channel, delivery: delivery.delivery_tag },
            body: delivery.data,
            properties: delivery.properties,
            reader: Arc::clone(reader),
            charge: Some(charge),
        }
    }

    /// Its place in the browse, for the ack.
    pub(super) const fn tag(&self) -> MessageTag {
        self.tag
    }

    /// Why the job is a dead letter, and its details from headers and body.
    pub fn letter(&self) -> StoredLetter {
        self.reader.read(&self.properties, &self.body)
    }

    /// Its properties, foreign headers, deaths and job fields, redacted.
    pub fn details(&self) -> MessageDetails {
        self.reader.details(&self.properties, &self.body)
    }

    /// A digest that identifies this message in every browse.
    pub fn identity(&self) -> MessageIdentity {
        MessageIdentity::of(&self.properties, &self.body)
    }

    /// Its body, byte for byte. It contains a live token.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    pub(super) fn size(&self) -> usize {
        self.body.len() + weight_of(&self.properties)
    }

    /// Its charge against the bytes in flight. They count as long as the charge is kept.
    pub(super) const fn take_charge(&mut self) -> Option<Charge> {
        self.charge.take()
    }

    /// Its body and properties. Its bytes no longer count among those in flight.
    pub(super) fn into_parts(self) -> (Vec<u8>, BasicProperties) {
        (self.body, self.properties)
    }
}

/// The properties that are texts, by name.
pub(super) fn texts_of(properties: &BasicProperties) -> impl Iterator<Item = (&'static str, &str)> {
    let texts = [
        ("content_type", properties.content_type()),
        ("content_encoding", properties.content_encoding()),
        ("message_id", properties.message_id()),
        ("correlation_id", properties.correlation_id()),
        ("reply_to", properties.reply_to()),
        ("expiration", properties.expiration()),
        ("type", properties.kind()),
        ("user_id", properties.user_id()),
        ("app_id", properties.app_id()),
        ("cluster_id", properties.cluster_id()),
    ];
    texts.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?.as_str())))
}

/// An estimate of the memory of properties, in bytes.
fn weight_of(properties: &BasicProperties) -> usize {
    let texts = texts_of(properties).map(|(_, text)| BESIDES_A_TEXT + text.len());
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
    fn all_properties_and_headers_count_in_the_size() {
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
