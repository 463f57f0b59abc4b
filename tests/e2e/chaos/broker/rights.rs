//! The broker refuses the worker's login for a while.

use crate::{
    chaos::{Area, Case, Evidence, Plan, without_fault},
    harness::{Stage, Worker, broker::OwnBroker, canary},
};

/// The worker's user at the broker.
const USER: &str = "worker";

/// Locks the worker out during its work and closes its connections, because a broker does not do that by itself.
/// Restores access after some tries.
async fn locked_out(mut case: Case, lock: &[&str], unlock: &[&str]) {
    const TRIES: usize = 3;
    case.hold_at(0.3);
    case.publish_all().await;
    let worker: Worker = case.ready().await;
    case.until_held_at(0.3).await;
    let name = case.stage.host.name().to_owned();
    case.stage.host.node().ctl(lock).await;
    case.stage.host.node().ctl(&["close_all_connections", "-p", &name, "maintenance"]).await;
    worker.until_metrics("refusals", |metrics| metrics.sessions("connect_failed") >= TRIES).await;
    case.stage.host.node().ctl(unlock).await;
    case.script.release();
    case.stage.reconnect().await;
    case.until_settled(&[&worker]).await;
    let metrics = worker.metrics().await;
    let refused = Evidence::of(metrics.sessions("connect_failed"), "connections refused");
    let bound = case.in_flight_of(metrics.sessions("connection_lost"));
    case.close([worker], refused, bound).await;
}

/// The user loses all permissions in the virtual host, then regains them.
#[tokio::test(flavor = "multi_thread")]
async fn permissions_revoked() {
    let case = Plan::new(Area::Broker, "permissions revoked").begin().await;
    let host = case.stage.host.name().to_owned();
    let lock = ["clear_permissions", "-p", &host, USER];
    let unlock = ["set_permissions", "-p", &host, USER, ".*", ".*", ".*"];
    locked_out(case, &lock, &unlock).await;
}

/// The password is changed, then changed back.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a node of its own: make chaos runs it"]
async fn password_changed() {
    let node = OwnBroker::lent().await;
    let plan = Plan::new(Area::Broker, "password changed").jobs(1_200);
    let case = plan.begin_on(Stage::own(&node).await, without_fault).await;
    let lock = ["change_password", USER, "another-password"];
    let unlock = ["change_password", USER, canary::PASSWORD];
    locked_out(case, &lock, &unlock).await;
}
