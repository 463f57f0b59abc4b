//! Some calls hang while others are answered.

use super::{Clients, HEALTHY, job};
use crate::harness::{Answer, AnswerKind, BULK, Endpoint, Gate, INTERACTIVE, token};

/// Calls that hang until the gate opens: those of the tokens below this number.
async fn hanging_below(first: usize, gate: &Gate, failing: &Gate) -> Endpoint {
    let (gate, failing) = (gate.clone(), failing.clone());
    let hanging: Vec<String> = (0..first).map(token).collect();
    Endpoint::start(move |call| {
        if !failing.is_open() {
            Answer::status(503)
        } else if hanging.contains(&call.token) {
            Answer::revoked().after(&gate)
        } else {
            Answer::revoked()
        }
    })
    .await
}

fn opened() -> Gate {
    let gate = Gate::default();
    gate.open();
    gate
}

/// Six hundred copies of one token whose call hangs precede two hundred logouts in one lane.
#[tokio::test(flavor = "multi_thread")]
async fn copies_of_one_hanging_token_do_not_block_the_lane() {
    const COPIES: usize = 600;
    const OTHERS: usize = 200;
    let clients = Clients::new().await;
    let gate = Gate::default();
    let endpoint = hanging_below(1, &gate, &opened()).await;
    let stage = &clients.stage;
    stage.amqp.publish_all(INTERACTIVE, (0..COPIES).map(|_| job(HEALTHY[0], 0))).await;
    let others = (1..=OTHERS).map(|n| job(HEALTHY[0], n));
    stage.amqp.publish_all(INTERACTIVE, others).await;
    let worker = clients.launch(&endpoint).ready().await;

    worker.until_processed("revoked", OTHERS).await;
    assert_eq!(endpoint.of(&token(0)).len(), 1, "its call hangs, and there is one");
    assert!(!endpoint.told(AnswerKind::Revoked).contains(&token(0)));

    gate.open();
    worker.until_processed("revoked", OTHERS + 1).await;
    worker.until_processed("duplicate", COPIES - 1).await;
    stage.host.until_acked(&[INTERACTIVE]).await;
    worker.stop().await;
    assert_eq!(endpoint.of(&token(0)).len(), 1, "none of the copies was called for");
}

/// Ten calls hang from the start, at the lowest limit. The others start nevertheless.
#[tokio::test(flavor = "multi_thread")]
async fn ten_calls_that_hang_at_a_cold_start_delay_no_other() {
    let clients = Clients::new().await;
    let gate = Gate::default();
    let endpoint = hanging_below(10, &gate, &opened()).await;
    let stage = &clients.stage;
    stage.amqp.publish_all(INTERACTIVE, (0..10).map(|n| job(HEALTHY[0], n))).await;
    let worker = clients.launch(&endpoint).ready().await;
    endpoint.until_count(1).await;
    stage.amqp.publish_all(INTERACTIVE, (10..20).map(|n| job(HEALTHY[1], n))).await;
    stage.amqp.publish_all(BULK, (20..30).map(|n| job(HEALTHY[1], n))).await;

    worker.until_processed("revoked", 20).await;
    assert!(!gate.is_open());
    gate.open();
    worker.until_processed("revoked", 30).await;
    worker.stop().await;
    assert_eq!(endpoint.count(), 30, "each was called once");
}

/// The same with the first calls after a pause.
#[tokio::test(flavor = "multi_thread")]
async fn ten_calls_that_hang_after_a_pause_delay_no_other() {
    let clients = Clients::new().await;
    let (gate, mended) = (Gate::default(), Gate::default());
    let endpoint = hanging_below(10, &gate, &mended).await;
    let stage = &clients.stage;
    let worker = clients.launch(&endpoint).set("retry.hold", "2s").ready().await;
    stage.amqp.publish_all(BULK, (100..130).map(|n| job(HEALTHY[n % 2], n))).await;
    worker.until_log_lines("paused again", 2).await;
    // The consumers are stopped: these jobs wait in their queue until the pause has ended.
    stage.amqp.publish_all(INTERACTIVE, (0..10).map(|n| job(HEALTHY[0], n))).await;
    stage.amqp.publish_all(INTERACTIVE, (10..20).map(|n| job(HEALTHY[1], n))).await;
    mended.open();

    worker.until_processed("revoked", 40).await;
    assert!(!gate.is_open());
    gate.open();
    worker.until_processed("revoked", 50).await;
    worker.stop().await;
}
