//! The broker goes away under load, and comes back with what it had on disk.

use super::sessions::until_over;
use crate::{
    chaos::{Area, Plan, Trial},
    harness::{Stage, Worker, broker::OwnBroker},
};

/// A worker in the middle of its work, on a node that may be harmed.
async fn in_the_middle(fault: &'static str, node: &OwnBroker) -> (Trial, Worker) {
    let plan = Plan::new(Area::Broker, fault).jobs(2_000);
    let mut trial = plan.begin_on(Stage::own(node).await, crate::chaos::lawful).await;
    trial.hold_at(0.4);
    trial.publish_all().await;
    let worker = trial.ready().await;
    trial.until_held_at(0.4).await;
    (trial, worker)
}

/// The broker is back: so are the test's own connection, and the endpoint's answers to calls that are from
/// before.
async fn back_again(mut trial: Trial, worker: Worker) {
    trial.stage.reconnect().await;
    let lost = "connection_lost";
    worker.until_metrics(lost, |metrics| metrics.sessions(lost) > 0).await;
    trial.law.release();
    until_over(trial, worker, lost).await;
}

/// An orderly restart.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a node of its own: make chaos runs it"]
async fn restarted() {
    let node = OwnBroker::lent().await;
    let (trial, worker) = in_the_middle("restarted", &node).await;
    node.node().restart().await;
    back_again(trial, worker).await;
}

/// SIGKILL of the node.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a node of its own: make chaos runs it"]
async fn sigkilled() {
    let node = OwnBroker::lent().await;
    let (trial, worker) = in_the_middle("SIGKILLed", &node).await;
    node.node().kill().await;
    node.node().restart().await;
    back_again(trial, worker).await;
}
