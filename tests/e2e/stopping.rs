//! SIGTERM: the worker finishes its calls, requeues waiting jobs, and calls nothing twice.

use std::collections::BTreeSet;

use crate::harness::{
    Answer, AnswerKind, BULK, Endpoint, Gate, INTERACTIVE, Launch, Message, Stage, Worker, token,
};

/// Jobs in all.
const JOBS: usize = 60;
/// Calls that are held open.
const CALLING: usize = 20;

struct Held {
    stage: Stage,
    endpoint: Endpoint,
    gate: Gate,
    launch: Launch,
    worker: Worker,
}

/// A worker with `CALLING` calls that hang until the gate opens, the rest of the jobs waiting in it.
async fn with_calls_held_open(grace: &str) -> Held {
    let stage = Stage::new().await;
    let gate = Gate::default();
    let held = gate.clone();
    let endpoint = Endpoint::start(move |_| Answer::revoked().after(&held)).await;
    let launch = stage
        .run(&endpoint)
        .set("flow.concurrency.max", CALLING)
        .set("flow.concurrency.adaptive", false)
        .set("endpoint.timeout", "10m")
        .set("shutdown.grace", grace);
    stage.amqp.declare_family().await;
    stage.amqp.publish_all(BULK, (0..JOBS).map(|n| Message::job(&token(n)))).await;
    let worker = launch.ready().await;
    endpoint.until_count(CALLING).await;
    stage.amqp.until_ready(BULK, 0).await;
    Held { stage, endpoint, gate, launch, worker }
}

/// The calls in flight end in their own time and are settled; the jobs that only waited are back in the queue before
/// that. The next worker gets those, and no token is called twice.
#[tokio::test(flavor = "multi_thread")]
async fn sigterm_drains_and_calls_nothing_twice() {
    let Held { stage, endpoint, gate, launch, worker } = with_calls_held_open("10m").await;
    worker.signal("TERM");
    stage.amqp.until_ready(BULK, u32::try_from(JOBS - CALLING).unwrap()).await;
    assert!(worker.exited().is_none(), "it did not wait for its calls");
    assert_eq!(endpoint.count(), CALLING, "a call began after the signal");
    gate.open();
    let status = worker.exit().await;
    assert_eq!(status.code(), Some(0));
    assert_eq!(stage.amqp.after_consumers(BULK).await, u32::try_from(JOBS - CALLING).unwrap());

    let next = launch.ready().await;
    next.until_processed("revoked", JOBS - CALLING).await;
    stage.host.until_acked(&[BULK]).await;
    next.stop().await;
    assert_eq!(endpoint.count(), JOBS, "a token was called twice");
    let every: BTreeSet<String> = (0..JOBS).map(token).collect();
    assert_eq!(endpoint.told(AnswerKind::Revoked), every);
    assert_eq!(stage.amqp.after_consumers(BULK).await, 0);
}

/// Jobs that back off are requeued at once as well: the drain does not wait for backoffs.
#[tokio::test(flavor = "multi_thread")]
async fn sigterm_requeues_jobs_that_back_off() {
    let stage = Stage::new().await;
    let endpoint = Endpoint::start(|_| Answer::status(503)).await;
    let worker =
        stage.run(&endpoint).set("retry.initial", "10m").set("retry.max", "10m").ready().await;
    stage.amqp.publish(INTERACTIVE, Message::job(&token(1))).await;
    let backing_off = r#"jobs_in_flight{state="backing_off"}"#;
    worker.until_metrics("the backoff", |metrics| metrics.value(backing_off) == 1).await;
    worker.stop().await;
    assert_eq!(stage.amqp.after_consumers(INTERACTIVE).await, 1);
    assert_eq!(endpoint.count(), 1);
}

/// The worker gives up calls that outlast the grace, requeues their jobs, and still ends in order.
#[tokio::test(flavor = "multi_thread")]
async fn the_grace_ends_a_drain() {
    let Held { stage, endpoint, gate, launch: _, worker } = with_calls_held_open("500ms").await;
    worker.stop().await;
    assert!(!gate.is_open());
    assert_eq!(endpoint.told(AnswerKind::Revoked).len(), 0);
    assert_eq!(stage.amqp.after_consumers(BULK).await, u32::try_from(JOBS).unwrap());
}

/// A second signal does not wait for the grace; everything is back in the queue.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_sigterm_ends_at_once() {
    let Held { stage, endpoint, gate, launch: _, worker } = with_calls_held_open("10m").await;
    worker.signal("TERM");
    stage.amqp.until_ready(BULK, u32::try_from(JOBS - CALLING).unwrap()).await;
    assert!(worker.exited().is_none());
    worker.signal("TERM");
    worker.exit().await;
    assert!(!gate.is_open(), "no call had ended");
    assert_eq!(endpoint.told(AnswerKind::Revoked).len(), 0);
    assert_eq!(stage.amqp.after_consumers(BULK).await, u32::try_from(JOBS).unwrap());
}
