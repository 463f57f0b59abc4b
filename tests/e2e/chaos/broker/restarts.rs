//! The broker disappears under load, and returns with its data on disk.

use super::sessions::until_over;
use crate::{
    chaos::{Area, Case, Plan},
    harness::{Stage, Worker, broker::OwnBroker},
};

/// A working worker, on a node that the case may damage.
async fn in_the_middle(fault: &'static str, node: &OwnBroker) -> (Case, Worker) {
    let plan = Plan::new(Area::Broker, fault).jobs(2_000);
    let mut case = plan.begin_on(Stage::own(node).await, crate::chaos::without_fault).await;
    case.hold_at(0.4);
    case.publish_all().await;
    let worker = case.ready().await;
    case.until_held_at(0.4).await;
    (case, worker)
}

/// Waits until the broker is back, reconnects the test, and releases the answers of earlier calls.
async fn back_again(mut case: Case, worker: Worker) {
    case.stage.reconnect().await;
    let lost = "connection_lost";
    worker.until_metrics(lost, |metrics| metrics.sessions(lost) > 0).await;
    case.script.release();
    until_over(case, worker, lost).await;
}

/// An orderly restart.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a node of its own: make chaos runs it"]
async fn restarted() {
    let node = OwnBroker::lent().await;
    let (case, worker) = in_the_middle("restarted", &node).await;
    node.node().restart().await;
    back_again(case, worker).await;
}

/// SIGKILL of the node.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a node of its own: make chaos runs it"]
async fn sigkilled() {
    let node = OwnBroker::lent().await;
    let (case, worker) = in_the_middle("SIGKILLed", &node).await;
    node.node().kill().await;
    node.node().restart().await;
    back_again(case, worker).await;
}
