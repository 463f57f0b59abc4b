//! Outcome events: each job that ends leaves one in its queue, before it is acked.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::harness::{
    Answer, Call, Endpoint, Gate, INTERACTIVE, Launch, Message, OUTCOMES, Stage, StoredMessage,
    amqp::quorum, canary, eventually, relay::CONSUMING, relay::Relay, scrape::Scrape, token,
};

/// A worker that records each job that ends.
fn recording(stage: &Stage, endpoint: &Endpoint) -> Launch {
    stage.run(endpoint).set("outcomes.queue", OUTCOMES)
}

/// Reads an event, and checks that it shows no canary.
pub fn event(stored: &StoredMessage) -> Value {
    canary::assert_clean("an outcome event", &stored.body);
    canary::assert_clean("its properties", format!("{:?}", stored.properties).as_bytes());
    serde_json::from_slice(&stored.body).expect("an event is JSON")
}

/// Rejects the token with the number 1.
fn rejects_one(call: &Call) -> Answer {
    if call.token == token(1) { Answer::rejected() } else { Answer::revoked() }
}

/// Every way to end leaves an event, with the reason, the answer and the proof.
#[tokio::test(flavor = "multi_thread")]
async fn each_job_that_ends_is_an_event_with_what_proves_it() {
    let stage = Stage::new().await;
    let endpoint = Endpoint::start(rejects_one).await;
    let worker = recording(&stage, &endpoint).ready().await;
    let jobs = [
        ("revoked", Message::job(&token(0))),
        ("duplicate", Message::job(&token(0))),
        ("rejected", Message::job(&token(1))),
        (
            "expired",
            Message::new(
                json!({"refresh_token": token(2), "expires_at": 1_000_000_007}).to_string(),
            ),
        ),
        ("invalid", Message::new("no job")),
        (
            "unknown",
            Message::new(json!({"refresh_token": token(3), "client_id": "nobody"}).to_string()),
        ),
    ];
    for (id, job) in jobs {
        stage.amqp.publish(INTERACTIVE, job.id(id)).await;
        stage.host.until_acked(&[INTERACTIVE]).await;
    }
    let events: Vec<Value> = stage.amqp.take(OUTCOMES, 6).await.iter().map(event).collect();
    let told: BTreeMap<String, Value> = events
        .iter()
        .map(|event| {
            let data = &event["data"];
            let id = data["job_id"].as_str().expect("an id");
            (
                id.to_owned(),
                json!([data["outcome"], data["reason"], data["proof"], data["attempts"]]),
            )
        })
        .collect();
    assert_eq!(told["revoked"], json!(["revoked", null, "said", 1]));
    assert_eq!(told["duplicate"], json!(["duplicate", null, "earlier", 0]));
    assert_eq!(told["rejected"], json!(["dead_lettered", "rejected", "none", 1]));
    assert_eq!(told["expired"], json!(["expired", null, "producer", 0]));
    assert_eq!(told["unknown"], json!(["dead_lettered", "unknown_client", "none", 0]));
    let first = &events[0];
    assert_eq!(first["specversion"], "1.0");
    assert_eq!(first["type"], "revoker.job.settled.v1");
    assert_eq!(first["source"], "revoker/revocations");
    assert_eq!(first["data"]["profile"], "alignet");
    assert_eq!(first["data"]["endpoint"], format!("http://{}", endpoint.address()));
    assert!(first["data"]["fingerprint"].as_str().is_some_and(|name| name.len() == 12));
    let metrics = worker.metrics().await;
    assert_eq!(metrics.publishes("outcome", "confirmed"), 6);
    worker.stop().await;
}

