//! Messages that the client library cannot read. Each used to break the connection at every delivery, or to
//! end the process. They are processed like any other, and nothing else is affected.

mod commands;
mod kinds;
mod sizes;

use crate::harness::{BULK, DEAD, Endpoint, INTERACTIVE, Message, Stage, Worker, raw::Raw, token};

use kinds::{Kind, all};

/// Healthy jobs around the others, in each lane.
const HEALTHY: usize = 1_000;

impl Stage {
    /// A producer of messages that no client library can write.
    async fn raw(&self) -> Raw {
        Raw::connect(&self.host.test_url()).await
    }
}

/// The counts of repaired deliveries.
async fn mended(worker: &Worker) -> [usize; 3] {
    let metrics = worker.metrics().await;
    ["text", "nesting", "size"]
        .map(|what| metrics.value(&format!("messages_mended_total{{what=\"{what}\"}}")))
}

/// Every kind in both lanes, among 2,000 healthy jobs: all are done, each is called once, no session is lost. Half of
/// the poison jobs are rejected, and their dead letters have the changed values.
#[tokio::test(flavor = "multi_thread")]
async fn messages_that_lapin_cannot_read_are_processed_like_others() {
    let stage = Stage::new().await;
    stage.amqp.declare_family().await;
    stage.amqp.bind_all(kinds::EXCHANGE, &[(INTERACTIVE, "interactive.#"), (BULK, "bulk.#")]).await;
    let kinds = all();
    let rejected: Vec<String> = (0..kinds.len()).map(|n| token(2 * HEALTHY + 2 * n)).collect();
    let refuses = rejected.clone();
    let endpoint = Endpoint::start(move |call| {
        if refuses.contains(&call.token) {
            crate::harness::Answer::rejected()
        } else {
            crate::harness::Answer::revoked()
        }
    })
    .await;

    let mut raw = stage.raw().await;
    let share = HEALTHY / kinds.len();
    let (mut sent, mut first) = (0, 2 * HEALTHY);
    for kind in &kinds {
        for lane in [INTERACTIVE, BULK] {
            let healthy = (sent..sent + share).map(|n| Message::job(&token(n)));
            stage.amqp.publish_all(lane, healthy).await;
            sent += share;
            kind.publish(&mut raw, lane, &Message::job(&token(first)).body).await;
            first += 1;
        }
    }
    let worker = stage.run(&endpoint).ready().await;
    let done = sent + kinds.len();
    let metrics = worker.until_processed("revoked", done).await;
    let metrics = if metrics.processed("dead_lettered") == kinds.len() {
        metrics
    } else {
        worker.until_processed("dead_lettered", kinds.len()).await
    };
    assert_eq!(metrics.sum("broker_sessions_total"), 0, "a session ended");
    assert_eq!(endpoint.count(), sent + 2 * kinds.len(), "a job was called again");
    let count = |of: fn(&Kind) -> bool| 2 * kinds.iter().filter(|kind| of(kind)).count();
    let [text, nesting, _] = mended(&worker).await;
    assert_eq!((text, nesting), (count(|kind| kind.text), count(|kind| kind.nesting)));
    stage.host.until_acked(&[INTERACTIVE, BULK]).await;
    // A job is counted before its delivery is dropped.
    worker
        .until_metrics("no bytes in flight", |metrics| metrics.value("in_flight_bytes") == 0)
        .await;
    worker.stop().await;

    let letters = stage.amqp.take(DEAD, u32::try_from(kinds.len()).unwrap()).await;
    for kind in &kinds {
        let shown = letters.iter().any(|letter| kind.is_mended_in(letter));
        assert!(shown, "no dead letter shows {}", kind.name);
    }
}
