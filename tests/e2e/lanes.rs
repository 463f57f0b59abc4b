//! Tests that a fault of one lane's connection does not stop the other lane, and that the operator learns the lane, the
//! cause and the remedy.

use serde_json::Value;

use crate::harness::{
    Answer, BULK, DEAD, Endpoint, Gate, INTERACTIVE, Message, Stage, Worker, amqp::quorum,
    relay::Relay, token, web::Page, worker::field,
};

/// Jobs of the lane that continues.
const JOBS: usize = 200;

/// The text of `/readyz` about the consumer.
fn reason(page: &Page) -> String {
    let body: Value = serde_json::from_str(&page.body).unwrap();
    body["parts"]["consumer"]["reason"].as_str().unwrap_or_default().to_owned()
}

/// Waits until `/readyz` reports not ready with these words.
async fn until_told(worker: &Worker, words: &[&str]) -> String {
    let told =
        |page: &Page| page.status == 503 && words.iter().all(|word| reason(page).contains(word));
    reason(&worker.until_page("/readyz", &format!("to say {words:?}"), told).await)
}

/// The causes that the log names for a lane that does not consume.
fn causes(worker: &Worker, lane: &str) -> Vec<String> {
    let lines = worker.said("not consuming");
    let of_lane = lines.iter().filter(|line| field(line, "lane") == Some(lane));
    of_lane.map(|line| field(line, "cause").unwrap().to_owned()).collect()
}

/// The tokens of the jobs that [`goes_on`] sends.
fn tokens(first: usize) -> impl Iterator<Item = String> + Clone {
    (first..first + JOBS).map(token)
}

/// A lane does all of its jobs, each with one call.
async fn goes_on(stage: &Stage, worker: &Worker, endpoint: &Endpoint, queue: &str, first: usize) {
    let before = worker.metrics().await.processed("revoked");
    stage.amqp.publish_all(queue, tokens(first).map(|token| Message::job(&token))).await;
    worker.until_processed("revoked", before + JOBS).await;
    for token in tokens(first) {
        assert_eq!(endpoint.of(&token).len(), 1, "{token}");
    }
}

/// A lane's queue is deleted, and the worker does not declare queues: the other lane is not affected.
#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_queue_stops_its_own_lane_alone() {
    let stage = Stage::new().await;
    let endpoint = Endpoint::willing().await;
    stage.amqp.declare_family().await;
    for lane in ["interactive", "bulk"] {
        stage.amqp.declare(&format!("revocations.retry.{lane}.1s"), quorum()).await;
    }
    let worker = stage.run(&endpoint).set("broker.declare", false).ready().await;
    stage.amqp.delete(BULK).await;
    let said = until_told(
        &worker,
        &[
            "the bulk lane does not consume: queue revocations.bulk does not exist, and broker.declare is false",
            "the owner of the queues has to declare it",
            "the interactive lane continues",
        ],
    )
    .await;
    assert!(!said.contains("interactive lane does not"), "{said}");
    goes_on(&stage, &worker, &endpoint, INTERACTIVE, 0).await;
    let page = worker.page("/").await.body;
    assert!(page.contains("the bulk lane does not consume: queue revocations.bulk"), "{page}");
    let metrics = worker.metrics().await;
    assert_eq!(metrics.value("broker_connected"), 0);
    assert_eq!(metrics.sessions("consumer_cancelled"), 1);
    assert_eq!(metrics.sessions("connection_lost") + metrics.sessions("channel_closed"), 0);

    stage.amqp.declare_family().await;
    worker.until_ready().await;
    goes_on(&stage, &worker, &endpoint, BULK, JOBS).await;
    worker.signal("TERM");
    worker.exit().await;
    assert_eq!(causes(&worker, "interactive"), Vec::<String>::new());
    let causes = causes(&worker, "bulk");
    assert_eq!(causes.len(), 2, "a line for each change: {causes:?}");
    assert!(causes[0].starts_with("queue revocations.bulk was deleted"), "{causes:?}");
}

