use std::time::Duration;

use lapin::types::ShortString;

use super::*;
use crate::{
    broker::{headers::of_dead_letter, history_keys::HistoryKeys},
    domain,
};

const BODY: &[u8] = br#"{"refresh_token":"abc","client_id":"shop"}"#;

fn reader() -> DeadLetterReader {
    DeadLetterReader {
        queues: Queues::new("q", &[Duration::from_secs(10)]),
        defaults: JobDefaults {
            audience: "a".into(),
            client_id: Some("default".into()),
            ..JobDefaults::default()
        },
    }
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

fn table(entries: &[(&str, AMQPValue)]) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in entries {
        table.insert(ShortString::from(*name), value.clone());
    }
    table
}

fn with(headers: &[(&str, AMQPValue)]) -> BasicProperties {
    BasicProperties::default().with_headers(table(headers))
}

/// One entry of `x-death`, as the broker writes it.
fn entry(reason: &str, queue: &str, time: u64) -> AMQPValue {
    AMQPValue::FieldTable(table(&[
        ("reason", text(reason)),
        ("queue", text(queue)),
        ("time", AMQPValue::Timestamp(time)),
        ("count", AMQPValue::LongLongInt(1)),
    ]))
}

fn x_death(entries: Vec<AMQPValue>) -> (&'static str, AMQPValue) {
    ("x-death", AMQPValue::FieldArray(entries.into()))
}

#[test]
fn headers_of_a_worker_are_read_again() {
    let written = domain::DeadLetter {
        reason: Reason::RejectedAfterAmbiguity,
        detail: "the endpoint answered 01".to_owned(),
        code: Some("01".to_owned()),
        http_status: Some(200),
        fingerprint: Some(Fingerprint::of("abc")),
        dead_at: at(200),
    };
    let history = domain::History {
        attempts: 3,
        stays: 1,
        first_failed_at: Some(at(100)),
        last_error: Some(domain::ResultLabel::Rejected),
        ambiguity: Some(Ambiguity::Attempt),
        ..domain::History::default()
    };
    let original = with(&[("x-revoker-replays", AMQPValue::LongInt(2))])
        .with_message_id("logout-7".into())
        .with_timestamp(1_000_000_050);
    let (queues, keys) = (Queues::new("q", &[]), HistoryKeys::none());
    let dead = of_dead_letter(&original, BODY, Lane::Bulk, &written, &history, &queues, &keys);
    let letter = reader().read(&dead, BODY);
    assert_eq!(letter.id.as_str(), "logout-7");
    let expected = StoredLetter {
        reason: DeadReason::Stated(Reason::RejectedAfterAmbiguity),
        detail: "the endpoint answered 01".to_owned(),
        id: letter.id.clone(),
        fingerprint: Some(Fingerprint::of("abc")),
        is_job: true,
        body_bytes: BODY.len(),
        lane: Some(Lane::Bulk),
        client_id: Some("shop".to_owned()),
        client: Some(Fingerprint::of("shop")),
        code: Some("01".to_owned()),
        http_status: Some(200),
        attempts: Some(3),
        last_error: Some("rejected".to_owned()),
        published_at: Some(at(1_000_000_050)),
        first_failed_at: Some(at(100)),
        dead_at: Some(at(200)),
        ambiguity: Some(Ambiguity::Attempt),
        replays: 2,
        headers_dropped: false,
    };
    assert_eq!(letter, expected);
}

#[test]
fn a_message_that_the_broker_dropped_says_where_and_why() {
    let nothing = "no header says why it is here: a producer may have published it";
    let moved = |from: &str| format!("the broker moved it here out of {from}");
    let lane = |name| ("x-revoker-lane", text(name));
    let cases = [
        // (headers) -> detail, lane, died
        (vec![], nothing.to_owned(), None, None),
        (vec![x_death(vec![])], nothing.to_owned(), None, None),
        (vec![("x-death", text("forged"))], nothing.to_owned(), None, None),
        (
            vec![x_death(vec![entry("expired", "q", 9)])],
            format!("{}: expired", moved("q")),
            Some(Lane::Interactive),
            Some(at(9)),
        ),
        // The job was parked before. A forged header names the other lane.
        (
            vec![
                x_death(vec![
                    entry("delivery_limit", "q.bulk", 9),
                    entry("expired", "q.retry.bulk.10s", 5),
                ]),
                lane("interactive"),
            ],
            format!("{}: delivery_limit", moved("q.bulk")),
            Some(Lane::Bulk),
            Some(at(9)),
        ),
        (
            vec![x_death(vec![entry("expired", "elsewhere", 9)]), lane("bulk")],
            format!("{}: expired", moved("elsewhere")),
            Some(Lane::Bulk),
            Some(at(9)),
        ),
        (
            vec![x_death(vec![AMQPValue::Void, AMQPValue::FieldTable(table(&[]))])],
            format!("{}: no reason given", moved("an unknown queue")),
            None,
            None,
        ),
    ];
    for (headers, detail, lane, dead_at) in cases {
        let letter = reader().read(&with(&headers), BODY);
        assert_eq!(letter.reason, DeadReason::BrokerDropped);
        assert_eq!((letter.detail, letter.lane, letter.dead_at), (detail, lane, dead_at));
        assert_eq!(letter.client_id.as_deref(), Some("shop"));
    }
}

