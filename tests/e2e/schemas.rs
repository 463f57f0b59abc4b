//! Real messages and responses, collected for the schemas of docs/schemas. `scripts/check-schemas messages` validates
//! them. The tests here compare their names and types with the schemas.

use std::{fs, path::Path};

use lapin::types::AMQPValue;
use serde_json::{Value, json};

use crate::harness::{
    Answer, BULK, DEAD, Endpoint, INTERACTIVE, Message, Stage, StoredMessage, Worker, relay::Relay,
    token,
};

/// What `scripts/check-schemas messages` reads.
const COLLECTED: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/real-messages.json");

const JOB: &str = include_str!("../../docs/schemas/job.schema.json");
const DEAD_LETTER: &str = include_str!("../../docs/schemas/dead-letter-headers.schema.json");
const PARKED_JOB: &str = include_str!("../../docs/schemas/parked-job-headers.schema.json");
const OPENAPI: &str = include_str!("../../docs/schemas/openapi.json");

/// The queue of outcome events.
const OUTCOMES: &str = "revocations.outcomes";

/// The properties of a schema.
fn properties(schema: &str) -> Value {
    serde_json::from_str::<Value>(schema).unwrap()["properties"].take()
}

/// The job that `revoker enqueue` publishes for a line with every field.
async fn enqueued(stage: &Stage) -> Value {
    stage.amqp.declare_family().await;
    let folder = tempfile::tempdir().unwrap();
    let line = json!({
        "refresh_token": token(0), "audience": "a", "username": "u", "client_id": "c",
        "expires_at": "2030-01-31T00:00:00Z", "action": "revoke",
    });
    fs::write(folder.path().join("jobs.ndjson"), line.to_string()).unwrap();
    let (_, status) = stage.enqueue().folder(folder.path()).arg("jobs.ndjson").run().await;
    assert_eq!(status.code(), Some(0));
    let message = stage.amqp.take(BULK, 1).await.remove(0);
    assert_eq!(*message.properties.delivery_mode(), Some(2));
    json_body(&message)
}

fn json_body(message: &StoredMessage) -> Value {
    serde_json::from_slice(&message.body).unwrap()
}

/// The headers as the schemas have them in JSON. Their types are those that the schema names.
fn headers(message: &StoredMessage, schema: &str) -> Value {
    let (described, all) = (properties(schema), properties(DEAD_LETTER));
    let mut headers = serde_json::Map::new();
    for (name, value) in message.properties.headers().as_ref().unwrap() {
        let name = name.as_str();
        if name.starts_with("x-revoker-") {
            let own = &described[name];
            let own = if own.get("$ref").is_some() { &all[name] } else { own };
            assert_eq!(own["x-amqp-type"], format!("{:?}", value.get_type()), "{name}");
        }
        let value = match value {
            AMQPValue::LongString(text) => text.to_string().into(),
            AMQPValue::LongInt(number) => (*number).into(),
            AMQPValue::LongLongInt(number) => (*number).into(),
            AMQPValue::Timestamp(seconds) => (*seconds).into(),
            AMQPValue::Boolean(flag) => (*flag).into(),
            other => panic!("{name}: {other:?}"),
        };
        headers.insert(name.to_owned(), value);
    }
    headers.into()
}

/// A response of the admin port. The document describes its status and its type.
async fn response(worker: &Worker, path: &str) -> Value {
    let page = worker.page(path).await;
    let document: Value = serde_json::from_str(OPENAPI).unwrap();
    let responses = &document["paths"][path]["get"]["responses"];
    let described = &responses[page.status.to_string()]["content"][&page.content_type];
    assert!(described.is_object(), "{path}: {} {}", page.status, page.content_type);
    json!({
        "path": path, "status": page.status, "content_type": page.content_type, "body": page.body,
    })
}

/// The messages have no names and types beside those of the schemas. Without this, a schema could describe messages
/// that no worker writes.
#[tokio::test(flavor = "multi_thread")]
async fn real_messages_and_responses_are_those_of_the_schemas() {
    let stage = Stage::new().await;
    let job = enqueued(&stage).await;
    let fields = properties(JOB);
    assert!(job.as_object().unwrap().keys().all(|field| fields.get(field).is_some()), "{job}");

    // The first token is rejected, the second one after an ambiguous call, the third one gets no answer.
    let endpoint = Endpoint::start(|call| match (call.nth, &call.token) {
        (_, rejected) if *rejected == token(1) => Answer::rejected(),
        (2.., ambiguous) if *ambiguous == token(2) => Answer::rejected(),
        _ => Answer::status(503),
    })
    .await;
    let launch = stage.run(&endpoint).set("retry.hold", "100ms").set("retry.park", "1h");
    let worker = launch.set("outcomes.queue", OUTCOMES).ready().await;
    let tenant = |message: Message| message.header("tenant", crate::harness::message::text("eu"));
    let bodies = (1..4).map(|n| tenant(Message::job(&token(n))));
    stage.amqp.publish_all(INTERACTIVE, bodies.chain([tenant(Message::new("{}"))])).await;
    let letters = stage.amqp.take(DEAD, 3).await;
    let parked = stage.amqp.take("revocations.retry.interactive.1h", 1).await;
    let events = stage.amqp.take(OUTCOMES, 3).await;
    let mut reasons: Vec<_> = letters.iter().map(StoredMessage::reason).collect();
    reasons.sort();
    assert_eq!(reasons, ["invalid_job", "rejected", "rejected_after_ambiguity"]);

    let mut responses = Vec::new();
    for path in ["/", "/style.css", "/livez", "/readyz", "/metrics"] {
        responses.push(response(&worker, path).await);
    }
    worker.stop().await;
    let relay = Relay::shut(stage.broker_address());
    let worker = stage.run(&endpoint).set("broker.url", stage.url_by(&relay)).start();
    worker.until_unready().await;
    responses.push(response(&worker, "/readyz").await);

    let collected = json!({
        "job": [job],
        "dead-letter-headers":
            letters.iter().map(|letter| headers(letter, DEAD_LETTER)).collect::<Vec<_>>(),
        "parked-job-headers":
            parked.iter().map(|message| headers(message, PARKED_JOB)).collect::<Vec<_>>(),
        "outcome-event": events.iter().map(json_body).collect::<Vec<_>>(),
        "responses": responses,
    });
    fs::create_dir_all(Path::new(COLLECTED).parent().unwrap()).unwrap();
    fs::write(COLLECTED, collected.to_string()).unwrap();
}
