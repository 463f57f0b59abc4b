use std::time::{Duration, SystemTime};

use lapin::BasicProperties;
use proptest::{prelude::*, sample::select};

use super::*;
use crate::{
    broker::{headers::of_parked, queues::short},
    domain::{Ambiguity, History, Lane, ResultLabel},
};

const BODY: &[u8] = br#"{"refresh_token":"abc"}"#;
const OLD: &str = "an-old-key-of-thirty-two-letters";
const NEW: &str = "a-new-key-of-thirty-two-letters-";

/// The MAC of [`history`] by the old key.
const KNOWN: &str = "v2:d868395df04928f49515641dde6fe69675b2a08488de9ddd44cf328b485ff3ea";

fn queues(base: &str) -> Queues {
    Queues::new(base, &[Duration::from_secs(10)])
}

fn keys(text: &str) -> HistoryKeys {
    HistoryKeys::from_text(text.as_bytes()).unwrap()
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

fn history() -> History {
    History {
        attempts: 3,
        stays: 2,
        first_failed_at: Some(at(1_700_000_000)),
        last_error: Some(ResultLabel::Timeout),
        ambiguity: Some(Ambiguity::Attempt),
        ..History::default()
    }
}

/// The history of a job that was paused.
fn paused() -> History {
    let parked_at = Some(at(1_700_000_100));
    History { paused: Duration::from_millis(12_345), parked_at, ..history() }
}

fn producer() -> BasicProperties {
    BasicProperties::default().with_message_id("job-1".into()).with_timestamp(1_690_000_000)
}

fn parked(history: History, keys: &HistoryKeys) -> BasicProperties {
    of_parked(&producer(), BODY, Lane::Bulk, &history, &queues("q"), keys)
}

fn with(parked: &BasicProperties, name: &str, value: Option<AMQPValue>) -> BasicProperties {
    let mut headers = parked.headers().clone().unwrap_or_default().inner().clone();
    headers.remove(name);
    headers.extend(value.map(|value| (short(name), value)));
    parked.clone().with_headers(headers.into())
}

/// A worker of the queues `q` that has these keys, and a delivery in its bulk lane.
fn is_believed(properties: &BasicProperties, keys: &HistoryKeys) -> bool {
    let received = Received { properties, body: BODY, lane: Lane::Bulk, redelivered: false };
    is_right(received, &queues("q"), keys)
}

#[test]
fn the_mac_is_hmac_sha256_over_this_text() {
    // This MAC was computed with Python's hmac and hashlib, so that all versions agree.
    let properties = parked(history(), &keys(OLD));
    let mac = Headers(properties.headers().as_ref()).text(MAC);
    assert_eq!(mac, Some(KNOWN));
}

#[test]
fn a_history_is_believed_from_a_worker_that_shares_a_key() {
    let both = keys(&format!("{NEW}\n{OLD}\n"));
    for (signs, verifies, expected) in [
        (&keys(OLD), &keys(OLD), true),
        (&keys(OLD), &both, true),
        (&both, &keys(NEW), true),
        (&both, &both, true),
        (&both, &keys(OLD), false),
        (&keys(NEW), &keys(OLD), false),
        (&HistoryKeys::none(), &keys(OLD), false),
        (&keys(OLD), &HistoryKeys::none(), false),
    ] {
        let parked = parked(history(), signs);
        assert_eq!(is_believed(&parked, verifies), expected, "{signs:?}, {verifies:?}");
    }
}

#[test]
fn nothing_of_a_history_can_be_changed_or_moved() {
    let keys = keys(OLD);
    let parked = parked(paused(), &keys);
    assert!(is_believed(&parked, &keys));
    // The broker's headers and the producer's are no part of the history.
    let harmless = with(&parked, "x-first-death-queue", Some(text("q.retry.bulk.10s")));
    assert!(is_believed(&with(&harmless, "tenant", Some(text("acme"))), &keys));

    for (name, value) in [
        (ATTEMPTS, AMQPValue::LongInt(4)),
        (PARKED, AMQPValue::LongInt(1)),
        (FIRST_FAILED_AT, AMQPValue::Timestamp(1_600_000_000)),
        (LAST_ERROR, text("reset")),
        (PAUSED_MS, AMQPValue::LongLongInt(12_346)),
        (PARKED_AT, AMQPValue::Timestamp(1_700_000_101)),
        (AMBIGUOUS, AMQPValue::Boolean(false)),
        (AMBIGUITY, text("redelivered")),
        (LANE, text("interactive")),
        (MAC, text("v2:00")),
        (MAC, text("v1:5761e290b0a91cb82897043b5d51f2923f6daa44238e4abbb1c1a39f3331b2bf")),
        (MAC, AMQPValue::Boolean(true)),
    ] {
        assert!(!is_believed(&with(&parked, name, None), &keys), "without {name}");
        assert!(!is_believed(&with(&parked, name, Some(value)), &keys), "another {name}");
    }
    let other_id = parked.clone().with_message_id("job-2".into());
    let no_id =
        BasicProperties::default().with_headers(parked.headers().clone().unwrap_or_default());
    for other in [other_id, no_id] {
        assert!(!is_believed(&other, &keys), "{other:?}");
    }
    let moved = Received { properties: &parked, body: BODY, lane: Lane::Bulk, redelivered: false };
    for moved in [
        Received { body: br#"{"refresh_token":"abd"}"#, ..moved },
        Received { lane: Lane::Interactive, ..moved },
    ] {
        assert!(!is_right(moved, &queues("q"), &keys), "{moved:?}");
    }
    assert!(!is_right(moved, &queues("p"), &keys), "another family of queues");
}

/// The history of a job that an older version parked is accepted. A forged pause invalidates it.
#[test]
fn a_history_without_pauses_has_the_mac_of_older_versions_and_takes_no_pause() {
    let keys = keys(OLD);
    let parked = parked(history(), &keys);
    assert_eq!(Headers(parked.headers().as_ref()).text(MAC), Some(KNOWN));
    for (name, value) in [
        (PAUSED_MS, AMQPValue::LongLongInt(1)),
        (PAUSED_MS, AMQPValue::LongLongInt(0)),
        (PARKED_AT, AMQPValue::Timestamp(1_700_000_100)),
    ] {
        assert!(!is_believed(&with(&parked, name, Some(value)), &keys), "{name}");
    }
}

/// RabbitMQ does so with `message_interceptors.incoming.set_header_timestamp.overwrite`.
#[test]
fn a_history_is_believed_though_the_broker_has_set_the_timestamp() {
    let keys = keys(OLD);
    let parked = parked(history(), &keys);
    assert!(is_believed(&parked.with_timestamp(1_690_000_001), &keys));
}

#[test]
fn a_body_that_is_never_parked_is_not_digested_for_a_stranger() {
    let keys = keys(OLD);
    let body = vec![b'x'; MAX_BODY_BYTES + 1];
    let properties = of_parked(&producer(), &body, Lane::Bulk, &history(), &queues("q"), &keys);
    let received =
        Received { properties: &properties, body: &body, lane: Lane::Bulk, redelivered: false };
    assert!(!is_right(received, &queues("q"), &keys));
}

proptest! {
    /// Different messages yield different texts, even if parts move between neighbouring fields.
    #[test]
    fn parts_keep_their_boundaries(
        error in "[a-z]{0,6}", ambiguity in "[a-z]{0,6}", shift in 0usize..6, name in select(vec![LAST_ERROR, AMBIGUITY]),
    ) {
        let keys = keys(OLD);
        let parked = parked(history(), &keys);
        let write = |error: &str, ambiguity: &str| {
            let parked = with(&parked, LAST_ERROR, Some(text(error)));
            with(&parked, AMBIGUITY, Some(text(ambiguity)))
        };
        let signed = write(&error, &ambiguity);
        let received = Received { properties: &signed, body: BODY, lane: Lane::Bulk, redelivered: false };
        let mac = of(received, &queues("q"), &keys).unwrap();
        let sealed = |properties: &BasicProperties| with(properties, MAC, Some(text(&mac)));
        prop_assert!(is_believed(&sealed(&signed), &keys));
        let (head, tail) = error.split_at(shift.min(error.len()));
        let moved = write(head, &format!("{tail}{ambiguity}"));
        prop_assert_eq!(is_believed(&sealed(&moved), &keys), tail.is_empty());
        prop_assert!(!is_believed(&with(&sealed(&signed), name, None), &keys), "absent is not empty");
    }
}
