//! An upgrade of RabbitMQ in place.

use std::env;

use crate::harness::{
    Answer, AnswerKind, BULK, DEAD, Endpoint, Gate, INTERACTIVE, Message, Stage, broker::OwnBroker,
    token,
};

/// The folder of `scripts/rabbitmq` with the RabbitMQ to begin with.
const FROM: &str = "BROKER_UPGRADE_FROM";

/// A node is upgraded between two lives of the worker. Waiting jobs are called, the parked job returns with its
/// history, and the dead letter is still there.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs two RabbitMQ: make test-brokers"]
async fn an_upgrade_in_place_keeps_every_job() {
    // Longer than the upgrade takes, so that it comes back afterwards.
    const RETRY: &str = "revocations.retry.interactive.45s";
    let old = env::var_os(FROM).unwrap_or_else(|| panic!("{FROM} names no folder"));
    let broker = OwnBroker::start_of(old).await;
    let mut stage = Stage::own(&broker).await;
    let before = broker.node().version().await;

    let upgraded = Gate::default();
    let after = upgraded.clone();
    let endpoint = Endpoint::start(move |call| match (call.token == token(1), after.is_open()) {
        (true, false) => Answer::status(503),
        (false, true) => Answer::revoked(),
        // A dead letter shows its history.
        _ => Answer::rejected(),
    })
    .await;
    let launch = stage.run(&endpoint).set("retry.hold", "1ms").set("retry.park", "45s");
    let worker = launch.ready().await;
    stage.amqp.publish(BULK, Message::job(&token(2)).id("dead")).await;
    worker.until_processed("dead_lettered", 1).await;
    stage.amqp.publish(INTERACTIVE, Message::job(&token(1)).id("parked")).await;
    stage.amqp.until_ready(RETRY, 1).await;
    worker.stop().await;
    let calls_before = endpoint.of(&token(1)).len();
    stage.amqp.publish(INTERACTIVE, Message::job(&token(3)).id("waiting")).await;
    stage.amqp.until_ready(RETRY, 1).await;

    broker.node().restart().await;
    let now = broker.node().version().await;
    assert!(now > before, "the node is still of {before:?}");
    stage.reconnect().await;
    upgraded.open();
    let worker = launch.ready().await;
    worker.until_processed("revoked", 1).await;
    assert_eq!(endpoint.told(AnswerKind::Revoked), [token(3)].into());
    worker.until_processed("dead_lettered", 1).await;
    worker.stop().await;
    let letters = stage.amqp.take(DEAD, 2).await;
    assert_eq!(letters[0].token(), token(2));
    assert_eq!(letters[1].token(), token(1));
    let calls = endpoint.of(&token(1)).len();
    assert!(calls > calls_before && calls_before > 0, "{calls_before} calls, then {calls}");
    assert_eq!(
        letters[1].int("x-revoker-attempts"),
        i64::try_from(calls).ok(),
        "its history is gone"
    );
}