#[test]
fn a_reason_of_another_version_is_shown_as_it_is() {
    let letter = reader().read(
        &with(&[
            ("x-revoker-reason", text("quarantined")),
            ("x-revoker-detail", text("so be it")),
            ("x-revoker-lane", text("express")),
        ]),
        BODY,
    );
    assert_eq!(
        (letter.reason, letter.detail.as_str()),
        (DeadReason::Other, "quarantined: so be it")
    );
    assert_eq!(letter.lane, None);
}

#[test]
fn no_text_of_a_letter_shows_the_token_or_controls_a_terminal() {
    let evil = "red \u{1b}[31m and\nabc";
    let headers = with(&[
        ("x-revoker-reason", text(evil)),
        ("x-revoker-detail", text(evil)),
        ("x-revoker-code", text(evil)),
        ("x-revoker-last-error", text(evil)),
        ("x-revoker-fingerprint", text(evil)),
    ])
    .with_message_id("abc".into());
    let body = br#"{"refresh_token":"abc","client_id":"of abc\u001b"}"#;
    let letter = reader().read(&headers, body);
    assert_eq!(letter.id.as_str(), "ba7816bf8f01");
    assert_eq!(letter.fingerprint, Some(Fingerprint::of("abc")), "the body's");
    let code = letter.code.as_deref().unwrap();
    assert_eq!(code, "red  [31m and [redacted]");
    for shown in [
        letter.detail.as_str(),
        code,
        letter.last_error.as_deref().unwrap(),
        letter.client_id.as_deref().unwrap(),
    ] {
        assert!(!shown.contains("abc") && !shown.contains(char::is_control), "{shown}");
    }
}

#[test]
fn a_body_that_is_no_job_has_the_fingerprint_in_its_header() {
    let body = b"not json: abcdefgh";
    let headers = with(&[("x-revoker-fingerprint", text("ba7816bf8f01"))]);
    let letter = reader().read(&headers.clone().with_message_id("abcdefgh".into()), body);
    assert!(!letter.is_job);
    assert_eq!(letter.fingerprint, Some(Fingerprint::of("abc")));
    assert_eq!(letter.id.as_str(), Fingerprint::of("abcdefgh").to_string());
    assert_eq!(letter.client_id, None);
    let forged = with(&[("x-revoker-fingerprint", text("abcdefgh"))]);
    assert_eq!(reader().read(&forged, body).fingerprint, None);
}

#[test]
fn details_show_harmless_values_and_name_the_rest() {
    let body = br#"{"action":"revoke","refresh_token":"abc","client_id":"shop","username":"abc@x",
        "client_secret":"hush","expires_at":1700000000,"note":"hush"}"#;
    let headers = with(&[
        ("tenant", text("acme")),
        ("of abc", text("x")),
        ("x-revoker-reason", text("rejected")),
        ("x-delivery-count", AMQPValue::LongLongInt(2)),
        x_death(vec![entry("expired\u{7}", "q", 9)]),
    ])
    .with_content_type("application/json".into())
    .with_message_id("hush".into())
    .with_type("logout\n".into())
    .with_delivery_mode(2);
    let details = reader().details(&headers, body);
    assert_eq!(
        details.job.unwrap().to_string(),
        r#"{"action":"revoke","client_id":"shop","client_secret":"[redacted]","expires_at":1700000000,"refresh_token":"[ba7816bf8f01]","username":"["#
            .to_owned()
            + &Fingerprint::of("abc@x").to_string()
            + r#"]"}"#
    );
    assert_eq!(details.other_fields, 1);
    assert_eq!(
        details.properties,
        [
            ("content_type", "application/json".to_owned()),
            ("message_id", format!("[{}]", Fingerprint::of("hush"))),
            ("type", "logout ".to_owned()),
            ("delivery_mode", "2".to_owned()),
        ]
    );
    assert_eq!(
        details.foreign_headers,
        [format!("[{}]", Fingerprint::of("of abc")), "tenant".to_owned()]
    );
    assert_eq!(details.deaths, ["expired  in q, 1 time(s)"]);
}

