//! The invariants of every message's properties, for property tests and for `fuzz/`.

use std::{fmt::Debug, sync::LazyLock};

use lapin::protocol::basic::parse_properties;

use super::*;
use crate::domain::{Fingerprint, Reason};

/// The most bytes of our own headers, besides the copied ones.
const MAX_OWN_BYTES: usize = 1024;

/// The prefix of our own headers.
const OURS: &str = "x-revoker-";

/// The delays of the retry queues in these invariants.
const STAYS: [Duration; 2] = [Duration::from_secs(10), Duration::from_secs(60)];

/// The body of every message of these invariants.
const BODY: &[u8] = br#"{"refresh_token":"token"}"#;

/// The keys of a worker with history keys. The author of a forged message does not know them.
static KEYS: LazyLock<HistoryKeys> =
    LazyLock::new(|| match HistoryKeys::from_text(b"a-key-that-nobody-else-can-know-1234567890") {
        Ok(keys) => keys,
        Err(fault) => unreachable!("{fault}"),
    });

/// The time of day in these invariants, in Unix seconds.
const NOW: u64 = 1_700_000_000;

/// Reads properties in wire format. The first byte selects the lane, whether the worker has keys, and whether the
/// broker reports a stay in one of our retry queues.
///
/// # Panics
///
/// If an invariant is violated.
pub fn hold(bytes: &[u8]) {
    let Some((circumstances, wire)) = bytes.split_first() else { return };
    let Ok((_, properties)) = parse_properties(wire) else { return };
    let lane = Lane::ALL[usize::from(circumstances & 1)];
    let queues = Queues::new("q", &STAYS);
    let properties = match queues.retry(lane, STAYS[0]) {
        Some(queue) if circumstances & 2 != 0 => out_of(queue, &properties),
        _ => properties,
    };
    let none = HistoryKeys::none();
    hold_of(&properties, lane, &queues, if circumstances & 4 == 0 { &none } else { &KEYS });
}

/// Reads properties, copies them to another queue, and reads them again.
///
/// # Panics
///
/// If an invariant is violated.
pub fn hold_of(properties: &BasicProperties, lane: Lane, queues: &Queues, keys: &HistoryKeys) {
    let read = |properties: &BasicProperties, lane, body: &[u8]| {
        read(Received { properties, body, lane, redelivered: true }, queues, keys, now())
    };
    let metadata = read(properties, lane, BODY);
    hold_of_metadata(&metadata, properties, queues, keys);

    let mut history = metadata.history;
    history.stays += 1;
    let parked = of_parked(properties, BODY, lane, &history, queues, keys);
    hold_of_copy(&parked, properties);
    let Some(queue) = queues.retry(lane, STAYS[0]) else { unreachable!("there are retry queues") };
    let back = out_of(queue, &parked);
    let expected = History { stays: history.stays.min(MAX_COUNT), ..history };
    assert_eq!(read(&back, lane, BODY).history, expected);
    if keys.are_given() {
        // The MAC proves the history, for this job in this lane only.
        assert_eq!(read(&parked, lane, BODY).history, expected);
        let other_lane = Lane::ALL[usize::from(lane == Lane::ALL[0])];
        assert_eq!(read(&back, other_lane, BODY).history, History::default());
        assert_eq!(read(&back, lane, b"another body").history, History::default());
    }

    let letter = DeadLetter {
        reason: Reason::Rejected,
        detail: "the endpoint answered 01".to_owned(),
        code: Some("01".to_owned()),
        http_status: Some(200),
        fingerprint: Some(Fingerprint::of("token")),
        dead_at: now(),
    };
    let dead = of_dead_letter(properties, BODY, lane, &letter, &history, queues, keys);
    hold_of_copy(&dead, properties);
    // The next reader does not trust the history, apart from the ambiguity of a replayed job. A second copy loses
    // nothing.
    let known = History { ambiguity: history.ambiguity, ..History::default() };
    let was_replayed = Headers(dead.headers().as_ref()).is_replayed();
    let expected = if was_replayed { known } else { History::default() };
    assert_eq!(read(&dead, lane, BODY).history, expected);
    let replayed = of_replayed(&dead);
    hold_of_copy(&replayed, properties);
    for lane in Lane::ALL {
        assert_eq!(read(&replayed, lane, BODY).history, known);
    }
    if keys.are_given() {
        assert_eq!(read(&replayed, lane, b"another body").history, History::default());
        // An ambiguity that nobody signed is worth nothing.
        assert_eq!(read(&of_replayed(properties), lane, BODY).history, History::default());
    }
    let again = of_parked(&dead, BODY, lane, &history, queues, keys);
    assert_eq!(shown(&strangers(&again)), shown(&strangers(&dead)));
}

