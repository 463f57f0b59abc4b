//! Queues are deleted, or accept no more messages.

use super::sessions::until_over;
use crate::{
    chaos::{Area, Evidence, Plan},
    harness::{BULK, DEAD, INTERACTIVE, OUTCOMES, relay::Relay},
};

/// Every queue of the family is deleted after the worker has settled all jobs. The worker declares them again, and the
/// producer continues.
#[tokio::test(flavor = "multi_thread")]
async fn queue_deleted() {
    let mut case = Plan::new(Area::Broker, "queue deleted").begin().await;
    let half = case.part(0.5);
    case.publish(half).await;
    let worker = case.ready().await;
    case.until_settled(&[&worker]).await;
    case.save_letters().await;
    let parked = ["interactive", "bulk"].map(|lane| format!("revocations.retry.{lane}.1s"));
    for queue in [DEAD, &parked[0], &parked[1], INTERACTIVE, BULK] {
        case.stage.amqp.delete(queue).await;
    }
    for queue in [INTERACTIVE, BULK] {
        case.stage.amqp.until_depth(queue, "be consumed", |depth| depth.consumers == 1).await;
    }
    case.publish_all().await;
    until_over(case, worker, "consumer_cancelled").await;
}

/// The dead-letter queue is deleted, empty, while jobs that need it are under way.
#[tokio::test(flavor = "multi_thread")]
async fn dead_letter_queue_gone() {
    let mut case = Plan::new(Area::Broker, "dead-letter queue gone").begin().await;
    let worker = case.ready().await;
    case.stage.amqp.delete(DEAD).await;
    case.publish_all().await;
    case.until_settled(&[&worker]).await;
    let returned = worker.metrics().await.publishes("dead_letter", "returned");
    case.close([worker], Evidence::of(returned, "dead letters returned"), 0).await;
}

/// The dead-letter queue refuses by policy: verdicts wait in memory until there is room.
#[tokio::test(flavor = "multi_thread")]
async fn dead_letter_queue_full() {
    const REFUSALS: usize = 3;
    let mut case = Plan::new(Area::Broker, "dead-letter queue full").begin().await;
    let worker = case.ready().await;
    let name = case.stage.host.name().to_owned();
    let limit = r#"{"max-length":1,"overflow":"reject-publish"}"#;
    let pattern = r"^revocations\.dead$";
    let policy = ["set_policy", "-p", &name, "full", pattern, limit, "--apply-to", "queues"];
    case.stage.host.node().ctl(&policy).await;
    case.publish_all().await;
    let metrics = worker
        .until_metrics("refusals", |metrics| metrics.publishes("dead_letter", "nacked") >= REFUSALS)
        .await;
    let refused = metrics.publishes("dead_letter", "nacked");
    case.stage.host.node().ctl(&["clear_policy", "-p", &name, "full"]).await;
    case.close([worker], Evidence::of(refused, "dead letters refused"), 0).await;
}

/// The queue of outcome events is deleted, empty, while jobs that need it are under way.
#[tokio::test(flavor = "multi_thread")]
async fn outcomes_queue_gone() {
    let mut case = Plan::new(Area::Broker, "outcomes queue gone").begin().await;
    let worker = case.ready().await;
    case.stage.amqp.delete(OUTCOMES).await;
    case.publish_all().await;
    case.until_settled(&[&worker]).await;
    let returned = worker.metrics().await.publishes("outcome", "returned");
    case.close([worker], Evidence::of(returned, "events returned"), 0).await;
}

/// The queue of outcome events refuses by policy: verdicts wait in memory until there is room.
#[tokio::test(flavor = "multi_thread")]
async fn outcomes_queue_full() {
    const REFUSALS: usize = 3;
    let mut case = Plan::new(Area::Broker, "outcomes queue full").begin().await;
    let worker = case.ready().await;
    let name = case.stage.host.name().to_owned();
    let limit = r#"{"max-length":1,"overflow":"reject-publish"}"#;
    let pattern = r"^revocations\.outcomes$";
    let policy = ["set_policy", "-p", &name, "full", pattern, limit, "--apply-to", "queues"];
    case.stage.host.node().ctl(&policy).await;
    case.publish_all().await;
    let metrics = worker
        .until_metrics("refusals", |metrics| metrics.publishes("outcome", "nacked") >= REFUSALS)
        .await;
    let refused = metrics.publishes("outcome", "nacked");
    case.stage.host.node().ctl(&["clear_policy", "-p", &name, "full"]).await;
    case.close([worker], Evidence::of(refused, "events refused"), 0).await;
}

/// The confirms of stored events are lost with the connections. The jobs are delivered again, and have another event.
#[tokio::test(flavor = "multi_thread")]
async fn confirms_of_events_lost() {
    const CONFIRMED: u64 = 3;
    let mut case = Plan::new(Area::Broker, "confirms of outcome events lost").begin().await;
    let relay = Relay::open_to_broker(case.stage.broker_address()).await;
    case.launch = case.launch.set("broker.url", case.stage.url_by(&relay));
    let worker = case.ready().await;
    relay.confirm_up_to(CONFIRMED);
    case.publish_all().await;
    relay.withheld(CONFIRMED + 1).await;
    let lost = usize::try_from(relay.highest_withheld() - CONFIRMED).unwrap();
    relay.reset();
    relay.release_confirms();
    let bound = case.in_flight_at(1);
    case.close([worker], Evidence::of(lost, "confirms withheld on one channel"), bound).await;
}