/// The worker's rights on one lane's queue are withdrawn, and its connection is closed: the other lane continues,
/// also in a worker that begins then.
async fn withdrawn_rights_stop_one_lane(lane: &str, queue: &str, other: &str, granted: &str) {
    let stage = Stage::new().await;
    let endpoint = Endpoint::willing().await;
    let worker = stage.run(&endpoint).ready().await;
    stage.host.grant(granted).await;
    stage.host.close_connection(&format!("consume {lane}"), "rights have changed").await;
    let refused = format!("the {lane} lane does not consume: queue {queue}: ACCESS_REFUSED - ");
    let words = [
        refused.as_str(),
        "(reply code 403); check the user, its password and its rights",
        "lane continues",
    ];
    until_told(&worker, &words).await;
    goes_on(&stage, &worker, &endpoint, other, 0).await;
    let metrics = worker.metrics().await;
    assert_eq!(metrics.sessions("connection_lost"), 1, "the other lane lost its session");
    worker.stop().await;

    let worker = stage.run(&endpoint).start();
    until_told(&worker, &words).await;
    goes_on(&stage, &worker, &endpoint, other, JOBS).await;
    stage.host.grant(".*").await;
    worker.until_ready().await;
    goes_on(&stage, &worker, &endpoint, queue, 2 * JOBS).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_that_the_bulk_lane_lacks_do_not_stop_logouts() {
    let granted = r"^revocations(|\.dead|\.retry\.interactive\..*)$";
    withdrawn_rights_stop_one_lane("bulk", BULK, INTERACTIVE, granted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_that_the_interactive_lane_lacks_do_not_stop_sweeps() {
    let granted = r"^revocations\.(bulk|dead|retry\.bulk\..*)$";
    withdrawn_rights_stop_one_lane("interactive", INTERACTIVE, BULK, granted).await;
}

/// The operator closes every connection with a reason: `/readyz` and the log report it. New connections are not
/// answered, so that the worker cannot be ready again before the test has checked.
#[tokio::test(flavor = "multi_thread")]
async fn the_reason_of_a_close_is_reported() {
    let mut stage = Stage::new().await;
    let endpoint = Endpoint::willing().await;
    let relay = Relay::open(stage.broker_address()).await;
    let worker = stage.run(&endpoint).set("broker.url", stage.url_by(&relay)).ready().await;
    relay.swallow_new(true);
    let name = stage.host.name().to_owned();
    stage.host.node().ctl(&["close_all_connections", "-p", &name, "maintenance"]).await;
    let words = ["neither lane consumes: CONNECTION_FORCED", "maintenance", "(reply code 320)"];
    until_told(&worker, &words).await;
    for lane in ["interactive", "bulk"] {
        let causes = causes(&worker, lane);
        assert!(causes[0].contains("maintenance"), "{causes:?}");
    }
    assert_eq!(worker.metrics().await.sessions("connection_lost"), 2);
    stage.reconnect().await;
    worker.kill().await;
}

/// The same in a pause, without a consumer.
#[tokio::test(flavor = "multi_thread")]
async fn the_reason_of_a_close_is_reported_without_a_consumer() {
    const FEW: usize = 10;
    let stage = Stage::new().await;
    let (endpoint, recovered) = Endpoint::failing(Answer::revoked).await;
    let launch = stage.run(&endpoint).set("flow.pause.after_failures", 5);
    let worker = launch.set("flow.pause.probe_initial", "100ms").ready().await;
    stage.amqp.publish_all(INTERACTIVE, (0..FEW).map(|n| Message::job(&token(n)))).await;
    worker.until_log_lines("paused again", 1).await;
    stage.host.close_connection("consume interactive", "window of maintenance").await;
    worker.until_log_lines("not consuming", 1).await;
    assert_eq!(causes(&worker, "bulk"), Vec::<String>::new());
    let causes = causes(&worker, "interactive");
    assert!(causes[0].contains("window of maintenance"), "{causes:?}");
    recovered.open();
    worker.until_processed("revoked", FEW).await;
    worker.stop().await;
}

/// A fault inside the broker ends one lane's connection with 541.
#[tokio::test(flavor = "multi_thread")]
async fn an_internal_error_of_the_broker_is_reported_and_stops_one_lane_alone() {
    let stage = Stage::new().await;
    let endpoint = Endpoint::willing().await;
    let worker = stage.run(&endpoint).ready().await;
    stage.amqp.until_depth(BULK, "be consumed", |depth| depth.consumers == 1).await;
    stage.host.crash_channels("consume bulk").await;
    worker.until_log_lines("not consuming", 1).await;
    assert_eq!(causes(&worker, "interactive"), Vec::<String>::new());
    let causes = causes(&worker, "bulk");
    assert!(causes[0].starts_with("INTERNAL_ERROR"), "{causes:?}");
    assert!(causes[0].ends_with("(reply code 541)"), "{causes:?}");
    worker.until_ready().await;
    goes_on(&stage, &worker, &endpoint, BULK, 0).await;
    worker.stop().await;
}

/// Every delivery of the bulk lane cuts its connection. The logouts are all done, each with one call. In the end the
/// worker suspects the lane's first messages, stops logging, and still reports the depth of its queue.
#[tokio::test(flavor = "multi_thread")]
async fn a_lane_whose_deliveries_break_its_connection_does_not_stop_the_other() {
    let stage = Stage::new().await;
    let endpoint = Endpoint::willing().await;
    let relay = Relay::open(stage.broker_address()).await;
    let worker = stage.run(&endpoint).set("broker.url", stage.url_by(&relay)).ready().await;
    relay.cut_deliveries_of(Some("consume bulk"));
    stage.amqp.publish_all(BULK, tokens(0).map(|token| Message::job(&token))).await;
    relay.cut_often(2).await;
    goes_on(&stage, &worker, &endpoint, INTERACTIVE, JOBS).await;
    assert_eq!(endpoint.count(), JOBS, "a bulk job came through");

    let suspected =
        "soon after revocations.bulk is consumed: one of its first messages may be the cause";
    let words = ["the bulk lane does not consume", suspected, "the interactive lane continues"];
    let said = until_told(&worker, &words).await;
    let lines = worker.said("consuming").len() + worker.said("not consuming").len();
    relay.cut_often(relay.cuts() + 3).await;
    assert_eq!(reason(&worker.page("/readyz").await), said, "it is ready in between");
    assert_eq!(worker.said("consuming").len() + worker.said("not consuming").len(), lines);
    goes_on(&stage, &worker, &endpoint, INTERACTIVE, 2 * JOBS).await;
    let depth = r#"queue_messages{queue="bulk"}"#;
    worker.until_metrics("the lane's depth", |metrics| metrics.value(depth) == JOBS).await;

    relay.cut_deliveries_of(None);
    worker.until_processed("revoked", 3 * JOBS).await;
    worker.until_ready().await;
    let metrics = worker.metrics().await;
    assert_eq!(metrics.sessions("connection_lost"), relay.cuts(), "another session was lost");
    worker.stop().await;
    assert_eq!(stage.amqp.depth(DEAD).await.unwrap().ready, 0);
}

/// After a pause each lane consumes again by itself: logouts do not wait for bulk jobs whose calls hang.
#[tokio::test(flavor = "multi_thread")]
async fn logouts_do_not_wait_for_bulk_jobs_in_flight_after_a_pause() {
    const PREFETCH: usize = 8;
    const FAILING: usize = 6;
    let stage = Stage::new().await;
    let (recovered, over) = (Gate::default(), Gate::default());
    let (is_back, end) = (recovered.clone(), over.clone());
    let bulk: Vec<String> = (0..PREFETCH).map(token).collect();
    let hanging = bulk.clone();
    let endpoint = Endpoint::start(move |call| match (hanging.contains(&call.token), &is_back) {
        (true, _) => Answer::revoked().after(&end),
        (false, is_back) if is_back.is_open() => Answer::revoked(),
        (false, _) => Answer::status(503),
    })
    .await;
    let worker = stage
        .run(&endpoint)
        .set("broker.prefetch", PREFETCH)
        .set("flow.concurrency.max", 4 * PREFETCH)
        .set("flow.pause.after_failures", FAILING)
        .set("flow.pause.probe_initial", "100ms")
        .ready()
        .await;
    stage.amqp.publish_all(BULK, bulk.iter().map(|token| Message::job(token))).await;
    endpoint.until_count(PREFETCH).await;
    let failing = (0..FAILING).map(|n| Message::job(&token(PREFETCH + n)));
    stage.amqp.publish_all(INTERACTIVE, failing).await;
    worker.until_log_lines("paused again", 1).await;
    recovered.open();
    worker.until_processed("revoked", FAILING).await;

    goes_on(&stage, &worker, &endpoint, INTERACTIVE, JOBS).await;
    let in_flight = worker.metrics().await.value("jobs_in_flight{state=\"calling\"}");
    assert_eq!(in_flight, PREFETCH, "the bulk jobs did not hang");
    over.open();
    worker.until_processed("revoked", FAILING + JOBS + PREFETCH).await;
    worker.stop().await;
}