/// The job waits for its event. The endpoint is not called a second time.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_acked_only_after_its_event_is_stored() {
    let stage = Stage::new().await;
    let endpoint = Endpoint::start(|_| Answer::revoked()).await;
    // The first run declares the queues that the second one only checks.
    recording(&stage, &endpoint).ready().await.stop().await;
    let worker = recording(&stage, &endpoint).set("broker.declare", false).ready().await;
    stage.amqp.delete(OUTCOMES).await;
    stage.amqp.publish(INTERACTIVE, Message::job(&token(0))).await;
    worker
        .until_metrics("several returns", |metrics| metrics.publishes("outcome", "returned") >= 3)
        .await;
    let reason = worker.until_unready().await;
    assert!(reason.contains(OUTCOMES) && reason.contains("does not exist"), "{reason}");
    assert_eq!(worker.metrics().await.processed("revoked"), 0, "it has not ended");

    stage.amqp.declare(OUTCOMES, quorum()).await;
    let events = stage.amqp.take(OUTCOMES, 1).await;
    assert_eq!(event(&events[0])["data"]["outcome"], "revoked");
    worker.until_processed("revoked", 1).await;
    worker.until_ready().await;
    stage.host.until_acked(&[INTERACTIVE]).await;
    worker.stop().await;
    assert_eq!(endpoint.count(), 1);
    assert_eq!(stage.amqp.after_consumers(INTERACTIVE).await, 0);
}

/// A full queue of events stops the intake, as a full dead-letter queue does.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_of_events_stops_the_intake_and_loses_nothing() {
    const JOBS: usize = 200;
    const PREFETCH: u32 = 32;
    let stage = Stage::new().await;
    let endpoint = Endpoint::start(|_| Answer::revoked()).await;
    let worker = recording(&stage, &endpoint)
        .set("broker.prefetch", PREFETCH)
        .set("flow.concurrency.max", 8)
        .ready()
        .await;
    let name = stage.host.name();
    let limit = r#"{"max-length":1,"overflow":"reject-publish"}"#;
    let pattern = r"^revocations\.outcomes$";
    let policy = ["set_policy", "-p", name, "full", pattern, limit, "--apply-to", "queues"];
    stage.host.node().ctl(&policy).await;
    // The limit is soft: fill until the broker refuses.
    eventually("the limit to hold", async || {
        let taken = stage.amqp.offer(OUTCOMES, &Message::new("{}")).await;
        if taken { Err("a filler that was taken".to_owned()) } else { Ok(()) }
    })
    .await;
    stage.amqp.publish_all(INTERACTIVE, (0..JOBS).map(|n| Message::job(&token(n)))).await;
    worker.until_metrics("refusals", |metrics| metrics.publishes("outcome", "nacked") >= 3).await;
    let reason = worker.until_unready().await;
    assert!(reason.contains(OUTCOMES) && reason.contains("refuses"), "{reason}");
    assert!(endpoint.count() <= PREFETCH as usize, "{} jobs were taken", endpoint.count());

    stage.host.node().ctl(&["clear_policy", "-p", name, "full"]).await;
    worker.until_processed("revoked", JOBS).await;
    worker.until_ready().await;
    stage.host.until_acked(&[INTERACTIVE]).await;
    worker.stop().await;
    assert_eq!(endpoint.count(), JOBS, "a job was called twice");
    let events = stage.amqp.take_all(OUTCOMES).await;
    let told = events.iter().map(event).filter(|event| event["data"]["outcome"] == "revoked");
    assert_eq!(told.count(), JOBS);
}

