//! A job that cannot be revoked becomes a dead letter with its reason, and delays no other job.

use std::time::{SystemTime, UNIX_EPOCH};

use lapin::types::AMQPValue;

use crate::harness::{
    Answer, BULK, DEAD, Endpoint, INTERACTIVE, Message, Stage, StoredMessage, canary, fingerprint,
    message::text, token,
};

/// The largest body that is read, in bytes.
const MAX_BODY: usize = 64 * 1024;

const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// `01` makes a job a dead letter after exactly one call. Its dead letter has the unchanged body, the copied
/// properties, the producer's headers, and every header of its history.
#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_job_is_dead_lettered_after_one_call_with_every_header() {
    let stage = Stage::new().await;
    let endpoint = Endpoint::start(|_| Answer::rejected()).await;
    let worker = stage.run(&endpoint).ready().await;
    let before = unix_now();
    let body = format!("{{ \"refresh_token\":\"{}\" , \"x\": [1] }}\n", token(1));
    let message = Message::new(body.clone())
        .id("logout-1")
        .with(|properties| {
            properties
                .with_content_encoding("utf-8".into())
                .with_correlation_id("correlation-1".into())
                .with_timestamp(1_700_000_000)
                .with_type("logout".into())
                .with_app_id("shop".into())
                .with_reply_to("somewhere".into())
        })
        .header("traceparent", text(TRACEPARENT))
        .header("tracestate", text("vendor=1"))
        .header("tenant", text("eu"))
        .header("attempt-limit", AMQPValue::LongLongInt(7));
    stage.amqp.publish(BULK, message).await;
    let letters = stage.amqp.take(DEAD, 1).await;
    let letter = &letters[0];

    assert_eq!(letter.body, body.as_bytes());
    assert_eq!(letter.reason(), "rejected");
    let detail = letter.text("x-revoker-detail").unwrap();
    assert!(detail.contains("Refresh Token no existe"), "{detail}");
    assert_eq!(letter.text("x-revoker-code").as_deref(), Some("01"));
    assert_eq!(letter.int("x-revoker-http-status"), Some(200));
    assert_eq!(letter.int("x-revoker-attempts"), Some(1));
    let window = before..=unix_now();
    assert!(window.contains(&letter.time("x-revoker-dead-at").unwrap()));
    assert!(window.contains(&letter.time("x-revoker-first-failed-at").unwrap()));
    assert_eq!(letter.text("x-revoker-last-error").as_deref(), Some("rejected"));
    assert_eq!(letter.flag("x-revoker-ambiguous"), Some(false));
    assert_eq!(letter.text("x-revoker-ambiguity"), None);
    assert_eq!(letter.text("x-revoker-lane").as_deref(), Some("bulk"));
    assert_eq!(letter.text("x-revoker-fingerprint"), Some(fingerprint(&token(1))));
    assert_eq!(letter.int("x-revoker-replays"), None);
    assert_ne!(letter.flag("x-revoker-headers-dropped"), Some(true));

    let kept = &letter.properties;
    assert_eq!(kept.content_type().as_ref().unwrap().as_str(), "application/json");
    assert_eq!(kept.content_encoding().as_ref().unwrap().as_str(), "utf-8");
    assert_eq!(kept.message_id().as_ref().unwrap().as_str(), "logout-1");
    assert_eq!(kept.correlation_id().as_ref().unwrap().as_str(), "correlation-1");
    assert_eq!(kept.timestamp(), &Some(1_700_000_000));
    assert_eq!(kept.kind().as_ref().unwrap().as_str(), "logout");
    assert_eq!(kept.app_id().as_ref().unwrap().as_str(), "shop");
    assert_eq!(kept.delivery_mode(), &Some(2), "a dead letter outlives the broker");
    assert_eq!(kept.reply_to(), &None);
    assert_eq!(letter.text("traceparent").as_deref(), Some(TRACEPARENT));
    assert_eq!(letter.text("tracestate").as_deref(), Some("vendor=1"));
    assert_eq!(letter.text("tenant").as_deref(), Some("eu"));
    assert_eq!(letter.int("attempt-limit"), Some(7));

    let metrics = worker.until_processed("dead_lettered", 1).await;
    assert_eq!(metrics.value(r#"revocations_failed_total{lane="bulk",reason="rejected"}"#), 1);
    assert_eq!(metrics.publishes("dead_letter", "confirmed"), 1);
    assert_eq!(metrics.processed("revoked"), 0);
    stage.host.until_acked(&[BULK]).await;
    worker.stop().await;
    assert_eq!(endpoint.count(), 1);
    assert_eq!(stage.amqp.after_consumers(BULK).await, 0);
}

/// Bodies that are no job, each with its fault.
fn malformed() -> Vec<(&'static str, Vec<u8>)> {
    let job =
        |fields: &str| format!("{{\"refresh_token\":\"{}\",{fields}}}", token(0)).into_bytes();
    let with_token = |token: &str| format!("{{\"refresh_token\":{token}}}").into_bytes();
    let long = "x".repeat(101);
    let padded = |size: usize| {
        let mut body = Message::job(&token(0)).body;
        body.resize(size, b' ');
        body
    };
    vec![
        ("empty", Vec::new()),
        ("blank", b" \n\t ".to_vec()),
        ("a byte of zero", vec![0]),
        ("not UTF-8", vec![0xff, 0xfe, b'{', b'}']),
        ("UTF-8 cut short", [&br#"{"refresh_token":""#[..], &[0xc3, b'"', b'}']].concat()),
        ("a word", b"revoke".to_vec()),
        ("the bare token", token(0).into_bytes()),
        ("a number", b"42".to_vec()),
        ("a string", format!("\"{}\"", token(0)).into_bytes()),
        ("null", b"null".to_vec()),
        ("an array", format!("[{{\"refresh_token\":\"{}\"}}]", token(0)).into_bytes()),
        ("an array of values", format!("[\"{}\",null,null]", token(0)).into_bytes()),
        ("no fields", b"{}".to_vec()),
        ("another's fields", format!("{{\"token\":\"{}\"}}", token(0)).into_bytes()),
        ("no token", br#"{"action":"revoke","client_id":"a"}"#.to_vec()),
        ("the token null", with_token("null")),
        ("the token empty", with_token("\"\"")),
        ("the token a number", with_token("7")),
        ("the token an object", with_token("{}")),
        ("the token an array", with_token(&format!("[\"{}\"]", token(0)))),
        ("the token too long", with_token(&format!("\"{long}\""))),
        ("the token twice", job(&format!("\"refresh_token\":\"{}\"", token(0)))),
        ("cut short", format!("{{\"refresh_token\":\"{}", token(0)).into_bytes()),
        ("two objects", format!("{{\"refresh_token\":\"{}\"}}{{}}", token(0)).into_bytes()),
        ("a trailing comma", job("")),
        ("single quotes", format!("{{'refresh_token':'{}'}}", token(0)).into_bytes()),
        ("the audience a number", job("\"audience\":7")),
        ("the username a list", job("\"username\":[]")),
        ("the username too long", job(&format!("\"username\":\"{long}\""))),
        ("the client a boolean", job("\"client_id\":true")),
        ("the client empty", job("\"client_id\":\"\"")),
        ("the client too long", job(&format!("\"client_id\":\"{long}\""))),
        ("another action", job("\"action\":\"create\"")),
        ("the action a number", job("\"action\":1")),
        ("no time", job("\"expires_at\":\"tomorrow\"")),
        ("a time before all times", job("\"expires_at\":-1")),
        ("a time past all times", job("\"expires_at\":1e300")),
        ("no time at all", job("\"expires_at\":0")),
        ("a lifetime for a time", job("\"expires_at\":3600")),
        ("a zero date for a time", job("\"expires_at\":\"0001-01-01T00:00:00Z\"")),
        ("a time in milliseconds", job("\"expires_at\":4000000000000")),
        ("a time in quotes", job("\"expires_at\":\"4000000000\"")),
        ("deeply nested", [b"{\"a\":".repeat(5_000), b"1".to_vec(), b"}".repeat(5_000)].concat()),
        ("deep arrays", b"[".repeat(60_000)),
        ("one byte too many", padded(MAX_BODY + 1)),
        ("a megabyte", padded(1 << 20)),
        ("a megabyte of noise", vec![b'x'; 1 << 20]),
    ]
}

/// A body that is no job becomes a dead letter with the unchanged body. Its detail names the fault and quotes nothing.
/// No call is made, and the next job continues. A job at the size limit is valid.
#[tokio::test(flavor = "multi_thread")]
async fn malformed_bodies_are_dead_lettered_and_the_next_job_continues() {
    let stage = Stage::new().await;
    let endpoint = Endpoint::willing().await;
    let worker = stage.run(&endpoint).set("log.level", "trace").ready().await;
    let malformed = malformed();
    assert!(malformed.len() >= 20);
    for (name, body) in &malformed {
        stage.amqp.publish(INTERACTIVE, Message::new(body.clone()).id(name)).await;
    }
    let mut at_the_limit = Message::job(&token(1)).body;
    at_the_limit.resize(MAX_BODY, b' ');
    stage.amqp.publish(INTERACTIVE, Message::new(at_the_limit)).await;

    worker.until_processed("revoked", 1).await;
    let letters = stage.amqp.take(DEAD, u32::try_from(malformed.len()).unwrap()).await;
    for (name, body) in &malformed {
        let id = |letter: &StoredMessage| letter.properties.message_id().clone();
        let letter = letters.iter().find(|letter| id(letter).unwrap().as_str() == *name);
        let letter = letter.unwrap_or_else(|| panic!("no dead letter for {name}"));
        assert_eq!(&letter.body, body, "{name}");
        assert_eq!(letter.reason(), "invalid_job", "{name}");
        assert_eq!(letter.int("x-revoker-attempts"), Some(0), "{name}");
        assert_eq!(letter.int("x-revoker-http-status"), None, "{name}");
        let detail = letter.text("x-revoker-detail").unwrap();
        assert!(!detail.is_empty() && detail.len() < 200, "{name}: {detail}");
        canary::assert_clean(name, detail.as_bytes());
        assert!(!detail.contains("xxxx"), "{name} quotes the content: {detail}");
    }
    // A message is in its queue before it is counted.
    let metrics = worker.until_processed("dead_lettered", malformed.len()).await;
    let series = r#"revocations_failed_total{lane="interactive",reason="invalid_job"}"#;
    assert_eq!(metrics.value(series), malformed.len());
    stage.host.until_acked(&[INTERACTIVE]).await;
    worker.stop().await;
    assert_eq!(endpoint.count(), 1, "an invalid job was called for");
    assert_eq!(stage.amqp.after_consumers(INTERACTIVE).await, 0);
}

/// A job for a client without a configured secret is not called with another client's secret.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_for_an_unknown_client_is_dead_lettered_without_a_call() {
    let stage = Stage::new().await;
    let endpoint = Endpoint::willing().await;
    let worker = stage.run(&endpoint).ready().await;
    let body = serde_json::json!({ "refresh_token": token(1), "client_id": "stranger" });
    stage.amqp.publish(INTERACTIVE, Message::new(body.to_string())).await;

    let letters = stage.amqp.take(DEAD, 1).await;
    assert_eq!(letters[0].reason(), "unknown_client");
    assert_eq!(letters[0].int("x-revoker-attempts"), Some(0));
    assert_eq!(letters[0].text("x-revoker-fingerprint"), Some(fingerprint(&token(1))));
    stage.amqp.publish(INTERACTIVE, Message::job(&token(2))).await;
    worker.until_processed("revoked", 1).await;
    worker.stop().await;
    assert_eq!(endpoint.count(), 1);
}
