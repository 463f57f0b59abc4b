//! Two workers on one broker: they share the work, and one takes over from the other.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicUsize, Ordering},
};

use crate::harness::{
    Answer, AnswerKind, BULK, DEAD, Endpoint, Gate, INTERACTIVE, Message, Stage, token,
};

const JOBS: usize = 4_000;
/// Calls that are answered before one of the two is killed.
const BEFORE: usize = 1_000;
const PREFETCH: usize = 16;
const CONCURRENCY: usize = 8;

/// Two replicas share the backlog, and one is killed during its calls. The other does the rest, and
/// no more is done twice than the killed one had in flight.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_replica_loses_nothing() {
    let stage = Stage::new().await;
    let (gate, calls) = (Gate::default(), AtomicUsize::new(0));
    let held = gate.clone();
    let endpoint = Endpoint::start(move |_| {
        if calls.fetch_add(1, Ordering::SeqCst) < BEFORE {
            Answer::revoked()
        } else {
            Answer::revoked().after(&held)
        }
    })
    .await;
    let launch = stage
        .run(&endpoint)
        .set("broker.prefetch", PREFETCH)
        .set("flow.concurrency.max", CONCURRENCY);
    stage.amqp.declare_family().await;
    for (lane, queue) in [INTERACTIVE, BULK].into_iter().enumerate() {
        let jobs = (0..JOBS).filter(|n| n % 2 == lane).map(|n| Message::job(&token(n)));
        stage.amqp.publish_all(queue, jobs).await;
    }
    let (first, second) = (launch.start(), launch.start());
    // All permitted calls of both: each worker waits for its answers.
    endpoint.until_count(BEFORE + 2 * CONCURRENCY).await;
    first.kill().await;
    gate.open();

    endpoint
        .until("every token to be called for", |calls| {
            calls.len() >= JOBS
                && calls.iter().map(|call| &call.token).collect::<BTreeSet<_>>().len() == JOBS
        })
        .await;
    stage.host.until_acked(&[INTERACTIVE, BULK]).await;
    second.stop().await;
    let every: BTreeSet<String> = (0..JOBS).map(token).collect();
    assert_eq!(endpoint.told(AnswerKind::Revoked), every);
    let repeated = endpoint.count() - JOBS;
    assert!(repeated <= 2 * PREFETCH, "{repeated} calls were repeated");
    for queue in [INTERACTIVE, BULK, DEAD] {
        assert_eq!(stage.amqp.after_consumers(queue).await, 0, "{queue}");
    }
}