#[test]
fn nothing_of_a_body_that_is_no_job_is_shown() {
    let headers = with(&[("plain", text("x"))]).with_app_id("abcdefgh".into());
    let details = reader().details(&headers, b"not json: abcdefgh");
    assert_eq!(details.job, None);
    assert_eq!(details.other_fields, 0);
    assert_eq!(details.properties, [("app_id", format!("[{}]", Fingerprint::of("abcdefgh")))]);
    assert_eq!(details.foreign_headers, [format!("[{}]", Fingerprint::of("plain"))]);
}

/// Any of these texts may be the token of an unreadable body. Only facts about the body and known words are shown.
#[test]
fn no_text_that_came_with_a_body_that_is_no_job_is_shown() {
    let token = "qX7+Vb/9zTkLw4Rj";
    let said = |name| (name, text(token));
    let headers = with(&[
        ("x-revoker-reason", text("invalid_job")),
        said("x-revoker-detail"),
        said("x-revoker-code"),
        said("x-revoker-last-error"),
        said("x-revoker-lane"),
        said(token),
        x_death(vec![entry(token, token, 9), entry("expired", "q.retry.bulk.10s", 5)]),
    ])
    .with_message_id(token.into())
    .with_correlation_id(token.into())
    .with_content_type("application/json".into())
    .with_content_encoding(token.into())
    .with_reply_to(token.into())
    .with_type(token.into())
    .with_expiration(token.into());
    let gzip = b"\x1f\x8b\x08whatever";
    let letter = reader().read(&headers, gzip);
    assert_eq!(letter.id.as_str(), Fingerprint::of(token).to_string());
    assert_eq!(letter.reason, DeadReason::Stated(Reason::InvalidJob));
    assert_eq!(letter.detail, "the body is not UTF-8: byte 1 begins no character");
    let details = reader().details(&headers, gzip);
    let shown = format!("{letter:?}{details:?}");
    assert!(!shown.contains(token), "{shown}");
    assert!(shown.contains("expired in q.retry.bulk.10s, 1 time(s)"), "{shown}");
    assert!(shown.contains(r#"("content_type", "application/json")"#), "{shown}");

    let others =
        [("internal_error", DeadReason::Stated(Reason::InternalError)), (token, DeadReason::Other)];
    for (stated, reason) in others {
        let headers = with(&[("x-revoker-reason", text(stated)), said("x-revoker-detail")]);
        let letter = reader().read(&headers, gzip);
        assert_eq!(letter.reason, reason);
        assert!(letter.detail.contains("not shown, because the body is no job"), "{letter:?}");
        assert!(!format!("{letter:?}").contains(token), "{letter:?}");
    }
    let dropped = reader().read(&with(&[x_death(vec![entry(token, token, 9)])]), gzip);
    assert!(!format!("{dropped:?}").contains(token), "{dropped:?}");
}

/// A worker of an earlier version may have written a token that the endpoint echoed in an encoded form.
#[test]
fn no_text_of_a_letter_shows_an_encoded_token() {
    let headers = with(&[
        ("x-revoker-reason", text("rejected")),
        ("x-revoker-detail", text("no such token: 7158372b56622f397a546b4c7734526a")),
        ("x-revoker-code", text("QX7+VB/9ZTKLW4RJ")),
    ])
    .with_message_id("cVg3K1ZiLzl6VGtMdzRSag".into());
    let letter = reader().read(&headers, br#"{"refresh_token":"qX7+Vb/9zTkLw4Rj"}"#);
    assert_eq!(letter.detail, "no such token: [redacted]");
    assert_eq!(letter.code.as_deref(), Some("[redacted]"));
    assert_eq!(Some(letter.id.to_string()), letter.fingerprint.map(|of| of.to_string()));
}

#[test]
fn a_client_is_found_by_its_id_although_a_token_contains_it() {
    let body = br#"{"refresh_token":"shop-7","client_id":"shop"}"#;
    let letter = reader().read(&BasicProperties::default(), body);
    assert_ne!(letter.client_id.as_deref(), Some("shop"), "a part of the token is shown");
    assert!(letter.is_of("shop") && !letter.is_of("other"));
}
