//! The worker is not let in for a while.

use crate::{
    chaos::{Area, Evidence, Plan, Trial, lawful},
    harness::{Stage, Worker, broker::OwnBroker, canary},
};

/// The worker's user at the broker.
const USER: &str = "worker";

/// Locks the worker out in the middle of its work, has its connections closed, as a broker does not do by
/// itself, and lets it in again after some tries.
async fn locked_out(mut trial: Trial, lock: &[&str], unlock: &[&str]) {
    const TRIES: usize = 3;
    trial.hold_at(0.3);
    trial.publish_all().await;
    let worker: Worker = trial.ready().await;
    trial.until_held_at(0.3).await;
    let name = trial.stage.host.name().to_owned();
    trial.stage.host.node().ctl(lock).await;
    trial.stage.host.node().ctl(&["close_all_connections", "-p", &name, "maintenance"]).await;
    worker.until_metrics("refusals", |metrics| metrics.sessions("connect_failed") >= TRIES).await;
    trial.stage.host.node().ctl(unlock).await;
    trial.law.release();
    trial.stage.reconnect().await;
    trial.until_settled(&[&worker]).await;
    let metrics = worker.metrics().await;
    let refused = Evidence::of(metrics.sessions("connect_failed"), "connections refused");
    let bound = trial.in_hand_of(metrics.sessions("connection_lost"));
    trial.close([worker], refused, bound).await;
}

/// The user may do nothing in the virtual host, then may again.
#[tokio::test(flavor = "multi_thread")]
async fn permissions_revoked() {
    let trial = Plan::new(Area::Broker, "permissions revoked").begin().await;
    let host = trial.stage.host.name().to_owned();
    let lock = ["clear_permissions", "-p", &host, USER];
    let unlock = ["set_permissions", "-p", &host, USER, ".*", ".*", ".*"];
    locked_out(trial, &lock, &unlock).await;
}

/// The password is another one, then the old one again.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a node of its own: make chaos runs it"]
async fn password_changed() {
    let node = OwnBroker::lent().await;
    let plan = Plan::new(Area::Broker, "password changed").jobs(1_200);
    let trial = plan.begin_on(Stage::own(&node).await, lawful).await;
    let lock = ["change_password", USER, "another-password"];
    let unlock = ["change_password", USER, canary::PASSWORD];
    locked_out(trial, &lock, &unlock).await;
}
