//! Tests of the broker permissions in docs/deployment.md. Since 4.2.7 and 4.3.1, RabbitMQ shows a queue only to users
//! with a permission on it. 4.2.6 and 4.3.0 show it only to users who may configure it.

use std::iter;

use lapin::types::AMQPValue;

use crate::harness::{
    Answer, BULK, DEAD, Endpoint, INTERACTIVE, Message, Stage, amqp::dead_lettering, token,
};

/// The worker's user.
const USER: &str = "worker";

/// The versions that allow a passive declaration only to users who may configure the queue.
const CONFIGURE_TO_ASK: [[u32; 3]; 2] = [[4, 2, 6], [4, 3, 0]];

/// Gives the worker's user these rights: to configure, to write, to read.
async fn allow(stage: &Stage, rights: [&str; 3]) {
    let mut arguments = vec!["set_permissions", "-p", stage.host.name(), USER];
    arguments.extend(rights);
    stage.host.node().ctl(&arguments).await;
}

/// One job is revoked, one is parked before that, and one becomes a dead letter.
async fn works(stage: &Stage, declare: bool) {
    let endpoint = Endpoint::start(|call| match (call.token == token(1), call.nth) {
        (true, _) => Answer::rejected(),
        (false, 1..4) => Answer::status(503),
        (false, _) => Answer::revoked(),
    })
    .await;
    let launch = stage.run(&endpoint).set("retry.hold", "60ms").set("retry.park", "100ms");
    let worker = launch.set("broker.declare", declare).ready().await;
    stage.amqp.publish(INTERACTIVE, Message::job(&token(1))).await;
    stage.amqp.publish(BULK, Message::job(&token(2))).await;
    worker.until_processed("dead_lettered", 1).await;
    let metrics = worker.until_processed("revoked", 1).await;
    assert!(metrics.publishes("retry", "confirmed") >= 1, "it was never parked");
    worker.stop().await;
    assert_eq!(stage.amqp.take(DEAD, 1).await[0].reason(), "rejected");
}

/// A worker that declares its queues.
#[tokio::test(flavor = "multi_thread")]
async fn the_rights_of_the_readme_suffice() {
    let stage = Stage::new().await;
    let family = r"^revocations(\..*)?$";
    allow(&stage, [family, r"^(amq\.default|revocations(\..*)?)$", family]).await;
    works(&stage, true).await;
}

/// A worker whose queues are declared by another user.
#[tokio::test(flavor = "multi_thread")]
async fn the_rights_of_the_readme_suffice_without_declaring() {
    let stage = Stage::new().await;
    stage.amqp.declare_family().await;
    for (lane, queue) in [("interactive", INTERACTIVE), ("bulk", BULK)] {
        let mut arguments = dead_lettering(queue);
        arguments.insert("x-message-ttl".into(), AMQPValue::LongLongInt(100));
        stage.amqp.declare(&format!("revocations.retry.{lane}.100ms"), arguments).await;
    }
    let asks = CONFIGURE_TO_ASK.contains(&stage.host.node().version().await);
    let configure = if asks { r"^revocations(\..*)?$" } else { "^$" };
    allow(&stage, [configure, r"^amq\.default$", r"^revocations(\..*)?$"]).await;
    works(&stage, false).await;
}

/// `revoker enqueue` as a producer that has no right on any queue, and may publish.
#[tokio::test(flavor = "multi_thread")]
async fn a_producer_that_may_only_publish_enqueues() {
    const JOBS: usize = 5;
    let stage = Stage::new().await;
    stage.amqp.declare_family().await;
    for lane in ["interactive", "bulk"] {
        stage.amqp.declare(&format!("revocations.retry.{lane}.1s"), dead_lettering(BULK)).await;
    }
    allow(&stage, ["^$", r"^amq\.default$", "^$"]).await;
    let lines = (0..JOBS).map(|n| Message::job(&token(n)).body);
    let input: Vec<u8> = lines.flat_map(|line| line.into_iter().chain(iter::once(b'\n'))).collect();
    let enqueue = stage.enqueue().set("broker.declare", false).set("retry.park", "1s");
    let (enqueue, status) = enqueue.arg("-").input(input).run().await;
    assert_eq!(status.code(), Some(0), "{}", enqueue.stderr());
    stage.amqp.until_ready(BULK, u32::try_from(JOBS).unwrap()).await;
}
