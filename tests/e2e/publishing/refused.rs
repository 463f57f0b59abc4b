//! Messages that the broker never accepts: the worker finds them, and the others continue.

use std::{collections::BTreeSet, fs};

use lapin::types::FieldTable;
use serde_json::Value;

use crate::harness::{
    Answer, BULK, DEAD, Endpoint, Gate, INTERACTIVE, Message, Stage, StoredMessage, Worker,
    amqp::{dead_lettering, quorum},
    broker::{LentBroker, OwnBroker},
    message::text,
    scrape::Scrape,
    token,
    worker::field,
};

/// Jobs of a test, the one that is too large among them.
const JOBS: usize = 41;

/// The place of that one.
const LARGE: usize = 17;

/// The bytes of its body.
const LARGE_BODY: usize = 4000;

/// The size of messages that the broker takes, once it is lowered.
const LIMIT: usize = 2000;

/// A broker whose limit for the size of a message is lowered after the jobs are in: for new channels alone.
struct Lowered {
    broker: LentBroker,
    before: String,
}

impl Lowered {
    async fn lent() -> Self {
        let broker = OwnBroker::lent().await;
        let ask = "{ok, Limit} = application:get_env(rabbit, max_message_size), Limit.";
        let before = broker.node().ctl(&["eval", ask]).await;
        Self { broker, before }
    }

    async fn set(&self, limit: &str) {
        // RabbitMQ 4.x reads it from a persistent term.
        let set = format!(
            "application:set_env(rabbit, max_message_size, {limit}),
             persistent_term:put(max_message_size, {limit})."
        );
        self.broker.node().ctl(&["eval", &set]).await;
    }

    /// Leaves the node as it was.
    async fn restore(self) {
        self.set(&self.before).await;
    }
}

