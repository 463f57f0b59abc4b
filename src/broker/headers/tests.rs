use proptest::prelude::*;

use super::*;
use crate::domain::{Fingerprint, Reason, ResultLabel};

const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";
const BODY: &[u8] = br#"{"refresh_token":"abc"}"#;

fn queues() -> Queues {
    Queues::new("q", &[Duration::from_secs(10)])
}

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}

fn with(headers: &[(&str, AMQPValue)]) -> BasicProperties {
    let mut table = FieldTable::default();
    for (name, value) in headers {
        table.insert((*name).into(), value.clone());
    }
    BasicProperties::default().with_headers(table)
}

fn history() -> History {
    History {
        attempts: 3,
        stays: 2,
        first_failed_at: Some(now() - Duration::from_secs(60)),
        last_error: Some(ResultLabel::Timeout),
        ambiguity: Some(Ambiguity::Attempt),
        paused: Duration::from_millis(12_345),
        parked_at: Some(now() - Duration::from_secs(10)),
        verified: false,
    }
}

/// The properties that a worker without keys gives a parked job.
fn parked(original: &BasicProperties, lane: Lane, history: &History) -> BasicProperties {
    of_parked(original, BODY, lane, history, &queues(), &HistoryKeys::none())
}

/// The history that a worker without keys accepts.
fn believed(properties: &BasicProperties) -> History {
    let received = Received { properties, body: BODY, lane: Lane::Bulk, redelivered: false };
    read(received, &queues(), &HistoryKeys::none(), now()).history
}

/// The properties that a worker gives a dead letter of the bulk lane.
fn dead(original: &BasicProperties, reason: Reason, keys: &HistoryKeys) -> BasicProperties {
    let letter = DeadLetter {
        reason,
        detail: "the endpoint answered 01".to_owned(),
        code: Some("01".to_owned()),
        http_status: Some(200),
        fingerprint: Some(Fingerprint::of("abc")),
        dead_at: now(),
    };
    of_dead_letter(original, BODY, Lane::Bulk, &letter, &history(), &queues(), keys)
}

fn keys() -> HistoryKeys {
    HistoryKeys::from_text(KEY).unwrap()
}

/// The properties after the broker has dead-lettered the job from a retry queue.
fn out_of(queue: &str, parked: &BasicProperties) -> BasicProperties {
    invariants::out_of(&short(queue), parked)
}

fn names(properties: &BasicProperties) -> Vec<String> {
    let headers = properties.headers().clone().unwrap_or_default();
    headers.into_iter().map(|(name, _)| name.to_string()).collect()
}

#[test]
fn a_parked_jobs_history_survives_its_stay() {
    let parked = parked(&BasicProperties::default(), Lane::Bulk, &history());
    let back = out_of("q.retry.bulk.10s", &parked);
    assert_eq!(believed(&back), history());
}

/// An older version set no pause. A producer may forge an absurd one.
#[test]
fn a_missing_or_invalid_pause_counts_as_none() {
    let parked = parked(&BasicProperties::default(), Lane::Bulk, &history());
    let back = out_of("q.retry.bulk.10s", &parked);
    let told = |value: Option<AMQPValue>| {
        let mut headers = back.headers().clone().unwrap().inner().clone();
        headers.remove(PAUSED_MS);
        headers.remove(PARKED_AT);
        headers.extend(value.map(|value| (short(PAUSED_MS), value)));
        believed(&back.clone().with_headers(headers.into()))
    };
    for value in [None, Some(AMQPValue::LongLongInt(-1)), Some(text("9")), Some(AMQPValue::Void)] {
        let none = History { paused: Duration::ZERO, parked_at: None, ..history() };
        assert_eq!(told(value.clone()), none, "{value:?}");
    }
    assert_eq!(told(Some(AMQPValue::LongInt(7))).paused, Duration::from_millis(7));
}

