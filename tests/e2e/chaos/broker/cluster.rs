//! Nodes of a cluster of three die under load.

use futures_util::future::join_all;

use super::sessions::until_over;
use crate::{
    chaos::{Area, Case, Evidence, Plan},
    harness::{INTERACTIVE, Stage, Worker, cluster::Cluster},
};

/// A working worker, connected to the node that leads the queues. Returns the index of that node.
async fn in_the_middle(fault: &'static str, cluster: &Cluster) -> (Case, Worker, usize) {
    // A large prefetch, so that some jobs in flight are rejected with any seed.
    let plan = Plan::new(Area::Broker, fault).jobs(2_000).prefetch(64);
    let mut case =
        plan.begin_on(Stage::clustered(cluster, 0).await, crate::chaos::without_fault).await;
    cluster.until_whole(0).await;
    let leader = cluster.leader(0, INTERACTIVE, None).await;
    case.launch = case.launch.set("broker.url", cluster.worker_urls(leader));
    case.hold_at(0.4);
    case.publish_all().await;
    let worker = case.ready().await;
    case.until_held_at(0.4).await;
    (case, worker, leader)
}

/// The node that leads the queues, and that the worker is connected to, dies; all is done without it.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a cluster of its own: make chaos runs it"]
async fn leader_lost() {
    let cluster = Cluster::start().await;
    let (mut case, worker, leader) = in_the_middle("leader lost, of a cluster", &cluster).await;
    cluster.node(leader).kill().await;
    cluster.leader(leader + 1, INTERACTIVE, Some(leader)).await;
    case.stage = Stage::clustered(&cluster, leader + 1).await;
    let lost = "connection_lost";
    worker.until_metrics(lost, |metrics| metrics.sessions(lost) > 0).await;
    case.script.release();
    case.until_settled(&[&worker]).await;
    // Until then its own consumers count as consumers, and the audit waits for the last to leave.
    cluster.node(leader).restart().await;
    cluster.until_whole(leader + 1).await;
    until_over(case, worker, lost).await;
}

/// The two other nodes die. The remaining node stays leader, but cannot store messages. Then they return.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a cluster of its own: make chaos runs it"]
async fn majority_lost() {
    const UNSTORED: &str = "jobs_in_flight{state=\"settling\"}";
    let cluster = Cluster::start().await;
    let (mut case, worker, leader) = in_the_middle("majority lost, of a cluster", &cluster).await;
    let others = [leader + 1, leader + 2];
    join_all(others.map(|place| cluster.node(place).kill())).await;
    case.script.release();
    // The jobs in flight are called. No more jobs are delivered, and no dead letter is confirmed.
    let stuck = worker
        .until_metrics("only dead letters in flight", |now| {
            let unstored = now.value(UNSTORED);
            unstored > 0 && now.sum("jobs_in_flight") == unstored
        })
        .await;
    let evidence = Evidence::of(stuck.value(UNSTORED), "dead letters waited for a majority");
    assert!(case.endpoint.count() < case.part(1.0), "everything was delivered before");
    join_all(others.map(|place| cluster.node(place).restart())).await;
    cluster.until_whole(leader).await;
    case.stage = Stage::clustered(&cluster, leader).await;
    case.until_settled(&[&worker]).await;
    // Acks without a majority may be lost, and so may acks of every lost session.
    let sessions = ["connection_lost", "channel_closed", "consumer_cancelled"];
    let now = worker.metrics().await;
    let lost: usize = sessions.iter().map(|ended_by| now.sessions(ended_by)).sum();
    let bound = case.in_flight_of(lost) + case.in_flight_at(1);
    case.close([worker], evidence, bound).await;
}
