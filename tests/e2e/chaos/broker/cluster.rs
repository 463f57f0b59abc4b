//! Nodes of a cluster of three die under load.

use futures_util::future::join_all;

use super::sessions::until_over;
use crate::{
    chaos::{Area, Evidence, Plan, Trial},
    harness::{INTERACTIVE, Stage, Worker, cluster::Cluster},
};

/// A worker in the middle of its work, connected to the node that leads the queues, whose place is told.
async fn in_the_middle(fault: &'static str, cluster: &Cluster) -> (Trial, Worker, usize) {
    // Much in hand, so that some of it is condemned whatever the seed.
    let plan = Plan::new(Area::Broker, fault).jobs(2_000).prefetch(64);
    let mut trial = plan.begin_on(Stage::clustered(cluster, 0).await, crate::chaos::lawful).await;
    cluster.until_whole(0).await;
    let leader = cluster.leader(0, INTERACTIVE, None).await;
    trial.launch = trial.launch.set("broker.url", cluster.worker_urls(leader));
    trial.hold_at(0.4);
    trial.publish_all().await;
    let worker = trial.ready().await;
    trial.until_held_at(0.4).await;
    (trial, worker, leader)
}

/// The node that leads the queues, and that the worker is connected to, dies; all is done without it.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a cluster of its own: make chaos runs it"]
async fn leader_lost() {
    let cluster = Cluster::start().await;
    let (mut trial, worker, leader) = in_the_middle("leader lost, of a cluster", &cluster).await;
    cluster.node(leader).kill().await;
    cluster.leader(leader + 1, INTERACTIVE, Some(leader)).await;
    trial.stage = Stage::clustered(&cluster, leader + 1).await;
    let lost = "connection_lost";
    worker.until_metrics(lost, |metrics| metrics.sessions(lost) > 0).await;
    trial.law.release();
    trial.until_settled(&[&worker]).await;
    // Until then its own consumers count as consumers, and the audit waits for the last to leave.
    cluster.node(leader).restart().await;
    cluster.until_whole(leader + 1).await;
    until_over(trial, worker, lost).await;
}

/// The two other nodes die: the one that is left leads on, and may not store anything. Then they are back.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a cluster of its own: make chaos runs it"]
async fn majority_lost() {
    const UNSTORED: &str = "jobs_in_flight{state=\"settling\"}";
    let cluster = Cluster::start().await;
    let (mut trial, worker, leader) = in_the_middle("majority lost, of a cluster", &cluster).await;
    let others = [leader + 1, leader + 2];
    join_all(others.map(|place| cluster.node(place).kill())).await;
    trial.law.release();
    // What was in hand is called for; no more of it is delivered, and its dead letters are not confirmed.
    let stuck = worker
        .until_metrics("nothing but dead letters in hand", |now| {
            let unstored = now.value(UNSTORED);
            unstored > 0 && now.sum("jobs_in_flight") == unstored
        })
        .await;
    let evidence = Evidence::of(stuck.value(UNSTORED), "dead letters waited for a majority");
    assert!(trial.endpoint.count() < trial.part(1.0), "everything was delivered before");
    join_all(others.map(|place| cluster.node(place).restart())).await;
    cluster.until_whole(leader).await;
    trial.stage = Stage::clustered(&cluster, leader).await;
    trial.until_settled(&[&worker]).await;
    // Acks that had no majority may be lost with it, and with every session as ever.
    let sessions = ["connection_lost", "channel_closed", "consumer_cancelled"];
    let now = worker.metrics().await;
    let lost: usize = sessions.iter().map(|ended_by| now.sessions(ended_by)).sum();
    let bound = trial.in_hand_of(lost) + trial.in_hand_at(1);
    trial.close([worker], evidence, bound).await;
}
