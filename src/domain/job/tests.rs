use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::domain::TimeUnit;

mod schema;

fn defaults() -> JobDefaults {
    JobDefaults {
        audience: "https://api.example".into(),
        client_id: Some("default-client".into()),
        ..JobDefaults::default()
    }
}

fn parse(body: &str) -> Result<Job, InvalidJob> {
    Job::parse(body.as_bytes(), &defaults())
}

#[test]
fn a_token_alone_is_a_job() {
    let job = parse(r#"{"refresh_token":"abc"}"#).unwrap();
    assert_eq!(job.token.expose_secret(), "abc");
    assert_eq!(job.fingerprint.to_string(), "ba7816bf8f01");
    assert_eq!(&*job.audience, "https://api.example");
    assert_eq!(job.client_id.as_deref(), Some("default-client"));
    assert_eq!(job.username, None);
    assert_eq!(job.expires_at, None);
    assert!(job.carried_client_secret.is_none());
}

#[test]
fn the_endpoints_whole_request_body_is_a_job() {
    let job = parse(
        r#"{"action":"revoke","username":"commerce@email.com","refresh_token":" OqLWq5BoSm3ZHbfaY_D3J_XuKB1TOdrHl7Ui_0sdLF1","audience":"https://api.dev.alignet.io","client_id":"yhaPE3jtHXHMKUZBBFr9QS1x1FaXxr","client_secret":"unused"}"#,
    )
    .unwrap();
    assert!(job.token.expose_secret().starts_with(' '), "kept byte for byte");
    assert_eq!(job.username.as_deref(), Some("commerce@email.com"));
    assert_eq!(&*job.audience, "https://api.dev.alignet.io");
    assert!(job.carried_client_secret.is_some());
}

/// Some programs write a byte order mark first. A file with one is accepted, and so is a body.
#[test]
fn a_byte_order_mark_in_front_is_no_part_of_a_body() {
    assert_eq!(parse("\u{feff} {\"refresh_token\":\"abc\"}").unwrap().token.expose_secret(), "abc");
    let inside = parse("{\"refresh_token\":\"\u{feff}abc\"}").unwrap();
    assert_eq!(inside.token.expose_secret(), "\u{feff}abc", "kept byte for byte");
    assert_eq!(parse("\u{feff}").unwrap_err(), InvalidJob::Empty);
    let twice = parse("\u{feff}\u{feff}{\"refresh_token\":\"abc\"}").unwrap_err();
    assert_eq!(twice, InvalidJob::Syntax { line: 1, column: 1 });
    assert_eq!(without_mark("\u{feff}{}".as_bytes()), b"{}");
    assert_eq!(without_mark(b"{}"), b"{}");
}

#[test]
fn null_counts_as_left_out() {
    let job = parse(r#"{"refresh_token":"abc","audience":null,"expires_at":null,"username":null}"#);
    assert_eq!(&*job.unwrap().audience, "https://api.example");
}

#[test]
fn both_spellings_of_a_time_are_read() {
    let at = |body: &str| parse(body).unwrap().expires_at.unwrap();
    let expected = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    assert_eq!(at(r#"{"refresh_token":"a","expires_at":1700000000}"#), expected);
    assert_eq!(at(r#"{"refresh_token":"a","expires_at":"2023-11-14T22:13:20Z"}"#), expected);
    assert_eq!(at(r#"{"refresh_token":"a","expires_at":"2023-11-15T00:13:20+02:00"}"#), expected);
}

#[test]
fn a_token_expires_a_clocks_skew_after_its_time_and_not_before() {
    let job = parse(r#"{"refresh_token":"a","expires_at":1000000000}"#).unwrap();
    let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    assert!(!job.expired(|| at(999_999_999)));
    assert!(!job.expired(|| at(1_000_000_059)), "by another clock it may still live");
    assert!(job.expired(|| at(1_000_000_060)));
}

#[test]
fn every_malformed_body_gets_its_own_fault() {
    let long = "x".repeat(MAX_TEXT_CHARS + 1);
    let deep = |field: &str| format!(r#"{{"refresh_token":"a","{field}":{}"#, "[".repeat(20_000));
    let cases: &[(&[u8], InvalidJob)] = &[
        (b"", InvalidJob::Empty),
        (b" \n", InvalidJob::Empty),
        (b"\0", InvalidJob::Syntax { line: 1, column: 1 }),
        (b"secret-token", InvalidJob::Syntax { line: 1, column: 1 }),
        (b"\xff\xfe", InvalidJob::NotUtf8(0)),
        (b"{\"refresh_token\":\"a\xff\"}", InvalidJob::NotUtf8(19)),
        (b"[\"a\"]", InvalidJob::NotAnObject),
        (b"\"a\"", InvalidJob::NotAnObject),
        (b"17", InvalidJob::NotAnObject),
        (b"null", InvalidJob::NotAnObject),
        (b"{}", InvalidJob::Missing("refresh_token")),
        (br#"{"refresh_token":null}"#, InvalidJob::Missing("refresh_token")),
        (br#"{"refresh_token":""}"#, InvalidJob::Blank("refresh_token")),
        (br#"{"refresh_token":17}"#, InvalidJob::NotAString("refresh_token", "a number")),
        (br#"{"refresh_token":["a"]}"#, InvalidJob::NotAString("refresh_token", "an array")),
        (br#"{"refresh_token":{}}"#, InvalidJob::NotAString("refresh_token", "an object")),
        (br#"{"refresh_token":"a","#, InvalidJob::CutShort),
        (br#"{"refresh_token":"a"}}"#, InvalidJob::Syntax { line: 1, column: 22 }),
        (
            br#"{"refresh_token":"a","refresh_token":"b"}"#,
            InvalidJob::Duplicate { line: 1, column: 36 },
        ),
        (br#"{"refresh_token":"a","audience":1}"#, InvalidJob::NotAString("audience", "a number")),
        (
            br#"{"refresh_token":"a","username":true}"#,
            InvalidJob::NotAString("username", "a boolean"),
        ),
        (br#"{"refresh_token":"a","client_id":""}"#, InvalidJob::Blank("client_id")),
        (br#"{"refresh_token":"a","action":"issue"}"#, InvalidJob::UnknownAction),
        (
            br#"{"refresh_token":"a","expires_at":"soon"}"#,
            InvalidJob::Expiry(ExpiryFault::NotATime),
        ),
        (br#"{"refresh_token":"a","expires_at":-1}"#, InvalidJob::Expiry(ExpiryFault::Negative)),
        (
            br#"{"refresh_token":"a","expires_at":1700000000000}"#,
            InvalidJob::Expiry(ExpiryFault::Unit(TimeUnit::Milliseconds)),
        ),
        (br#"{"refresh_token":"\ud800"}"#, InvalidJob::Syntax { line: 1, column: 25 }),
        (b"{\"refresh_token\":\"a\nb\"}", InvalidJob::Syntax { line: 2, column: 0 }),
    ];
    for (body, fault) in cases {
        let shown = String::from_utf8_lossy(body);
        assert_eq!(Job::parse(body, &defaults()).unwrap_err(), *fault, "{shown}");
    }
    let too_long = format!(r#"{{"refresh_token":"{long}"}}"#);
    assert_eq!(parse(&too_long).unwrap_err(), InvalidJob::TooLong("refresh_token", 101, 100));
    assert_eq!(parse(&deep("unknown")).unwrap_err(), InvalidJob::CutShort);
    assert!(matches!(parse(&deep("username")).unwrap_err(), InvalidJob::Syntax { .. }));
    let huge = vec![b' '; MAX_BODY_BYTES + 1];
    assert_eq!(Job::parse(&huge, &defaults()).unwrap_err(), InvalidJob::TooLarge(huge.len()));
}

#[test]
fn lengths_count_characters_and_not_bytes() {
    let token = "ñ".repeat(MAX_TEXT_CHARS);
    assert!(parse(&format!(r#"{{"refresh_token":"{token}"}}"#)).is_ok());
}

#[test]
fn debug_shows_no_token() {
    let job = parse(r#"{"refresh_token":"canary","username":"canary"}"#).unwrap();
    assert!(!format!("{job:?}").contains("canary"));
}

/// Objects of a job's fields, with valid and invalid values.
fn near_job() -> impl Strategy<Value = String> {
    let field = prop::sample::select(vec![
        "refresh_token",
        "refresh_token",
        "audience",
        "username",
        "client_id",
        "expires_at",
        "action",
        "client_secret",
        "other",
    ]);
    let value = prop_oneof![
        4 => "\\PC{0,12}".prop_map(|text| serde_json::Value::String(text).to_string()),
        1 => prop::sample::select(vec![
            "null", "true", "7", "-1", "1e999", "[[]]", "{}", "\"revoke\"", "\"\"",
            "\"2030-01-01T00:00:00Z\"", "\"0001-01-01T00:00:00Z\"", "1700000000", "1700000000000",
            "\"\\ud800\"",
        ]).prop_map(str::to_owned),
    ];
    proptest::collection::vec((field, value), 0..6).prop_map(|fields| {
        let fields: Vec<_> =
            fields.iter().map(|(field, value)| format!("\"{field}\":{value}")).collect();
        format!("{{{}}}", fields.join(","))
    })
}

proptest! {
    #[test]
    fn every_body_keeps_to_the_invariants(
        body in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..200),
            near_job().prop_map(String::into_bytes),
        ],
    ) {
        invariants::hold(&body);
    }

    #[test]
    fn a_fault_never_quotes_the_content(value in "[a-z]{8,12}", key in "(refresh_token|audience|expires_at|action)") {
        let body = format!(r#"{{"{key}":{{"{value}":["{value}"]}}}}"#);
        let fault = parse(&body).unwrap_err().to_string();
        prop_assert!(!fault.contains(&value), "{fault}");
    }

    #[test]
    fn every_token_of_legal_length_survives_byte_for_byte(token in "\\PC{1,100}") {
        let body = serde_json::json!({ "refresh_token": token }).to_string();
        let job = parse(&body).unwrap();
        prop_assert_eq!(job.token.expose_secret(), token.as_str());
    }
}
