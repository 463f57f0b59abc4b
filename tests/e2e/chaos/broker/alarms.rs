//! The broker runs out of memory or disk: it reads nothing more from whoever publishes.

use crate::{
    chaos::{Area, Evidence, Plan, lawful},
    harness::{Stage, broker::OwnBroker, eventually},
};

/// Raises an alarm in the middle of the work, and lifts it when letters have waited for longer than a confirm
/// may take.
async fn an_alarm(fault: &'static str, raise: &[&str], lift: &[&str]) {
    let node = OwnBroker::lent().await;
    let plan = Plan::new(Area::Broker, fault).jobs(2_000);
    let mut trial = plan.begin_on(Stage::own(&node).await, lawful).await;
    trial.launch = trial.launch.set("broker.confirm_timeout", "5s");
    trial.hold_at(0.2);
    trial.publish_all().await;
    let worker = trial.ready().await;
    trial.until_held_at(0.2).await;
    node.node().ctl(raise).await;
    eventually("the alarm", async || {
        let alarms = node.node().ctl(&["eval", "rabbit_alarm:get_local_alarms()."]).await;
        if alarms.contains("resource_limit") { Ok(()) } else { Err(alarms) }
    })
    .await;
    trial.law.release();
    worker
        .until_metrics("the blocked connection", |metrics| metrics.value("broker_blocked") == 1)
        .await;
    // Longer than the confirm deadline, by the worker's own clock.
    let oldest = "oldest_job_in_flight_seconds";
    let metrics =
        worker.until_metrics("a letter to wait", |metrics| metrics.value(oldest) >= 8).await;
    let waiting = metrics.value(r#"jobs_in_flight{state="settling"}"#);
    node.node().ctl(lift).await;
    trial.until_settled(&[&worker]).await;
    let timed_out = worker.metrics().await.publishes("dead_letter", "timed_out");
    assert_eq!(timed_out, 0, "the deadline of a confirm ran on");
    trial.close([worker], Evidence::of(waiting, "letters blocked"), 0).await;
}

/// More memory in use than the node may have.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a node of its own: make chaos runs it"]
async fn memory_alarm() {
    let set = "set_vm_memory_high_watermark";
    an_alarm("memory alarm", &[set, "absolute", "1"], &[set, "absolute", "1GB"]).await;
}

/// Less disk free than the node wants.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a node of its own: make chaos runs it"]
async fn disk_alarm() {
    let set = "set_disk_free_limit";
    an_alarm("disk alarm", &[set, "1000000GB"], &[set, "50MB"]).await;
}
