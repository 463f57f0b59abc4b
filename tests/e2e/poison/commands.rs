//! The same messages among the dead letters: every command processes them.

use serde_json::Value;

use super::kinds::all;
use crate::harness::{DEAD, Launch, Message, Stage, Worker, message::text, token};

/// Messages that any client can read.
const HEALTHY: usize = 20;

/// Publishes every kind among healthy dead letters.
async fn bury(stage: &Stage) -> usize {
    stage.amqp.declare_family().await;
    let mut raw = stage.raw().await;
    let kinds = all();
    for (n, kind) in kinds.iter().enumerate() {
        kind.lay(&mut raw, DEAD, &Message::job(&token(HEALTHY + n)).body).await;
    }
    let healthy = |n| Message::job(&token(n)).header("x-revoker-reason", text("exhausted"));
    stage.amqp.publish_all(DEAD, (0..HEALTHY).map(healthy)).await;
    HEALTHY + kinds.len()
}

fn launch(stage: &Stage, action: &str) -> Launch {
    stage.launch("dead-letters").arg(action).set("broker.heartbeat", "60s")
}

/// Runs an action that must succeed, and returns its output.
async fn run(launch: &Launch) -> Worker {
    let (action, status) = launch.run().await;
    assert_eq!(status.code(), Some(0), "{}", action.stderr());
    action
}

fn json(action: &Worker) -> Value {
    serde_json::from_str(&action.stdout()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_that_lapin_cannot_read_are_listed() {
    let stage = Stage::new().await;
    let count = bury(&stage).await;
    let listing = json(&run(&launch(&stage, "list").arg("--json")).await);
    let letters = listing["letters"].as_array().unwrap();
    assert_eq!(letters.len(), count);
    let ids: Vec<_> = letters.iter().filter_map(|letter| letter["id"].as_str()).collect();
    for id in [super::kinds::MENDED, "header", "nested header", "tables", "arrays", "mixture"] {
        assert!(ids.contains(&id), "{id} is not among {ids:?}");
    }
    stage.amqp.until_ready(DEAD, u32::try_from(count).unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_that_lapin_cannot_read_are_replayed() {
    let stage = Stage::new().await;
    let count = u32::try_from(bury(&stage).await).unwrap();
    run(&launch(&stage, "replay").arg("--to-lane").arg("bulk")).await;
    stage.amqp.until_ready(DEAD, 0).await;
    let mut tokens: Vec<_> = stage.amqp.take(crate::harness::BULK, count).await;
    tokens.sort_by_key(crate::harness::StoredMessage::token);
    tokens.dedup_by_key(|letter| letter.token());
    assert_eq!(tokens.len(), count as usize);
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_that_lapin_cannot_read_are_discarded() {
    let stage = Stage::new().await;
    bury(&stage).await;
    run(&launch(&stage, "discard").arg("--reason").arg("broker_dropped").arg("--yes")).await;
    stage.amqp.until_ready(DEAD, u32::try_from(HEALTHY).unwrap()).await;
}
