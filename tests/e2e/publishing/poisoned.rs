//! A message that makes the broker close the shared connection: the worker finds it, and suspects no message of another
//! queue.

use std::collections::BTreeMap;

use crate::harness::{
    Answer, DEAD, Endpoint, INTERACTIVE, Message, Stage, relay::Relay, token, worker::field,
};

/// The job whose dead letter breaks every connection that it is published over.
const POISON: usize = 100;

/// Jobs that are rejected, and jobs that are parked before they are revoked.
const REJECTED: usize = 10;
const PARKED: usize = 5;

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_breaks_the_connection_is_found_and_no_other_is_dead_lettered() {
    let stage = Stage::new().await;
    stage.amqp.declare_family().await;
    let relay = Relay::open(stage.broker_address()).await;
    relay.garble_behind(&token(POISON));
    let parked = |n: usize| POISON + REJECTED + n;
    let are_parked: Vec<String> = (1..=PARKED).map(|n| token(parked(n))).collect();
    let endpoint = Endpoint::start(move |call| match call.nth {
        _ if !are_parked.contains(&call.token) => Answer::rejected(),
        // The second failure is past the hold.
        1 | 2 => Answer::status(503),
        _ => Answer::revoked(),
    })
    .await;
    let worker = stage
        .run(&endpoint)
        .set("broker.url", stage.url_by(&relay))
        .set("retry.hold", "1ms")
        .ready()
        .await;
    let job = |n: usize| Message::job(&token(n)).id(&format!("job-{n}"));
    stage.amqp.publish(INTERACTIVE, job(POISON)).await;
    // Once over the shared connection, then over one of its own.
    relay.garbled_often(2).await;
    let others = (1..=REJECTED + PARKED).map(|n| job(POISON + n));
    stage.amqp.publish_all(INTERACTIVE, others).await;
    worker.until_processed("revoked", PARKED).await;
    worker.until_processed("dead_lettered", REJECTED + 1).await;
    stage.host.until_acked(&[INTERACTIVE]).await;
    worker.until_ready().await;
    let left = worker.said("job dead-lettered by the broker itself");
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!(field(&left[0], "job_id"), Some("job-100"));
    let refusal = field(&left[0], "refusal");
    assert!(refusal.is_some_and(|why| why.starts_with("501 FRAME_ERROR")), "{refusal:?}");
    assert!(worker.said("a message can never be published").is_empty());
    let sessions = worker.metrics().await.sum("broker_sessions_total");
    assert_eq!(sessions, 0, "a consuming session was ended");
    worker.stop().await;
    let mut copies = BTreeMap::<String, usize>::new();
    for letter in stage.amqp.take_all(DEAD).await {
        let by_the_broker = letter.header("x-revoker-reason").is_none();
        assert_eq!(by_the_broker, letter.token() == token(POISON));
        *copies.entry(letter.token()).or_default() += 1;
    }
    assert_eq!(copies.len(), REJECTED + 1);
    assert!(copies.values().all(|copies| *copies == 1), "{copies:?}");
}
