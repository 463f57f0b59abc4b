//! The broker runs out of memory or disk: it reads no more from publishing connections.

use std::time::{Duration, Instant};

use crate::{
    chaos::{Area, Evidence, Plan, without_fault},
    harness::{Stage, broker::OwnBroker, eventually, scrape::Scrape},
};

/// `broker.confirm_timeout`, long enough for a busy machine to confirm a message.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(30);

/// Raises an alarm during the work, and clears it when messages have waited for longer than the confirm time-out.
async fn an_alarm(fault: &'static str, raise: &[&str], lift: &[&str]) {
    let node = OwnBroker::lent().await;
    let plan = Plan::new(Area::Broker, fault).jobs(2_000);
    let mut case = plan.begin_on(Stage::own(&node).await, without_fault).await;
    let limit = humantime::format_duration(CONFIRM_TIMEOUT);
    case.launch = case.launch.set("broker.confirm_timeout", limit);
    case.hold_at(0.2);
    case.publish_all().await;
    let worker = case.ready().await;
    case.until_held_at(0.2).await;
    node.node().ctl(raise).await;
    eventually("the alarm", async || {
        let alarms = node.node().ctl(&["eval", "rabbit_alarm:get_local_alarms()."]).await;
        if alarms.contains("resource_limit") { Ok(()) } else { Err(alarms) }
    })
    .await;
    case.script.release();
    let letters = |metrics: &Scrape| metrics.value(r#"jobs_in_flight{state="settling"}"#);
    worker
        .until_metrics("letters on a blocked connection", |metrics| {
            metrics.value("broker_blocked") == 1 && letters(metrics) > 0
        })
        .await;
    let since = Instant::now();
    let metrics = worker
        .until_metrics("a deadline to pass", |_| since.elapsed() > CONFIRM_TIMEOUT * 4 / 3)
        .await;
    let waiting = letters(&metrics);
    node.node().ctl(lift).await;
    case.until_settled(&[&worker]).await;
    let timed_out = worker.metrics().await.publishes("dead_letter", "timed_out");
    assert_eq!(timed_out, 0, "the deadline of a confirm ran on");
    case.close([worker], Evidence::of(waiting, "dead letters blocked"), 0).await;
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