#[test]
fn a_strangers_headers_are_not_believed() {
    let parked = parked(&BasicProperties::default(), Lane::Bulk, &history());
    for properties in [parked.clone(), out_of("other.retry.bulk.10s", &parked)] {
        assert_eq!(believed(&properties), History::default());
    }
}

#[test]
fn an_accepted_history_is_clamped() {
    let wild = with(&[
        ("x-first-death-queue", text("q.retry.bulk.10s")),
        (ATTEMPTS, AMQPValue::LongLongInt(i64::MAX)),
        (PARKED, AMQPValue::LongLongInt(-5)),
        (FIRST_FAILED_AT, AMQPValue::Timestamp(9_999_999_999)),
        (LAST_ERROR, text("nonsense")),
        (PAUSED_MS, AMQPValue::LongLongInt(i64::MAX)),
        (PARKED_AT, AMQPValue::Timestamp(9_999_999_999)),
        (AMBIGUITY, AMQPValue::Boolean(true)),
    ]);
    assert_eq!(
        believed(&wild),
        History {
            attempts: MAX_COUNT,
            stays: 1,
            first_failed_at: Some(now()),
            last_error: None,
            ambiguity: None,
            paused: History::MOST_PAUSED,
            parked_at: Some(now()),
            verified: false,
        }
    );
}

/// Producers use seconds, as AMQP demands, or a finer unit, or set no timestamp.
#[test]
fn a_timestamp_is_read_in_its_own_unit_and_travels_as_it_is() {
    let seconds = Duration::from_secs(1_700_000_000);
    for (sent, expected) in [
        (1_700_000_000, Some(seconds)),
        (1_700_000_000_250, Some(seconds + Duration::from_millis(250))),
        (1_700_000_000_000_001, Some(seconds + Duration::from_micros(1))),
        (0, None),
        (7, None),
    ] {
        let properties = BasicProperties::default().with_timestamp(sent);
        let metadata = metadata(&properties, Lane::Bulk, false);
        let expected = expected.map(|since_epoch| SystemTime::UNIX_EPOCH + since_epoch);
        assert_eq!(metadata.published_at, expected, "{sent}");
        let parked = parked(&properties, Lane::Bulk, &history());
        assert_eq!(parked.timestamp(), &Some(sent));
    }
}

#[test]
fn only_harmless_properties_travel() {
    let original = with(&[("tenant", text("acme"))])
        .with_content_type("application/json".into())
        .with_content_encoding("utf-8".into())
        .with_message_id("id-1".into())
        .with_correlation_id("c-1".into())
        .with_timestamp(7)
        .with_type("logout".into())
        .with_app_id("app".into())
        .with_expiration("100".into())
        .with_user_id("someone".into())
        .with_reply_to("lane".into())
        .with_cluster_id("c".into())
        .with_priority(9);
    let expected = BasicProperties::default()
        .with_content_type("application/json".into())
        .with_content_encoding("utf-8".into())
        .with_message_id("id-1".into())
        .with_correlation_id("c-1".into())
        .with_timestamp(7)
        .with_type("logout".into())
        .with_app_id("app".into())
        .with_delivery_mode(PERSISTENT);
    let copy = parked(&original, Lane::Interactive, &history());
    assert!(names(&copy).contains(&"tenant".to_owned()));
    assert_eq!(
        copy.with_headers(FieldTable::default()),
        expected.with_headers(FieldTable::default())
    );
}

#[test]
fn harmful_headers_stay_behind() {
    let original = with(&[
        ("CC", text("q")),
        ("bcc", text("q")),
        ("x-death", AMQPValue::FieldArray(Vec::new().into())),
        ("x-first-death-queue", text("q")),
        ("x-last-death-reason", text("expired")),
        ("x-delivery-count", AMQPValue::LongLongInt(3)),
        ("X-Revoker-Reason", text("forged")),
        ("x-revoker-attempts", AMQPValue::LongInt(99)),
        ("kept", text("yes")),
    ]);
    let parked = parked(&original, Lane::Interactive, &history());
    assert_eq!(
        names(&parked),
        [
            "kept",
            AMBIGUITY,
            AMBIGUOUS,
            ATTEMPTS,
            FIRST_FAILED_AT,
            LANE,
            LAST_ERROR,
            PARKED,
            PARKED_AT,
            PAUSED_MS
        ]
    );
    assert_eq!(Headers(parked.headers().as_ref()).count(ATTEMPTS), Some(3), "ours");
}