/// A worker is killed when the events of its jobs are stored and no ack has left. The endpoint revokes a revoked token
/// again, so each job ends as before: its second event has the id of the first one.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_between_event_and_ack_repeats_events_with_their_ids() {
    const JOBS: usize = 20;
    let gate = Gate::default();
    let answer = gate.clone();
    let endpoint = Endpoint::start(move |_| Answer::revoked().after(&answer)).await;
    let stage = Stage::new().await;
    let relay = Relay::open(stage.broker_address()).await;
    let launch = recording(&stage, &endpoint);
    let worker = launch.clone().set("broker.url", stage.url_by(&relay)).ready().await;
    stage.amqp.publish_all(INTERACTIVE, (0..JOBS).map(|n| Message::job(&token(n)))).await;
    endpoint.until_count(JOBS).await;
    relay.hold_named(CONSUMING);
    gate.open();
    let confirmed = |metrics: &Scrape| metrics.publishes("outcome", "confirmed") == JOBS;
    worker.until_metrics("a confirm of each event", confirmed).await;
    worker.kill().await;
    // Reset, not released: acks of the dead worker must never arrive.
    relay.reset();
    relay.release();

    let next = launch.ready().await;
    next.until_processed("revoked", JOBS).await;
    stage.host.until_acked(&[INTERACTIVE]).await;
    next.stop().await;
    assert_eq!(endpoint.count(), 2 * JOBS, "no ack has arrived");
    let mut by_id: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for mut event in stage.amqp.take_all(OUTCOMES).await.iter().map(event) {
        let id = event["id"].as_str().expect("an id").to_owned();
        let times = [event["time"].take(), event["data"]["settled_at"].take()];
        assert!(times.iter().all(Value::is_string), "{times:?}");
        by_id.entry(id).or_default().push(event);
    }
    assert_eq!(by_id.len(), JOBS);
    for (id, events) in by_id {
        let [first, second] = events.as_slice() else { panic!("{id}: {events:?}") };
        assert_eq!(first, second, "they differ in more than their time");
    }
}

/// The operator decides how much of the token's hash an event shows.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_names_the_token_by_the_configured_hash() {
    use sha2::{Digest as _, Sha256};

    let stage = Stage::new().await;
    let endpoint = Endpoint::start(|_| Answer::revoked()).await;
    let whole = revoker::domain::to_hex(&Sha256::digest(token(0)));
    for (hash, fingerprint, digest) in [
        ("full", json!(whole[..12]), json!(whole)),
        ("short", json!(whole[..12]), Value::Null),
        ("none", Value::Null, Value::Null),
    ] {
        let worker = recording(&stage, &endpoint).set("outcomes.token_hash", hash).ready().await;
        stage.amqp.publish(INTERACTIVE, Message::job(&token(0))).await;
        let events = stage.amqp.take(OUTCOMES, 1).await;
        let text = String::from_utf8(events[0].body.clone()).expect("text");
        let data = &event(&events[0])["data"];
        assert_eq!(
            (&data["fingerprint"], &data["token_sha256"]),
            (&fingerprint, &digest),
            "{hash}"
        );
        assert_eq!(text.contains(&whole[..12]), hash != "none", "{text}");
        worker.stop().await;
    }
}

/// For those without a queue: the log has the same fields.
#[tokio::test(flavor = "multi_thread")]
async fn with_log_successes_each_job_that_ends_is_a_line_of_the_log() {
    let stage = Stage::new().await;
    let endpoint = Endpoint::start(rejects_one).await;
    let worker = stage.run(&endpoint).set("log.successes", true).ready().await;
    for number in [0, 1] {
        stage
            .amqp
            .publish(INTERACTIVE, Message::job(&token(number)).id(&format!("job {number}")))
            .await;
        stage.host.until_acked(&[INTERACTIVE]).await;
    }
    let lines = worker.until_log_lines("job ended", 2).await;
    let told = lines.iter().map(|line| {
        json!([line["level"], line["job_id"], line["outcome"], line["reason"], line["proof"]])
    });
    assert_eq!(
        told.collect::<Vec<_>>(),
        [
            json!(["INFO", "job 0", "revoked", null, "said"]),
            json!(["INFO", "job 1", "dead_lettered", "rejected", "none"]),
        ]
    );
    assert!(lines[0]["settled_at"].is_string() && lines[0]["endpoint"].is_string());
    assert_eq!(stage.amqp.depth(OUTCOMES).await, None, "there is no queue of events");
    worker.stop().await;
}