fn job(n: usize) -> Message {
    let job = Message::job(&token(n)).id(&format!("job-{n}"));
    if n != LARGE {
        return job;
    }
    let head = format!(r#"{{"refresh_token":"{}","padding":""#, token(n));
    let padding = "x".repeat(LARGE_BODY - head.len() - 2);
    job.with_body(format!(r#"{head}{padding}"}}"#))
}

/// An endpoint that rejects every job once all are called, so that their dead letters are published
/// together.
async fn rejecting_together() -> (Endpoint, Gate) {
    let gate = Gate::default();
    let held = gate.clone();
    let endpoint = Endpoint::start(move |_| Answer::rejected().after(&held)).await;
    (endpoint, gate)
}

/// The dead letters that the worker wrote, which are of these tokens, each once; and those that the broker
/// dropped itself.
fn sorted(letters: Vec<StoredMessage>, tokens: impl Iterator<Item = usize>) -> Vec<StoredMessage> {
    let (ours, dropped): (Vec<_>, Vec<_>) =
        letters.into_iter().partition(|letter| letter.header("x-revoker-reason").is_some());
    let expected: BTreeSet<String> = tokens.map(token).collect();
    assert_eq!(ours.len(), expected.len(), "a dead letter was stored twice, or not at all");
    assert_eq!(ours.iter().map(StoredMessage::token).collect::<BTreeSet<_>>(), expected);
    dropped
}

fn others() -> impl Iterator<Item = usize> {
    (0..JOBS).filter(|n| *n != LARGE)
}

/// The lines of the log about the broker's refusal.
fn refusals(worker: &Worker, message: &str) -> Vec<Value> {
    let lines = worker.said(message);
    for line in &lines {
        let why = field(line, "refusal").or_else(|| field(line, "reason")).unwrap();
        assert!(why.starts_with("406 PRECONDITION_FAILED - message size 4000"), "{line}");
    }
    lines
}

/// The broker refuses one of 41 dead letters for its size, by closing the channel. The other 40 are stored once. The
/// lane's own dead-lettering keeps that one, because it has no size limit, and the log reports the cause.
#[tokio::test(flavor = "multi_thread")]
async fn one_dead_letter_that_can_never_be_published_is_left_to_the_broker() {
    is_left_to_the_broker("true").await;
}

/// A worker that declares only missing queues knows that existing lanes are like its own, by declaring them again.
#[tokio::test(flavor = "multi_thread")]
async fn existing_lanes_with_the_right_arguments_are_trusted() {
    is_left_to_the_broker("missing").await;
}

async fn is_left_to_the_broker(declare: &str) {
    let lowered = Lowered::lent().await;
    let stage = Stage::own(&lowered.broker).await;
    stage.amqp.declare_family().await;
    stage.amqp.publish_all(INTERACTIVE, (0..JOBS).map(job)).await;
    lowered.set(&LIMIT.to_string()).await;
    let (endpoint, gate) = rejecting_together().await;
    let worker = stage.run(&endpoint).set("broker.declare", declare).ready().await;
    endpoint.until_count(JOBS).await;
    gate.open();

    worker.until_processed("dead_lettered", JOBS).await;
    stage.host.until_acked(&[INTERACTIVE]).await;
    worker.until_ready().await;
    // A job is counted as ended a moment before it leaves.
    let none = |metrics: &Scrape| metrics.sum("jobs_in_flight") == 0;
    let metrics = worker.until_metrics("nothing in flight", none).await;
    assert_eq!(metrics.publishes("dead_letter", "confirmed"), JOBS - 1);
    assert_eq!(metrics.sessions("channel_closed"), 0, "the consuming session was ended");
    let lines = refusals(&worker, "job dead-lettered by the broker itself");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(field(&lines[0], "job_id"), Some("job-17"));
    assert_eq!(field(&lines[0], "reason"), Some("rejected"));
    assert!(field(&lines[0], "fingerprint").is_some());
    assert_eq!(lines[0]["fields"]["size"].as_u64().or(lines[0]["size"].as_u64()), Some(4000));
    worker.stop().await;

    let letters = stage.amqp.take(DEAD, u32::try_from(JOBS).unwrap()).await;
    let dropped = sorted(letters, others());
    assert_eq!(dropped.len(), 1);
    assert_eq!(dropped[0].body, job(LARGE).body);
    assert!(dropped[0].header("x-death").is_some(), "{:?}", dropped[0].header_names());
    assert_eq!(endpoint.count(), JOBS, "a job was called twice");
    lowered.restore().await;
}

/// In lanes that another user declared, rejected messages may be dropped. So the one dead letter stays in flight,
/// `/readyz` reports it, and all other jobs continue. It goes back to its lane when the worker stops.
#[tokio::test(flavor = "multi_thread")]
async fn one_dead_letter_that_can_never_be_published_stays_in_flight_in_foreign_lanes() {
    let lowered = Lowered::lent().await;
    let stage = Stage::own(&lowered.broker).await;
    // The first run declares the queues that the second one only checks.
    let endpoint = Endpoint::willing().await;
    stage.run(&endpoint).ready().await.stop().await;
    stays_in_flight(lowered, stage, "false").await;
}

/// A worker that declares only missing queues found the lane, which drops rejected messages.
#[tokio::test(flavor = "multi_thread")]
async fn an_existing_lane_with_other_arguments_is_not_trusted() {
    let lowered = Lowered::lent().await;
    let stage = Stage::own(&lowered.broker).await;
    stage.amqp.declare(INTERACTIVE, quorum()).await;
    stays_in_flight(lowered, stage, "missing").await;
}

/// It found the dead-letter queue, which might drop what a lane dead-letters.
#[tokio::test(flavor = "multi_thread")]
async fn a_lane_before_a_foreign_dead_letter_queue_is_not_trusted() {
    let lowered = Lowered::lent().await;
    let stage = Stage::own(&lowered.broker).await;
    stage.amqp.declare(DEAD, FieldTable::default()).await;
    stage.amqp.declare(INTERACTIVE, dead_lettering(DEAD)).await;
    stays_in_flight(lowered, stage, "missing").await;
}

async fn stays_in_flight(lowered: Lowered, stage: Stage, declare: &str) {
    const LATER: usize = 10;
    let (endpoint, gate) = rejecting_together().await;
    stage.amqp.publish_all(INTERACTIVE, (0..JOBS).map(job)).await;
    lowered.set(&LIMIT.to_string()).await;
    let worker = stage
        .run(&endpoint)
        .set("broker.declare", declare)
        .set("shutdown.grace", "1s")
        .ready()
        .await;
    endpoint.until_count(JOBS).await;
    gate.open();

    worker.until_processed("dead_lettered", JOBS - 1).await;
    // Before the job is found, the same page reports a waiting message.
    let kept = "1 jobs stay in flight";
    let reason =
        worker.until_page("/readyz", "to name the job", |page| page.body.contains(kept)).await.body;
    for part in [DEAD, "406 PRECONDITION_FAILED - message size 4000"] {
        assert!(reason.contains(part), "no {part} in {reason}");
    }
    stage.amqp.publish_all(BULK, (JOBS..JOBS + LATER).map(job)).await;
    worker.until_processed("dead_lettered", JOBS - 1 + LATER).await;
    // A job is counted as ended a moment before it leaves.
    let alone = |metrics: &Scrape| metrics.sum("jobs_in_flight") == 1;
    let metrics = worker.until_metrics("one job in flight", alone).await;
    assert_eq!(metrics.value(r#"jobs_in_flight{state="settling"}"#), 1);
    assert_eq!(refusals(&worker, "a message can never be published").len(), 1);
    worker.stop().await;

    assert_eq!(stage.amqp.after_consumers(INTERACTIVE).await, 1, "the job is lost");
    let letters = stage.amqp.take(DEAD, u32::try_from(JOBS - 1 + LATER).unwrap()).await;
    assert!(sorted(letters, others().chain(JOBS..JOBS + LATER)).is_empty());
    assert_eq!(stage.amqp.take(INTERACTIVE, 1).await[0].body, job(LARGE).body);
    assert_eq!(endpoint.count(), JOBS + LATER, "a job was called twice");
    lowered.restore().await;
}

/// A job to park becomes no dead letter: if its retry queue never accepts it, it stays in flight and goes back
/// to its lane. The others are parked, come back and are revoked.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_can_never_be_parked_becomes_no_dead_letter() {
    let lowered = Lowered::lent().await;
    let stage = Stage::own(&lowered.broker).await;
    stage.amqp.declare_family().await;
    stage.amqp.publish_all(INTERACTIVE, (0..JOBS).map(job)).await;
    lowered.set(&LIMIT.to_string()).await;
    // The second failure is past the hold.
    let endpoint = Endpoint::start(|call| match call.nth {
        1 | 2 => Answer::status(503),
        _ => Answer::revoked(),
    })
    .await;
    let worker =
        stage.run(&endpoint).set("retry.hold", "1ms").set("shutdown.grace", "1s").ready().await;
    let metrics = worker.until_processed("revoked", JOBS - 1).await;
    let reason = worker.until_unready().await;
    assert!(reason.contains("1 jobs stay in flight") && reason.contains("retry"), "{reason}");
    assert_eq!(metrics.processed("dead_lettered"), 0);
    worker.stop().await;
    assert_eq!(stage.amqp.after_consumers(INTERACTIVE).await, 1, "the job is lost");
    assert_eq!(stage.amqp.take(INTERACTIVE, 1).await[0].body, job(LARGE).body);
    assert_eq!(stage.amqp.depth(DEAD).await.unwrap().ready, 0);
    lowered.restore().await;
}

/// With small frames, the producer's headers leave no room for ours. They are left out, and the dead letter records
/// that. A parked job's history is still kept.
#[tokio::test(flavor = "multi_thread")]
async fn headers_that_do_not_fit_the_frame_stay_behind() {
    // The least that RabbitMQ agrees to, from 4.1 on.
    const FRAME_MAX: usize = 8192;
    let stage = Stage::new().await;
    // The second failure is past the hold.
    let endpoint = Endpoint::start(|call| match call.nth {
        1 | 2 => Answer::status(503),
        _ if call.token == token(LARGE) => Answer::rejected(),
        _ => Answer::revoked(),
    })
    .await;
    let mut url = stage.host.worker_url();
    url.query_pairs_mut().append_pair("frame_max", &FRAME_MAX.to_string());
    let worker = stage.run(&endpoint).set("broker.url", url).set("retry.hold", "1ms").ready().await;
    // It fits a frame as it is, and with our own headers no more.
    let wide = |n| {
        job(n)
            .with_body(Message::job(&token(n)).body)
            .header("large", text(&"x".repeat(FRAME_MAX - 400)))
            .header("small", text("kept"))
    };
    let jobs = (0..JOBS).map(|n| if n == LARGE { wide(n) } else { job(n) });
    stage.amqp.publish_all(INTERACTIVE, jobs).await;

    worker.until_processed("revoked", JOBS - 1).await;
    let metrics = worker.until_processed("dead_lettered", 1).await;
    // If the first failure is judged late, it is past the hold as well, and the job has a second stay.
    let stays = metrics.value(r#"deferrals_total{how="parked",lane="interactive"}"#);
    assert!(stays >= JOBS, "{stays} stays");
    assert_eq!(metrics.publishes("retry", "confirmed"), stays, "a stay was published twice");
    stage.host.until_acked(&[INTERACTIVE]).await;
    worker.stop().await;
    let letter = stage.amqp.take(DEAD, 1).await.remove(0);
    assert_eq!(letter.token(), token(LARGE));
    assert_eq!(letter.flag("x-revoker-headers-dropped"), Some(true));
    assert_eq!(letter.int("x-revoker-attempts"), Some(3), "its history was lost");
    assert_eq!(letter.text("small").as_deref(), Some("kept"));
    assert_eq!(letter.header("large"), None);
}

/// Lines of a file beyond the broker's limit are listed as refused, and the others are in their lane once.
#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_can_never_be_published_is_refused_and_the_others_are_enqueued() {
    let lowered = Lowered::lent().await;
    let stage = Stage::own(&lowered.broker).await;
    stage.amqp.declare_family().await;
    lowered.set(&LIMIT.to_string()).await;
    let folder = tempfile::tempdir().unwrap();
    let lines: Vec<Vec<u8>> = (0..JOBS).map(|n| job(n).body).collect();
    fs::write(folder.path().join("jobs.ndjson"), lines.join(&b'\n')).unwrap();
    let launch = stage.enqueue().folder(folder.path()).arg("--json").arg("jobs.ndjson");
    let (enqueue, status) = launch.run().await;
    assert_eq!(status.code(), Some(3), "{}", enqueue.stderr());
    let summary: Value = serde_json::from_str(&enqueue.stdout()).unwrap();
    assert_eq!((&summary["enqueued"], &summary["refused"]), (&(JOBS - 1).into(), &1.into()));
    let listed = fs::read_to_string(folder.path().join("jobs.ndjson.refused.ndjson")).unwrap();
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed["line"], LARGE + 1);
    let reason = listed["reason"].as_str().unwrap();
    assert!(reason.contains("406 PRECONDITION_FAILED - message size 4000"), "{reason}");
    let jobs = stage.amqp.take(BULK, u32::try_from(JOBS - 1).unwrap()).await;
    let expected: BTreeSet<String> = others().map(token).collect();
    assert_eq!(jobs.iter().map(StoredMessage::token).collect::<BTreeSet<_>>(), expected);
    lowered.restore().await;
}

/// A dead letter that its lane never takes back stays one, and the others are replayed, each once.
#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_that_can_never_be_replayed_stays_one_and_the_others_go_back() {
    let lowered = Lowered::lent().await;
    let stage = Stage::own(&lowered.broker).await;
    stage.amqp.declare_family().await;
    let letters = (0..JOBS).map(|n| job(n).header("x-revoker-reason", text("exhausted")));
    stage.amqp.publish_all(DEAD, letters).await;
    lowered.set(&LIMIT.to_string()).await;
    let launch = stage.launch("dead-letters").arg("replay");
    let (replay, status) = launch.run().await;
    assert_eq!(status.code(), Some(3), "{}", replay.stderr());
    let said = replay.stdout();
    for part in [
        "40 dead letters of revocations.dead replayed: 0 into interactive, 40 into bulk; 1 left",
        "because the broker refuses them: 1 (406 PRECONDITION_FAILED - message size 4000",
    ] {
        assert!(said.contains(part), "no {part} in {said}");
    }
    let jobs = stage.amqp.take(BULK, u32::try_from(JOBS - 1).unwrap()).await;
    let expected: BTreeSet<String> = others().map(token).collect();
    assert_eq!(jobs.iter().map(StoredMessage::token).collect::<BTreeSet<_>>(), expected);
    assert_eq!(stage.amqp.take(DEAD, 1).await[0].body, job(LARGE).body);
    lowered.restore().await;
}