#[test]
fn a_count_of_replays_is_kept_within_bounds() {
    let original = with(&[(REPLAYS, AMQPValue::LongLongInt(i64::MAX))]);
    let parked = parked(&original, Lane::Bulk, &history());
    assert_eq!(Headers(parked.headers().as_ref()).count(REPLAYS), Some(MAX_COUNT));
}

#[test]
fn a_replayed_job_starts_afresh_and_counts_its_replays() {
    let original = with(&[("tenant", text("acme")), (REPLAYS, AMQPValue::LongInt(2))])
        .with_message_id("id-1".into())
        .with_timestamp(7);
    let dead =
        dead(&original, Reason::Exhausted, &HistoryKeys::none()).with_expiration("100".into());
    let back = of_replayed(&dead);
    assert_eq!(names(&back), ["tenant", AMBIGUITY, AMBIGUOUS, REPLAYS]);
    assert_eq!(Headers(back.headers().as_ref()).count(REPLAYS), Some(3));
    assert_eq!(back.message_id().as_ref().map(ShortString::as_str), Some("id-1"));
    assert_eq!((back.timestamp(), back.delivery_mode()), (&Some(7), &Some(PERSISTENT)));
    assert_eq!(back.expiration(), &None);
    let known = History { ambiguity: Some(Ambiguity::Attempt), ..History::default() };
    assert_eq!(believed(&back), known);
    let again = of_replayed(&with(&[(REPLAYS, AMQPValue::LongLongInt(i64::MAX))]));
    assert_eq!(Headers(again.headers().as_ref()).count(REPLAYS), Some(MAX_COUNT));
}

