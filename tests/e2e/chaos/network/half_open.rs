//! Dead connections without a close, as after a firewall's time-out or a power loss.

use super::{broker_by, endpoint_by};
use crate::{
    chaos::{Area, Evidence, Plan, sized},
    harness::{BULK, INTERACTIVE, relay::Relay},
};

/// All connections to the broker fall silent permanently. Both sides miss heartbeats, and the worker reconnects.
#[tokio::test(flavor = "multi_thread")]
async fn the_broker_falls_silent() {
    let (jobs, times) = sized((400, 1), (10_000, 10));
    let mut case = Plan::new(Area::Network, "broker: half-open link").jobs(jobs).begin().await;
    let relay = Relay::open(case.stage.broker_address()).await;
    broker_by(&mut case, &relay);
    case.launch = case.launch.set("broker.heartbeat", "3s");
    case.publish_all().await;
    let worker = case.ready().await;
    for time in 1..=times {
        case.endpoint.until_count(jobs / (times + 1) * time).await;
        // Each lane has a session of its own, and one may come back later than the other.
        let metrics = worker
            .until_metrics("both sessions", |metrics| metrics.value("broker_connected") == 1)
            .await;
        let before = metrics.sessions("connection_lost");
        relay.swallow();
        worker
            .until_metrics("the end of both sessions", |metrics| {
                metrics.sessions("connection_lost") >= before + 2
            })
            .await;
    }
    // The jobs of the dead session return once the broker has missed heartbeats as well.
    case.until_settled(&[&worker]).await;
    for queue in [INTERACTIVE, BULK] {
        let amqp = &case.stage.amqp;
        amqp.until_depth(queue, "lose its dead consumer", |depth| depth.consumers == 1).await;
    }
    // A busy machine may be silent for as long by itself, so the bound is set at the end.
    case.until_settled(&[&worker]).await;
    let lost = worker.metrics().await.sessions("connection_lost");
    let evidence = Evidence::of(lost, "sessions ended without a heartbeat")
        .and(relay.swallowed(), "bytes lost silently");
    let bound = case.in_flight_of(lost);
    case.close([worker], evidence, bound).await;
}

/// The server accepts the connection and never answers. The worker must give it up, because other connections would be
/// answered.
#[tokio::test(flavor = "multi_thread")]
async fn the_broker_never_greets() {
    let mut case = Plan::new(Area::Network, "broker: silent from the start, and gone")
        .jobs(sized(200, 2_000))
        .begin()
        .await;
    let relay = Relay::open(case.stage.broker_address()).await;
    broker_by(&mut case, &relay);
    // Long enough for a working broker on a busy machine.
    case.launch = case.launch.set("broker.connect_timeout", "2s");
    case.publish_all().await;
    relay.swallow_new(true);
    let worker = case.start();
    let metrics = worker
        .until_metrics("failed connections", |metrics| metrics.sessions("connect_failed") >= 2)
        .await;
    relay.swallow_new(false);
    worker.until_ready().await;
    let evidence = Evidence::of(metrics.sessions("connect_failed"), "failed connections")
        .and(relay.swallowed(), "bytes lost silently");
    case.close([worker], evidence, 0).await;
}

/// All connections to the endpoint fall silent permanently. Their calls time out, and later calls use new connections.
#[tokio::test(flavor = "multi_thread")]
async fn the_endpoint_falls_silent() {
    let (jobs, times) = sized((400, 1), (10_000, 10));
    let mut case = Plan::new(Area::Network, "endpoint: half-open link").jobs(jobs).begin().await;
    let relay = Relay::open(case.endpoint.address()).await;
    endpoint_by(&mut case, &relay);
    case.launch = case.launch.set("endpoint.connect_timeout", "5s").set("endpoint.timeout", "5s");
    let share = jobs / (times + 1);
    case.script.hold_after(share);
    case.publish_all().await;
    let worker = case.ready().await;
    for time in 1..=times {
        case.endpoint.until_count(share * time + case.calls_at_a_time()).await;
        let before = worker.metrics().await.calls("timeout");
        relay.swallow();
        // The held answers are sent, and are lost.
        case.script.hold_after(share * (time + 1));
        worker
            .until_metrics("calls without an answer", |metrics| metrics.calls("timeout") > before)
            .await;
    }
    case.script.release();
    // Tokens of timed-out calls may be revoked, and are called again.
    case.until_settled(&[&worker]).await;
    let lost = worker.metrics().await.calls("timeout");
    let evidence = Evidence::of(lost, "calls that ended as `timeout`")
        .and(relay.swallowed(), "bytes lost silently");
    let bound = case.in_flight_at(times);
    case.close([worker], evidence, bound).await;
}
