//! Tests that the default profile in TOML judges every answer like the hand-written code.

use http::HeaderMap;
use proptest::prelude::*;

use super::*;
use crate::endpoint::{
    classify::{
        ClassifyContext, HttpResponse, ResponseBody, classify,
        generators::{near_envelope, shuffled_envelope},
    },
    testing::without_class,
};

fn both(status: u16, body: &[u8]) -> [Verdict; 2] {
    let profile = builtin(ALIGNET).unwrap();
    let secrets = ["canary-token", "canary-secret"].map(SecretString::from);
    let headers = HeaderMap::new();
    let answer = HttpResponse {
        status: StatusCode::from_u16(status).unwrap(),
        headers: &headers,
        body: ResponseBody::Whole(body),
    };
    // A profile has no class for each fault of an envelope.
    [None, Some(&*profile)].map(|profile| {
        let redactor = Redactor::new(&secrets);
        let now = std::time::SystemTime::UNIX_EPOCH;
        without_class(classify(
            &answer,
            &ClassifyContext { profile, locale: "es_PE", redactor, now },
        ))
    })
}

fn agree(status: u16, body: &[u8]) {
    let [by_hand, by_file] = both(status, body);
    assert_eq!(by_hand, by_file, "{status} {}", String::from_utf8_lossy(body));
}

#[test]
fn the_two_agree_on_unusual_answers() {
    let ok = r#"{"action":"revoke","success":true,"revoke":{"meta":{"status":{"code":"00"}}}}"#;
    let message = |message: &str| {
        format!(
            r#"{{"success":false,"revoke":{{"meta":{{"status":{{"code":"01","message_ilgn":{message}}}}}}}}}"#
        )
    };
    let deep = format!("{{\"x\":{}", "[".repeat(100_000));
    let deep_ignored = format!("{{\"success\":true,\"x\":{}{}}}", "[".repeat(500), "]".repeat(500));
    let bodies = [
        ok.to_owned(),
        ok.replace("true", "1e999"),
        ok.replace("\"revoke\",", "1e999,"),
        r#"{"success":true,"x":1e999,"revoke":{"meta":{"status":{"code":"00"}}}}"#.to_owned(),
        r#"{"success":true,"x":"\ud800","revoke":{"meta":{"status":{"code":"00"}}}}"#.to_owned(),
        r#"{"success":"\ud800","revoke":{"meta":{"status":{"code":"00"}}}}"#.to_owned(),
        r#"{"success":true,"success":null,"revoke":{"meta":{"status":{"code":"00"}}}}"#.to_owned(),
        r#"{"success":true,"revoke":{"meta":{"status":{"code":"00"}},"meta":{}}}"#.to_owned(),
        r#"{"success":true,"revoke":{"meta":{"status":{"code":"00","code":"00"}}}}"#.to_owned(),
        r#"{"succe\u0073s":true,"revoke":{"meta":{"status":{"code":"00"}}}}"#.to_owned(),
        r#"["revoke",true,[[["00",null]]]]"#.to_owned(),
        r#"{"success":true,"revoke":[[["00",null]]]}"#.to_owned(),
        message(r#"[{"locale":"en_US","value":"gone"},{"locale":"es_PE","value":"canary-token"}]"#),
        message(r#""gone""#),
        message("7"),
        message("null"),
        message(r#"{"value":"a","value":"b"}"#),
        message(r#"{"value":"\ud800"}"#),
        format!("{ok} x"),
        format!("{ok}{ok}"),
        "\u{feff}{}".to_owned(),
        "{}".to_owned(),
        String::new(),
        deep,
        deep_ignored,
    ];
    for status in [101, 200, 204, 299, 303, 400, 404, 408, 429, 500, 503, 600] {
        for body in &bodies {
            agree(status, body.as_bytes());
        }
        agree(status, b"\xff{}");
    }
}

proptest! {
    #[test]
    fn the_two_agree_on_every_answer(
        status in prop_oneof![
            100_u16..1000,
            prop::sample::select(vec![200_u16, 303, 404, 408, 429, 500, 503]),
        ],
        body in prop_oneof![near_envelope(), shuffled_envelope(), ".{0,60}"],
    ) {
        agree(status, body.as_bytes());
    }
}