/// With keys, a replayed job keeps the ambiguity that a worker signed, in any lane. Nobody else can add or change one.
#[test]
fn a_replayed_job_keeps_only_a_signed_ambiguity_where_workers_have_keys() {
    let original = BasicProperties::default().with_message_id("id-1".into());
    let read_by = |properties: &BasicProperties, body: &[u8], base: &str| {
        let queues = Queues::new(base, &[Duration::from_secs(10)]);
        Lane::ALL.map(|lane| {
            let received = Received { properties, body, lane, redelivered: false };
            read(received, &queues, &keys(), now()).history
        })
    };
    let signed = of_replayed(&dead(&original, Reason::Exhausted, &keys()));
    assert_eq!(names(&signed), [AMBIGUITY, AMBIGUOUS, MAC, REPLAYS]);
    let known = History { ambiguity: Some(Ambiguity::Attempt), ..History::default() };
    assert_eq!(read_by(&signed, BODY, "q"), [known; 2]);

    let none = [History::default(); 2];
    assert_eq!(read_by(&signed, br#"{"refresh_token":"abd"}"#, "q"), none, "another job");
    assert_eq!(read_by(&signed, BODY, "p"), none, "another family of queues");
    assert_eq!(read_by(&signed.clone().with_message_id("id-2".into()), BODY, "q"), none);
    let mut changed = signed.headers().clone().unwrap();
    changed.insert(short(AMBIGUITY), text("redelivered"));
    assert_eq!(read_by(&signed.clone().with_headers(changed), BODY, "q"), none);
    // The MACs of a parked job and of a dead letter do not stand for each other.
    let unsigned = dead(&original, Reason::Exhausted, &HistoryKeys::none());
    let parked = of_parked(&original, BODY, Lane::Bulk, &history(), &queues(), &keys());
    for forged in [of_replayed(&unsigned), of_replayed(&parked)] {
        assert_eq!(names(&forged), [AMBIGUITY, AMBIGUOUS, REPLAYS]);
        assert_eq!(read_by(&forged, BODY, "q"), none);
    }
}

#[test]
fn a_dead_letter_without_an_ambiguity_is_not_signed_and_replays_none() {
    let letter = DeadLetter {
        reason: Reason::Rejected,
        detail: String::new(),
        code: None,
        http_status: None,
        fingerprint: None,
        dead_at: now(),
    };
    let (original, history) = (BasicProperties::default(), History::default());
    let dead = of_dead_letter(&original, BODY, Lane::Bulk, &letter, &history, &queues(), &keys());
    assert!(!names(&dead).contains(&MAC.to_owned()));
    assert_eq!(names(&of_replayed(&dead)), [REPLAYS]);
}

#[test]
fn headers_beyond_the_limit_are_left_out_and_the_trace_is_not() {
    let original = with(&[
        ("big", text(&"x".repeat(MAX_COPIED_BYTES))),
        ("small", text("kept")),
        ("traceparent", text("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")),
    ]);
    let copy = names(&parked(&original, Lane::Bulk, &history()));
    assert!(copy.contains(&"small".to_owned()) && copy.contains(&"traceparent".to_owned()));
    assert!(copy.contains(&"x-revoker-headers-dropped".to_owned()));
    assert!(!copy.contains(&"big".to_owned()));
}

#[test]
fn a_dead_letter_says_why() {
    let properties =
        dead(&BasicProperties::default(), Reason::RejectedAfterAmbiguity, &HistoryKeys::none());
    let headers = properties.headers().clone().unwrap();
    let expected: &[(&str, AMQPValue)] = &[
        ("x-revoker-reason", text("rejected_after_ambiguity")),
        ("x-revoker-detail", text("the endpoint answered 01")),
        ("x-revoker-code", text("01")),
        ("x-revoker-http-status", AMQPValue::LongInt(200)),
        ("x-revoker-attempts", AMQPValue::LongInt(3)),
        ("x-revoker-first-failed-at", AMQPValue::Timestamp(1_700_000_000 - 60)),
        ("x-revoker-paused-ms", AMQPValue::LongLongInt(12_345)),
        ("x-revoker-dead-at", AMQPValue::Timestamp(1_700_000_000)),
        ("x-revoker-last-error", text("timeout")),
        ("x-revoker-ambiguous", AMQPValue::Boolean(true)),
        ("x-revoker-ambiguity", text("attempt")),
        ("x-revoker-lane", text("bulk")),
        ("x-revoker-fingerprint", text("ba7816bf8f01")),
    ];
    for (name, value) in expected {
        assert_eq!(headers.inner().get(*name), Some(value), "{name}");
    }
    assert_eq!(headers.inner().len(), expected.len());
}

fn any_value() -> impl Strategy<Value = AMQPValue> {
    prop_oneof![
        Just(AMQPValue::Void),
        any::<bool>().prop_map(AMQPValue::Boolean),
        any::<i64>().prop_map(AMQPValue::LongLongInt),
        any::<u64>().prop_map(AMQPValue::Timestamp),
        any::<Vec<u8>>().prop_map(|bytes| AMQPValue::LongString(bytes.into())),
        "[a-z_]{0,12}".prop_map(|word| text(&word)),
    ]
}

proptest! {
    #[test]
    fn all_headers_keep_to_the_invariants(
        headers in proptest::collection::btree_map(
            prop_oneof!["x-revoker-[a-z-]{1,16}", "x-first-death-queue", ".{0,40}"],
            any_value(), 0..12),
        queue in prop_oneof![Just("q.retry.bulk.10s".to_owned()), ".{0,20}"],
        keyed in any::<bool>(),
    ) {
        let mut table = FieldTable::default();
        for (name, value) in headers {
            table.insert(short(&name), value);
        }
        table.insert("x-first-death-queue".into(), text(&queue));
        let properties = BasicProperties::default().with_headers(table);
        let keys = if keyed { keys() } else { HistoryKeys::none() };
        invariants::hold_of(&properties, Lane::Bulk, &queues(), &keys);
    }
}