/// The debug text, for comparisons: a NaN does not equal itself.
fn shown(value: &impl Debug) -> String {
    format!("{value:?}")
}

/// The read metadata is within bounds, and forged headers are ignored.
fn hold_of_metadata(
    metadata: &MessageMetadata,
    properties: &BasicProperties,
    queues: &Queues,
    keys: &HistoryKeys,
) {
    let headers = Headers(properties.headers().as_ref());
    let came_out = headers.text("x-first-death-queue").is_some_and(|queue| queues.is_retry(queue));
    // With keys, the claimed origin does not count.
    let ours = came_out && !keys.are_given();
    let history = metadata.history;
    let replayed = headers.is_replayed() && !keys.are_given();
    let ambiguity = history.ambiguity.filter(|_| replayed);
    let of_stranger = History { ambiguity, ..History::default() };
    assert!(ours || history == of_stranger, "a stranger is believed: {history:?}");
    assert!(history.attempts <= MAX_COUNT && history.stays <= MAX_COUNT);
    assert_eq!(ours, history.stays > 0);
    assert!(history.first_failed_at.is_none_or(|first| first <= now()));
    if let Some(trace) = &metadata.trace {
        // The ids of a later version are read, and written as the supported version.
        let ids =
            |value: &str| value.split('-').skip(1).take(2).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(headers.text("traceparent").map(ids), Some(ids(trace.traceparent())));
        assert!(trace.traceparent().bytes().all(|b| b == b'-' || b.is_ascii_hexdigit()));
    }
}

/// A copy has no harmful property and fits into a frame.
fn hold_of_copy(copy: &BasicProperties, original: &BasicProperties) {
    assert_eq!(copy.content_type(), original.content_type());
    assert_eq!(copy.content_encoding(), original.content_encoding());
    assert_eq!(copy.message_id(), original.message_id());
    assert_eq!(copy.correlation_id(), original.correlation_id());
    assert_eq!(copy.timestamp(), original.timestamp());
    assert_eq!(copy.kind(), original.kind());
    assert_eq!(copy.app_id(), original.app_id());
    assert_eq!(*copy.delivery_mode(), Some(PERSISTENT));
    assert!(copy.expiration().is_none() && copy.user_id().is_none() && copy.reply_to().is_none());
    assert!(copy.priority().is_none() && copy.cluster_id().is_none());
    let strangers = strangers(copy);
    for (name, value) in &strangers {
        assert!(is_copied(name.as_str()), "{name} is_copied");
        let theirs = original.headers().as_ref().and_then(|headers| headers.inner().get(name));
        assert_eq!(shown(&theirs), shown(&Some(value)), "{name} was changed");
    }
    let all = copy.headers().clone().unwrap_or_default();
    let bytes: usize = all.inner().iter().map(|(name, value)| size(name, value)).sum();
    assert!(bytes <= MAX_COPIED_BYTES + MAX_OWN_BYTES, "{bytes} bytes of headers");
}

/// The producer's headers.
fn strangers(properties: &BasicProperties) -> Vec<(ShortString, AMQPValue)> {
    let headers = properties.headers().clone().unwrap_or_default();
    let strangers = headers.inner().iter().filter(|(name, _)| !name.as_str().starts_with(OURS));
    strangers.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Returns a message as the broker delivers it after its stay in `queue`.
#[must_use]
pub fn out_of(queue: &ShortString, parked: &BasicProperties) -> BasicProperties {
    let mut headers = parked.headers().clone().unwrap_or_default();
    headers.insert("x-first-death-queue".into(), text(queue.as_str()));
    parked.clone().with_headers(headers)
}

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(NOW)
}
