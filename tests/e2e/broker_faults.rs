//! The broker goes away, closes, cancels or changes: the worker starts a new session soon and loses no job.

use lapin::types::FieldTable;

use crate::harness::{
    Answer, AnswerKind, BULK, DEAD, Endpoint, Gate, INTERACTIVE, Message, Stage,
    amqp::{dead_lettering, quorum},
    endpoint::Entry,
    message::{table, text},
    relay::Relay,
    token,
    web::Page,
    worker::field,
};

/// Without a broker at the start, the worker runs, is not ready, reports the cause, and keeps retrying. It logs the
/// change, not each try. When the broker is up, it consumes.
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_absent_at_the_start_is_waited_for() {
    let stage = Stage::new().await;
    stage.amqp.declare_family().await;
    stage.amqp.publish(INTERACTIVE, Message::job(&token(1))).await;
    let endpoint = Endpoint::willing().await;
    let mut relay = Relay::shut(stage.broker_address());
    let worker = stage.run(&endpoint).set("broker.url", stage.url_by(&relay)).start();

    let tried = |least: usize| {
        let worker = &worker;
        async move {
            let what = format!("{least} tries");
            worker.until_metrics(&what, |metrics| metrics.sessions("connect_failed") >= least).await
        }
    };
    tried(2).await;
    let reason = worker.until_unready().await;
    assert!(reason.contains(&relay.address().to_string()), "{reason}");
    assert_eq!(worker.page("/livez").await.status, 200);
    let metrics = tried(6).await;
    assert_eq!(metrics.value("broker_connected"), 0);
    assert_eq!(endpoint.count(), 0);

    relay.reopen().await;
    worker.until_ready().await;
    worker.until_processed("revoked", 1).await;
    assert_eq!(worker.metrics().await.value("broker_connected"), 1);
    // A separate thread writes the log: it is complete when the worker has ended.
    worker.signal("TERM");
    worker.exit().await;
    let refused = worker.said("not consuming");
    let mut lanes: Vec<_> = refused.iter().filter_map(|line| field(line, "lane")).collect();
    lanes.sort_unstable();
    assert_eq!(lanes, ["bulk", "interactive"], "a line for each change, not for each try");
    let address = relay.address().to_string();
    assert!(refused.iter().all(|line| field(line, "cause").unwrap().contains(&address)));
}

/// Injects a fault into the worker's session while calls are in flight.
async fn survives(fault: impl AsyncFnOnce(&mut Stage, &Relay), ended_by: &str) {
    const JOBS: usize = 10;
    let mut stage = Stage::new().await;
    let gate = Gate::default();
    let held = gate.clone();
    // The first calls hang until the fault is over. Then the endpoint answers that it revoked them.
    let endpoint = Endpoint::start(move |call| match call.nth {
        1 => Answer::revoked().after(&held),
        _ => Answer::rejected(),
    })
    .await;
    let relay = Relay::open(stage.broker_address()).await;
    let worker = stage
        .run(&endpoint)
        .set("broker.url", stage.url_by(&relay))
        .set("endpoint.timeout", "10m")
        .ready()
        .await;
    stage.amqp.publish_all(INTERACTIVE, (0..JOBS).map(|n| Message::job(&token(n)))).await;
    endpoint.until_count(JOBS).await;

    fault(&mut stage, &relay).await;
    worker.until_metrics(ended_by, |metrics| metrics.sessions(ended_by) >= 1).await;
    gate.open();
    worker.until_ready().await;
    stage.amqp.publish(INTERACTIVE, Message::job(&token(JOBS))).await;
    let after = |calls: &[Entry]| calls.iter().any(|call| call.token == token(JOBS));
    endpoint.until("the job after the fault", after).await;
    stage.host.until_acked(&[INTERACTIVE]).await;

    // Each token of the first ten was revoked; none was acked by a tag of the session that was lost.
    assert!((0..JOBS).all(|n| endpoint.told(AnswerKind::Revoked).contains(&token(n))));
    assert!(endpoint.of(&token(JOBS)).len() == 1);
    worker.stop().await;
    assert_eq!(stage.amqp.after_consumers(INTERACTIVE).await, 0);
    for letter in stage.amqp.take_all(DEAD).await {
        assert_eq!(letter.reason(), "rejected_after_ambiguity");
    }
}

/// The network resets every connection.
#[tokio::test(flavor = "multi_thread")]
async fn a_reset_of_every_connection_is_survived() {
    survives(async |_, relay| relay.reset(), "connection_lost").await;
}

/// The broker's operator closes every connection.
#[tokio::test(flavor = "multi_thread")]
async fn a_close_by_the_operator_is_survived() {
    let close = async |stage: &mut Stage, _: &Relay| {
        let name = stage.host.name().to_owned();
        stage.host.node().ctl(&["close_all_connections", "-p", &name, "maintenance"]).await;
        stage.reconnect().await;
    };
    survives(close, "connection_lost").await;
}

