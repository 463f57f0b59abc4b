//! During a pause the operator sees its cause, and no single job can prolong it.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use serde_json::Value;

use crate::harness::{
    Answer, AnswerKind, BULK, DEAD, Endpoint, Gate, INTERACTIVE, Launch, Message, Stage, token,
    worker::field,
};

/// Makes the worker pause soon and probe often.
fn pausing_soon(launch: Launch) -> Launch {
    launch
        .set("flow.concurrency.max", 4)
        .set("flow.pause.after_failures", 5)
        .set("flow.pause.probe_initial", "100ms")
        .set("flow.pause.probe_max", "400ms")
}

/// While calls fail, `/readyz` reports ready, and that the flow waits, with cause and start. The metric and
/// the log agree, and each change of the phase is one line.
#[tokio::test(flavor = "multi_thread")]
async fn a_pause_is_shown_and_the_worker_stays_ready() {
    let stage = Stage::new().await;
    let recovered = Gate::default();
    let is_back = recovered.clone();
    let endpoint =
        Endpoint::start(
            move |_| if is_back.is_open() { Answer::revoked() } else { Answer::status(503) },
        )
        .await;
    let worker = pausing_soon(stage.run(&endpoint))
        // A cancelled consumer counts as long as it has unacked deliveries.
        .set("retry.hold", "1s")
        // If the worker were delayed until the next probe, it would report only the probe.
        .set("flow.pause.probe_initial", "1s")
        .set("flow.pause.probe_max", "1s")
        .ready()
        .await;
    let flow = |body: &str| {
        let body: Value = serde_json::from_str(body).unwrap();
        (body["state"].clone(), body["parts"]["flow"].clone())
    };
    let (ready, part) = flow(&worker.page("/readyz").await.body);
    assert_eq!((ready.as_str(), part["state"].as_str()), (Some("ready"), Some("ready")));
    assert_eq!(worker.metrics().await.value("paused"), 0);

    let published = time::OffsetDateTime::now_utc();
    stage.amqp.publish_all(INTERACTIVE, (0..10).map(|n| Message::job(&token(n)))).await;
    worker.until_log_lines("paused again", 2).await;
    let page = worker.page("/readyz").await;
    let (ready, part) = flow(&page.body);
    assert_eq!(page.status, 200, "{}", page.body);
    assert_eq!((ready.as_str(), part["state"].as_str()), (Some("waiting"), Some("waiting")));
    let reason = part["reason"].as_str().unwrap();
    assert!(reason.ends_with("answers with HTTP status 503: an empty body"), "{reason}");
    let since = part["since"].as_str().unwrap();
    let format = &time::format_description::well_known::Rfc3339;
    let since = time::OffsetDateTime::parse(since, format).unwrap();
    // Precise to the second.
    assert!(since >= published.replace_nanosecond(0).unwrap(), "paused since {since}");
    assert!(since <= time::OffsetDateTime::now_utc(), "paused since {since}");
    assert_eq!(worker.metrics().await.value("paused"), 1);
    // The consumers are cancelled: the backlog stays where it is safe.
    stage.amqp.until_depth(INTERACTIVE, "have no consumer", |depth| depth.consumers == 0).await;
    recovered.open();

    let metrics = worker.until_processed("revoked", 10).await;
    assert!(metrics.calls("http_5xx") >= 5, "the fault happened");
    worker.until_log_lines("running again", 1).await;
    assert_eq!(worker.metrics().await.value("paused"), 0);
    worker.until_page("/readyz", "ready", |page| flow(&page.body).1["state"] == "ready").await;
    stage.amqp.until_depth(INTERACTIVE, "have its consumer", |depth| depth.consumers == 1).await;
    let phases: Vec<String> = worker
        .log_lines()
        .iter()
        .filter_map(|line| field(line, "message"))
        .filter(|message| ["paused", "probing", "running"].iter().any(|p| message.starts_with(p)))
        .map(|message| message.split(':').next().unwrap().to_owned())
        .collect();
    let failed = worker.said("paused again").len();
    let mut expected = vec!["paused"];
    (0..failed).for_each(|_| expected.extend(["probing", "paused again"]));
    expected.extend(["probing", "running again"]);
    assert_eq!(phases, expected);
    worker.stop().await;
}

/// A poison job at the head of the interactive queue is the first choice of each probe. The endpoint recovers
/// for all other jobs. The poison job has failed for the hold and is parked, and the next job ends the pause.
async fn a_poison_job_cannot_prolong_a_pause(poison: fn() -> Answer, probe_max: &str) {
    const OTHERS: usize = 300;
    let stage = Stage::new().await;
    let recovered = Arc::new(AtomicBool::new(false));
    let is_back = recovered.clone();
    let poisoned = token(0);
    let endpoint = Endpoint::start(move |call| {
        if call.token == poisoned {
            poison()
        } else if is_back.load(Ordering::SeqCst) {
            Answer::revoked()
        } else {
            Answer::status(503)
        }
    })
    .await;
    stage.amqp.declare_family().await;
    stage.amqp.publish(INTERACTIVE, Message::job(&token(0))).await;
    stage.amqp.publish_all(BULK, (1..=OTHERS).map(|n| Message::job(&token(n)))).await;
    let worker = pausing_soon(stage.run(&endpoint))
        .set("flow.pause.probe_max", probe_max)
        .set("retry.hold", "1s")
        .set("retry.max", "200ms")
        .ready()
        .await;
    worker.until_log_lines("paused again", 1).await;
    recovered.store(true, Ordering::SeqCst);

    let metrics = worker.until_processed("revoked", OTHERS).await;
    let failed = metrics.calls("http_5xx") + metrics.calls("reset");
    assert!(metrics.calls("http_5xx") >= 1 && failed > 5, "the outage happened");
    let parked = r#"deferrals_total{how="parked",lane="interactive"}"#;
    worker.until_metrics("the poison job's stay", |metrics| metrics.value(parked) >= 1).await;
    // The first stay made room. Otherwise the poison job would have ended the pause.
    assert!(!endpoint.told(AnswerKind::Revoked).contains(&token(0)));
    stage.host.until_acked(&[BULK]).await;
    worker.stop().await;
    assert_eq!(endpoint.told(AnswerKind::Revoked).len(), OTHERS);
    assert_eq!(stage.amqp.after_consumers(BULK).await, 0);
    assert_eq!(stage.amqp.depth(DEAD).await.unwrap().ready, 0);
}

/// A job that the endpoint always answers with a status alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_always_answered_500_does_not_prolong_a_pause() {
    a_poison_job_cannot_prolong_a_pause(|| Answer::status(500), "400ms").await;
}

/// A job whose every call is cut off.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_always_reset_does_not_prolong_a_pause() {
    a_poison_job_cannot_prolong_a_pause(|| Answer::Reset, "400ms").await;
}

/// Probes are further apart than the hold. Between two of them the poison job exceeds its hold, and is parked. It must
/// not return as the next probe again and again.
#[tokio::test(flavor = "multi_thread")]
async fn a_poison_job_does_not_return_as_every_probe() {
    a_poison_job_cannot_prolong_a_pause(|| Answer::status(500), "3s").await;
}
