//! The broker closes the worker's connections or channels, or is absent at the start.

use crate::{
    chaos::{Area, Case, EndpointScript, Evidence, Plan},
    harness::{
        BULK, Endpoint, Gate, INTERACTIVE, Stage, Worker, broker::OwnBroker, relay::Relay,
        wait::eventually,
    },
};

/// No server listens on the broker's address at first.
#[tokio::test(flavor = "multi_thread")]
async fn absent_at_start() {
    const TRIES: usize = 4;
    let mut case = Plan::new(Area::Broker, "absent at start").begin().await;
    let mut relay = Relay::shut(case.stage.broker_address());
    case.launch = case.launch.set("broker.url", case.stage.url_by(&relay));
    case.publish_all().await;
    let worker = case.start();
    let metrics =
        worker.until_metrics("tries", |metrics| metrics.sessions("connect_failed") >= TRIES).await;
    let tries = metrics.sessions("connect_failed");
    case.check_metrics(&worker).await;
    relay.reopen().await;
    case.close([worker], Evidence::of(tries, "connections refused"), 0).await;
}

/// The broker's operator closes every connection while calls are in flight, three times.
#[tokio::test(flavor = "multi_thread")]
async fn all_connections_closed() {
    let mut case = Plan::new(Area::Broker, "all connections closed").begin().await;
    case.hold_at(0.2);
    case.publish_all().await;
    let worker = case.ready().await;
    let name = case.stage.host.name().to_owned();
    for (share, next) in [(0.2, 0.4), (0.4, 0.6), (0.6, 1.0)] {
        case.until_held_at(share).await;
        let lost = "connection_lost";
        let before = worker.metrics().await.sessions(lost);
        case.stage.host.node().ctl(&["close_all_connections", "-p", &name, "maintenance"]).await;
        // Both lanes.
        worker.until_metrics(lost, |metrics| metrics.sessions(lost) >= before + 2).await;
        case.hold_at(next);
        worker.until_ready().await;
    }
    case.script.release();
    case.stage.reconnect().await;
    until_over(case, worker, "connection_lost").await;
}

/// A lane's queue is deleted under its consumer and declared again, while the other lane is busy.
#[tokio::test(flavor = "multi_thread")]
async fn consumer_cancelled() {
    let mut case = Plan::new(Area::Broker, "consumer cancelled").begin().await;
    case.publish(20).await;
    let worker = case.ready().await;
    case.until_settled(&[&worker]).await;
    for queue in [INTERACTIVE, BULK] {
        let cancelled = "consumer_cancelled";
        let before = worker.metrics().await.sessions(cancelled);
        case.stage.amqp.delete(queue).await;
        worker.until_metrics(cancelled, |metrics| metrics.sessions(cancelled) > before).await;
        case.stage.amqp.until_depth(queue, "be consumed", |depth| depth.consumers == 1).await;
        let half = case.part(0.4);
        case.publish(half).await;
        case.until_settled(&[&worker]).await;
    }
    case.publish_all().await;
    until_over(case, worker, "consumer_cancelled").await;
}

/// The broker forgets both consumers without a notice, as after a cluster's temporary loss of its majority. Jobs wait,
/// and none is delivered. The worker detects that by itself.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a minute of waiting: make chaos runs it"]
async fn consumers_forgotten() {
    let mut case = Plan::new(Area::Broker, "consumers forgotten").begin().await;
    case.publish(20).await;
    let worker = case.ready().await;
    case.until_settled(&[&worker]).await;
    let forgotten = case.stage.host.forget_consumers(&[INTERACTIVE, BULK]).await;
    assert_eq!(forgotten, 2);
    case.publish_all().await;
    case.until_settled(&[&worker]).await;
    // Each lane detects it by itself. A lane that is served again keeps its session. No job was in flight.
    assert_eq!(worker.metrics().await.sessions("consumer_cancelled"), 2);
    let evidence = Evidence::of(forgotten, "consumers forgotten");
    case.close([worker], evidence, 0).await;
}

/// The end of a session over a late ack: RabbitMQ closes its channel, or, from 4.3 on, cancels the consumer and leaves
/// the channel open.
const TIMED_OUT: [&str; 2] = ["channel_closed", "consumer_cancelled"];

/// A call takes longer than the broker's limit for an unacked delivery. The broker ends the consumer, and requeues
/// every job in flight.
///
/// In a few per cent of cases, RabbitMQ 4.3 loses its timer: the queue was busy in the millisecond of its expiry. The
/// next command to the queue restores it, so the test sends one.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a node of its own: make chaos runs it"]
async fn ack_timed_out() {
    let node = OwnBroker::lent().await;
    let patience = async |timeout: u32, tick: u32| {
        let set = format!(
            "application:set_env(rabbit, consumer_timeout, {timeout}), \
             application:set_env(rabbit, channel_tick_interval, {tick})."
        );
        node.node().ctl(&["eval", &set]).await;
    };
    patience(3_000, 500).await;
    let gate = Gate::default();
    let held = gate.clone();
    let endpoint = async |script: EndpointScript| {
        Endpoint::start(move |call| {
            let answer = script.answer(call);
            if call.nth == 1 && call.token.ends_with('5') { answer.after(&held) } else { answer }
        })
        .await
    };
    let plan = Plan::new(Area::Broker, "ack time-out at a few seconds");
    let mut case = plan.begin_on(Stage::own(&node).await, endpoint).await;
    let worker = case.ready().await;
    case.publish_all().await;
    let ended = eventually("the time-out of an ack", async || {
        let metrics = worker.metrics().await;
        if let Some(ended) = TIMED_OUT.into_iter().find(|by| metrics.sessions(by) >= 1) {
            return Ok(ended);
        }
        case.stage.host.nudge(&[INTERACTIVE, BULK]).await;
        Err("no session that ended".to_owned())
    })
    .await;
    gate.open();
    patience(1_800_000, 60_000).await;
    until_over(case, worker, ended).await;
}

/// Finishes the work and audits it: the jobs in flight of a lane at the end of each such session may be called
/// twice.
pub async fn until_over(case: Case, worker: Worker, ended_by: &str) {
    case.until_settled(&[&worker]).await;
    let sessions = worker.metrics().await.sessions(ended_by);
    let bound = case.in_flight_of(sessions);
    let evidence = Evidence::of(sessions, &format!("sessions ended by {ended_by}"));
    case.close([worker], evidence, bound).await;
}
