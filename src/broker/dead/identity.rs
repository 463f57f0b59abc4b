//! What tells one dead letter from another.

use lapin::{BasicProperties, types::FieldTable};
use sha2::{Digest, Sha256};

/// The broker counts its deliveries of a message in these headers.
const COUNTED_BY_THE_BROKER: [&str; 2] = ["x-delivery-count", "x-acquired-count"];

/// Bytes of the digest that are kept: no two letters of any queue share them by chance.
const KEPT_BYTES: usize = 16;

/// A digest over everything that a letter is: its body, its properties, its headers.
///
/// Letters have no id of their own, and their places change as others leave. A letter that was replayed
/// and died again is another one: the count of its replays is among its headers. Two letters that are
/// the same in everything are the same job twice, and it does not matter which of them is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity([u8; KEPT_BYTES]);

impl Identity {
    /// The identity of a letter.
    #[must_use]
    pub fn of(properties: &BasicProperties, body: &[u8]) -> Self {
        let mut digest = Sha256::new();
        digest.update(body.len().to_be_bytes());
        digest.update(body);
        // A letter without headers gets some from the broker: none at all is as good as none of its own.
        let headers = properties.headers().iter().flat_map(FieldTable::inner);
        let kept = headers.filter(|(name, _)| !COUNTED_BY_THE_BROKER.contains(&name.as_str()));
        let kept: std::collections::BTreeMap<_, _> =
            kept.map(|(name, value)| (name.clone(), value.clone())).collect();
        let written = properties.clone().with_headers(kept.into());
        // Neither a map with text for keys nor a digest can refuse what is written.
        let _ = serde_json::to_writer(&mut digest, &written);
        let mut kept = [0; KEPT_BYTES];
        kept.copy_from_slice(&digest.finalize()[..KEPT_BYTES]);
        Self(kept)
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
    fn a_letter_stays_itself_from_delivery_to_delivery() {
        let first = with(&[("kept", AMQPValue::LongInt(1))]);
        let again = with(&[
            ("kept", AMQPValue::LongInt(1)),
            ("x-delivery-count", AMQPValue::LongLongInt(7)),
        ]);
        assert_eq!(Identity::of(&first, b"body"), Identity::of(&again, b"body"));
        let bare = BasicProperties::default();
        let counted = with(&[("x-delivery-count", AMQPValue::LongLongInt(1))]);
        assert_eq!(Identity::of(&bare, b"body"), Identity::of(&counted, b"body"));
    }

    #[test]
    fn letters_that_differ_in_anything_are_different() {
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
            .map(|(properties, body)| Identity::of(properties, body.as_bytes()))
            .collect();
        assert_eq!(identities.len(), letters.len());
    }
}
