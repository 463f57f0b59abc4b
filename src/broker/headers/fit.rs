//! Fits a message's properties into one frame: the broker closes the connection over a larger content header.

use std::borrow::Cow;

use lapin::{
    BasicProperties,
    protocol::basic::gen_properties,
    types::{AMQPValue, FieldTable},
};

use super::{
    in_order_of_worth, is_copied,
    name::{DETAIL, HEADERS_DROPPED},
    octets, size, text,
};
use crate::broker::queues::short;

/// The bytes of a frame around its payload: type, channel, size and end.
const FRAME: usize = 8;

/// The bytes of a content header before its properties: class, weight and body size.
const BEFORE_PROPERTIES: usize = 12;

/// The bytes reserved for the broker's additions after the delay in a retry queue: `x-death` and related headers with
/// queue names. A message beyond the frame would break every consumer's connection.
const ADDED_BY_THE_BROKER: usize = 1536;

/// Fits properties into a frame of `frame_max` bytes. It leaves out the producer's headers, those of a trace last,
/// and then cuts the detail of a dead letter.
pub(crate) fn fit(properties: Cow<'_, BasicProperties>, frame_max: u32) -> BasicProperties {
    let frame_max = usize::try_from(frame_max).unwrap_or(usize::MAX);
    let most = frame_max.saturating_sub(FRAME + BEFORE_PROPERTIES + ADDED_BY_THE_BROKER);
    let fitting = properties.into_owned();
    // Only headers can be left out. The other properties are at most six short strings.
    if fitting.headers().is_none() {
        return fitting;
    }
    if wire_size(&fitting) <= most {
        return fitting;
    }
    let all = fitting.headers().clone().unwrap_or_default();
    let mut kept: FieldTable = all
        .inner()
        .iter()
        .filter(|(name, _)| !is_copied(name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect::<std::collections::BTreeMap<_, _>>()
        .into();
    if all.inner().keys().any(|name| is_copied(name.as_str())) {
        kept.insert(short(HEADERS_DROPPED), AMQPValue::Boolean(true));
    }
    let least = wire_size(&fitting.clone().with_headers(kept.clone()));
    if let Some(mut room) = most.checked_sub(least) {
        for (name, value) in in_order_of_worth(&all) {
            if let Some(rest) = room.checked_sub(size(name, value)) {
                room = rest;
                kept.insert(name.clone(), value.clone());
            }
        }
    } else {
        cut_detail(&mut kept, least - most);
    }
    fitting.with_headers(kept)
}

/// Cuts up to `excess` bytes off the end of the detail.
fn cut_detail(headers: &mut FieldTable, excess: usize) {
    let Some(AMQPValue::LongString(detail)) = headers.inner().get(DETAIL) else { return };
    let detail = String::from_utf8_lossy(detail.as_bytes()).into_owned();
    let mut end = detail.len().saturating_sub(excess);
    while !detail.is_char_boundary(end) {
        end -= 1;
    }
    headers.insert(short(DETAIL), text(&detail[..end]));
}

/// The size of properties on the wire in bytes.
fn wire_size(properties: &BasicProperties) -> usize {
    octets(gen_properties(properties)(Vec::new().into()))
}

#[cfg(test)]
mod tests {
    use lapin::types::ShortString;
    use proptest::prelude::*;

    use super::*;
    use crate::broker::{
        headers::{
            name::{AMBIGUITY, ATTEMPTS, REASON},
            of_dead_letter,
        },
        history_keys::HistoryKeys,
        queues::Queues,
    };
    use crate::domain::{DeadLetter, Fingerprint, History, Lane, Reason};

    /// The smallest frame size that two peers may negotiate.
    const LEAST: u32 = 4096;

    /// The bytes of the whole frame with the broker's additions, counted independently of `fit`.
    fn frame(properties: &BasicProperties) -> usize {
        let payload = 2 + 2 + 8 + wire_size(properties);
        1 + 2 + 4 + payload + 1 + ADDED_BY_THE_BROKER
    }

    /// Uses the additions of RabbitMQ to a parked job whose queues have the longest possible names.
    #[test]
    fn the_room_that_is_left_is_enough_for_the_deaths_of_a_parked_job() {
        let queue = "q".repeat(255);
        let table = |entries: &[(&str, AMQPValue)]| {
            let entries = entries.iter().map(|(name, value)| (short(name), value.clone()));
            FieldTable::from(entries.collect::<std::collections::BTreeMap<_, _>>())
        };
        let death = table(&[
            ("count", AMQPValue::LongLongInt(1)),
            ("reason", text("expired")),
            ("queue", text(&queue)),
            ("time", AMQPValue::Timestamp(1)),
            ("exchange", text("")),
            ("routing-keys", AMQPValue::FieldArray(vec![text(&queue)].into())),
            ("original-expiration", text("18446744073709551615")),
        ]);
        let added = table(&[
            ("x-death", AMQPValue::FieldArray(vec![AMQPValue::FieldTable(death)].into())),
            ("x-first-death-reason", text("expired")),
            ("x-first-death-queue", text(&queue)),
            ("x-first-death-exchange", text("")),
            ("x-last-death-reason", text("expired")),
            ("x-last-death-queue", text(&queue)),
            ("x-last-death-exchange", text("")),
            ("x-delivery-count", AMQPValue::LongLongInt(1)),
            ("x-acquired-count", AMQPValue::LongLongInt(1)),
        ]);
        let added = wire_size(&BasicProperties::default().with_headers(added));
        assert!(added <= ADDED_BY_THE_BROKER, "{added}");
    }

    fn letter(detail: &str) -> DeadLetter {
        DeadLetter {
            reason: Reason::Rejected,
            detail: detail.to_owned(),
            code: Some("01".to_owned()),
            http_status: Some(200),
            fingerprint: Some(Fingerprint::of("token")),
            dead_at: std::time::SystemTime::UNIX_EPOCH,
        }
    }

    fn dead(original: &BasicProperties, letter: &DeadLetter) -> BasicProperties {
        let (queues, keys) = (Queues::new("q", &[]), HistoryKeys::none());
        of_dead_letter(original, b"{}", Lane::Bulk, letter, &History::default(), &queues, &keys)
    }

    fn original(headers: &[(&str, usize)]) -> BasicProperties {
        let mut table = FieldTable::default();
        for (name, length) in headers {
            table.insert((*name).into(), text(&"x".repeat(*length)));
        }
        BasicProperties::default().with_headers(table)
    }

    fn has(properties: &BasicProperties, name: &str) -> bool {
        properties.headers().as_ref().is_some_and(|headers| headers.inner().contains_key(name))
    }

    #[test]
    fn fitting_properties_stay_unchanged() {
        let properties = dead(&original(&[("a", 9)]), &letter("why"));
        assert_eq!(fit(Cow::Borrowed(&properties), LEAST), properties);
    }

    #[test]
    fn the_producers_headers_go_first_and_those_of_a_trace_last() {
        let headers = [("a", 9), ("b", 2500), ("traceparent", 55), ("c", 9)];
        let properties = dead(&original(&headers), &letter("why"));
        let fitting = fit(Cow::Borrowed(&properties), LEAST);
        assert!(frame(&fitting) <= LEAST as usize);
        for name in ["traceparent", "a", "c", REASON, DETAIL, ATTEMPTS, HEADERS_DROPPED] {
            assert!(has(&fitting, name), "{name}");
        }
        assert!(!has(&fitting, "b") && !has(&fitting, AMBIGUITY));
    }

    #[test]
    fn the_detail_is_cut_where_nothing_else_is_left_to_drop() {
        let long: ShortString = "i".repeat(255).into();
        let properties = dead(&original(&[]), &letter(&"ñ".repeat(4000)))
            .with_message_id(long.clone())
            .with_correlation_id(long);
        let fitting = fit(Cow::Borrowed(&properties), LEAST);
        assert!((LEAST as usize - 1..=LEAST as usize).contains(&frame(&fitting)));
        assert!(has(&fitting, REASON) && !has(&fitting, HEADERS_DROPPED));
    }

    proptest! {
        /// For any producer headers and any frame size, the copy fits and has all of our own headers.
        #[test]
        fn every_dead_letter_fits(
            lengths in proptest::collection::vec(0usize..3000, 0..12),
            detail in 0usize..6000,
            id in 0usize..=255,
            frame_max in LEAST..=16_384,
        ) {
            let names: Vec<String> = (0..lengths.len()).map(|n| format!("h{n}")).collect();
            let headers: Vec<(&str, usize)> =
                names.iter().map(String::as_str).zip(lengths).collect();
            let id: ShortString = "i".repeat(id).into();
            let original = original(&headers).with_message_id(id.clone()).with_type(id);
            let properties = dead(&original, &letter(&"d".repeat(detail)));
            let fitting = fit(Cow::Borrowed(&properties), frame_max);
            prop_assert!(frame(&fitting) <= frame_max as usize);
            for (name, _) in &properties.headers().clone().unwrap_or_default() {
                prop_assert!(is_copied(name.as_str()) || has(&fitting, name.as_str()), "{}", name);
            }
        }
    }
}