/// A lane's queue is deleted: its consumer is cancelled, and the stream of deliveries just ends. The worker declares
/// the queue again, and the other lane continues.
#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_consumer_is_survived() {
    let stage = Stage::new().await;
    let endpoint = Endpoint::willing().await;
    let worker = stage.run(&endpoint).ready().await;
    for queue in [INTERACTIVE, BULK] {
        stage.amqp.until_depth(queue, "be consumed", |depth| depth.consumers == 1).await;
    }
    stage.amqp.delete(INTERACTIVE).await;
    worker
        .until_metrics("the end of the session", |metrics| {
            metrics.sessions("consumer_cancelled") >= 1
        })
        .await;
    stage.amqp.until_depth(INTERACTIVE, "be consumed again", |depth| depth.consumers == 1).await;
    worker.until_ready().await;
    for (n, queue) in [INTERACTIVE, BULK].into_iter().enumerate() {
        stage.amqp.publish(queue, Message::job(&token(n))).await;
    }
    worker.until_processed("revoked", 2).await;
    worker.stop().await;
}

/// A queue of the family has a wrong argument: the worker ends at the start with exit code 2. It names the queue, the
/// difference and the solutions, and changes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_queue_declared_with_other_arguments_ends_the_start() {
    let limited = table([
        ("x-queue-type", text("quorum")),
        ("x-delivery-limit", lapin::types::AMQPValue::LongLongInt(20)),
    ]);
    let cases: [(&str, FieldTable, &str); 4] = [
        (INTERACTIVE, FieldTable::default(), "x-dead-letter-exchange"),
        (BULK, dead_lettering("elsewhere"), "x-dead-letter-routing-key"),
        (DEAD, limited, "x-delivery-limit"),
        ("revocations.retry.bulk.1s", quorum(), "x-dead-letter-exchange"),
    ];
    let endpoint = Endpoint::willing().await;
    for (queue, arguments, difference) in cases {
        let stage = Stage::new().await;
        stage.amqp.declare(queue, arguments).await;
        stage.amqp.publish(queue, Message::job(&token(1))).await;
        let (worker, status) = stage.run(&endpoint).run().await;
        assert_eq!(status.code(), Some(2), "{queue}: {}", worker.stderr());
        let said = worker.stderr();
        for part in [queue, difference, "broker.queue"] {
            assert!(said.contains(part), "{queue}: no {part} in {said}");
        }
        assert_eq!(stage.amqp.depth(queue).await.unwrap().ready, 1, "{queue} was touched");
        assert_eq!(endpoint.count(), 0);
    }
}

/// The same after a lost connection: the worker runs, is not ready, and says why. It deletes nothing, and recovers
/// when the queue is correct.
#[tokio::test(flavor = "multi_thread")]
async fn other_arguments_met_later_make_the_worker_not_ready() {
    let stage = Stage::new().await;
    let endpoint = Endpoint::willing().await;
    let mut relay = Relay::open(stage.broker_address()).await;
    let worker = stage.run(&endpoint).set("broker.url", stage.url_by(&relay)).ready().await;
    relay.close();
    worker.until_unready().await;
    stage.amqp.delete(BULK).await;
    stage.amqp.declare(BULK, FieldTable::default()).await;
    relay.reopen().await;

    worker
        .until_page("/readyz", "to name the queue", |page| {
            page.status == 503 && page.body.contains(BULK)
        })
        .await;
    assert!(worker.exited().is_none());
    assert!(stage.amqp.depth(BULK).await.is_some(), "it was deleted");
    stage.amqp.delete(BULK).await;
    worker.until_ready().await;
    stage.amqp.publish(BULK, Message::job(&token(1))).await;
    worker.until_processed("revoked", 1).await;
    worker.stop().await;
}

/// With `broker.declare = false` the worker declares nothing. It names absent queues and waits for them, and uses
/// existing ones with any arguments.
#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_topology_is_only_checked() {
    let stage = Stage::new().await;
    let endpoint = Endpoint::willing().await;
    let parked = ["interactive", "bulk"].map(|lane| format!("revocations.retry.{lane}.1s"));
    for queue in [DEAD, INTERACTIVE, &parked[0], &parked[1]] {
        stage.amqp.declare(queue, FieldTable::default()).await;
    }
    let worker = stage.run(&endpoint).set("broker.declare", false).start();
    let named = |page: &Page| page.status == 503 && page.body.contains(BULK);
    worker.until_page("/readyz", "to name the absent queue", named).await;
    assert_eq!(stage.amqp.depth(BULK).await, None, "it was declared");
    stage.amqp.declare(BULK, FieldTable::default()).await;
    worker.until_ready().await;
    stage.amqp.publish(INTERACTIVE, Message::job(&token(1))).await;
    worker.until_processed("revoked", 1).await;
    worker.stop().await;
}
