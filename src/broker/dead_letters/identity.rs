//! The identity of a dead letter.

use lapin::{BasicProperties, types::FieldTable};
use sha2::{Digest, Sha256};

use crate::broker::headers::DELIVERY_COUNTS;

/// Bytes of the digest that are kept: enough that no two messages of a queue share them by chance.
const KEPT_BYTES: usize = 16;

/// A digest of a message's body, properties and headers.
///
/// Messages have no id of their own, and their places change as others leave. A message that was replayed and
/// dead-lettered again has another identity, because its headers count the replays. Two messages with the same
/// identity are copies of one job, so either of them can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MessageIdentity([u8; KEPT_BYTES]);

impl MessageIdentity {
    pub(super) fn of(properties: &BasicProperties, body: &[u8]) -> Self {
        let mut digest = Sha256::new();
        digest.update(body.len().to_be_bytes());
        digest.update(body);
        // The broker adds headers to a message that had none, so missing and empty headers count as the same.
        let headers = properties.headers().iter().flat_map(FieldTable::inner);
        let kept = headers.filter(|(name, _)| !DELIVERY_COUNTS.contains(&name.as_str()));
        let kept: std::collections::BTreeMap<_, _> =
            kept.map(|(name, value)| (name.clone(), value.clone())).collect();
        let written = properties.clone().with_headers(kept.into());
        // Cannot fail: the keys are texts, and a digest accepts every write.
        let _ = serde_json::to_writer(&mut digest, &written);
        let mut kept = [0; KEPT_BYTES];
        kept.copy_from_slice(&digest.finalize()[..KEPT_BYTES]);
        Self(kept)
    }

    /// An identity of no message, for tests of commands.
    #[cfg(test)]
    pub const fn for_tests(n: u8) -> Self {
        Self([n; KEPT_BYTES])
    }
}

#[cfg(test)]
mod tests {
    use lapin::types::AMQPValue;

    use super::*;

    fn with(headers: &[(&str, AMQPValue)]) -> BasicProperties {
        let mut table = FieldTable::default();
        for (name, value) in headers {
            table.insert((*name).into(), value.clone());
        }
        BasicProperties::default().with_headers(table)
    }

    #[test]
    fn the_identity_is_the_same_for_every_delivery() {
        let first = with(&[("kept", AMQPValue::LongInt(1))]);
        let again = with(&[
            ("kept", AMQPValue::LongInt(1)),
            ("x-delivery-count", AMQPValue::LongLongInt(7)),
        ]);
        assert_eq!(MessageIdentity::of(&first, b"body"), MessageIdentity::of(&again, b"body"));
        let bare = BasicProperties::default();
        let counted = with(&[("x-delivery-count", AMQPValue::LongLongInt(1))]);
        assert_eq!(MessageIdentity::of(&bare, b"body"), MessageIdentity::of(&counted, b"body"));
    }

    #[test]
    fn letters_that_differ_have_different_identities() {
        let text = |text: &str| AMQPValue::LongString(text.into());
        let letters = [
            (with(&[]), "body"),
            (with(&[]), "bodY"),
            (with(&[]).with_message_id("id".into()), "body"),
            (with(&[]).with_timestamp(7), "body"),
            (with(&[("x-revoker-replays", AMQPValue::LongInt(1))]), "body"),
            (with(&[("x-revoker-replays", AMQPValue::LongInt(2))]), "body"),
            (with(&[("a", text("b"))]), "body"),
            (with(&[("a", AMQPValue::LongString(vec![0xff].into()))]), "body"),
            (with(&[("a", AMQPValue::LongString(vec![0xfe].into()))]), "body"),
        ];
        let identities: std::collections::BTreeSet<_> = letters
            .iter()
            .map(|(properties, body)| MessageIdentity::of(properties, body.as_bytes()))
            .collect();
        assert_eq!(identities.len(), letters.len());
    }
}
