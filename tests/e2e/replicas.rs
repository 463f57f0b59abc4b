//! Two workers on one broker: they share the work, and one takes over from the other.

use std::collections::BTreeSet;

use crate::harness::{BULK, DEAD, Endpoint, INTERACTIVE, Message, Said, Stage, token};

const JOBS: usize = 4_000;
const PREFETCH: usize = 16;

/// Each does a part of the backlog; one is killed in the middle of it. The other does the rest, and no
/// more is done twice than the killed one had in hand.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_replica_loses_nothing() {
    let stage = Stage::new().await;
    let endpoint = Endpoint::willing().await;
    let launch =
        stage.run(&endpoint).set("broker.prefetch", PREFETCH).set("flow.concurrency.max", 8);
    stage.amqp.declare_family().await;
    for (lane, queue) in [INTERACTIVE, BULK].into_iter().enumerate() {
        let jobs = (0..JOBS).filter(|n| n % 2 == lane).map(|n| Message::job(&token(n)));
        stage.amqp.publish_all(queue, jobs).await;
    }
    let (first, second) = (launch.start(), launch.start());
    for worker in [&first, &second] {
        worker.until_processed("revoked", 100).await;
    }
    first.kill().await;
    let done = endpoint.count();
    assert!(done < JOBS, "the one that was killed had nothing left to do");

    endpoint
        .until("every token to be called for", |calls| {
            calls.len() >= JOBS
                && calls.iter().map(|call| &call.token).collect::<BTreeSet<_>>().len() == JOBS
        })
        .await;
    second.until_metrics("nothing in hand", |metrics| metrics.sum("jobs_in_flight") == 0).await;
    second.stop().await;
    let every: BTreeSet<String> = (0..JOBS).map(token).collect();
    assert_eq!(endpoint.told(Said::Revoked), every);
    let repeated = endpoint.count() - JOBS;
    assert!(repeated <= 2 * PREFETCH, "{repeated} calls were repeated");
    for queue in [INTERACTIVE, BULK, DEAD] {
        assert_eq!(stage.amqp.after_consumers(queue).await, 0, "{queue}");
    }
}
