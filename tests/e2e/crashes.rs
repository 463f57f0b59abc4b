//! Crashes of any process at any time lose no job. Only jobs in flight are done twice.

use std::collections::BTreeSet;

use crate::harness::{
    Answer, AnswerKind, BULK, DEAD, Endpoint, Gate, INTERACTIVE, Message, Stage, StoredMessage,
    broker::OwnBroker, token,
};

/// The fault after each share of the jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// SIGKILL of the worker, and another one in its place.
    Worker,
    /// SIGKILL of the broker, then its restart.
    Broker,
    /// An orderly restart of the broker.
    BrokerInOrder,
}

const FAULTS: [Fault; 13] = {
    use Fault::{Broker, BrokerInOrder, Worker};
    [
        Worker,
        Worker,
        Worker,
        Broker,
        Worker,
        Worker,
        BrokerInOrder,
        Worker,
        Worker,
        Broker,
        Worker,
        Worker,
        Worker,
    ]
};

/// Five thousand jobs in both lanes survive ten SIGKILLs of the worker and three restarts of the broker. The endpoint
/// rejects every seventh token, and every second call for a revoked token. In the end each token is revoked or in a
/// dead letter. Repeated calls do not exceed the jobs in flight at each fault.
#[tokio::test(flavor = "multi_thread")]
async fn five_thousand_jobs_survive_ten_kills_and_three_broker_restarts() {
    const JOBS: usize = 5_000;
    const PREFETCH: usize = 64;
    let broker = OwnBroker::start("", None).await;
    let mut stage = Stage::own(&broker).await;
    let is_rejected = |n: usize| n.is_multiple_of(7);
    let rejected: BTreeSet<String> = (0..JOBS).filter(|n| is_rejected(*n)).map(token).collect();
    let rejects = rejected.clone();
    let endpoint = Endpoint::start(move |call| match (rejects.contains(&call.token), call.nth) {
        (false, 1) => Answer::revoked(),
        _ => Answer::rejected(),
    })
    .await;
    let launch = stage
        .run(&endpoint)
        .set("broker.prefetch", PREFETCH)
        .set("flow.concurrency.max", PREFETCH / 2);
    stage.amqp.declare_family().await;
    for (lane, queue) in [INTERACTIVE, BULK].into_iter().enumerate() {
        let jobs = (0..JOBS).filter(|n| n % 2 == lane).map(|n| Message::job(&token(n)));
        stage.amqp.publish_all(queue, jobs).await;
    }

    let mut worker = launch.ready().await;
    for (n, fault) in FAULTS.into_iter().enumerate() {
        let share = JOBS * (n + 1) / (FAULTS.len() + 1);
        endpoint.until_count(share).await;
        match fault {
            Fault::Worker => {
                worker.kill().await;
                worker = launch.start();
            }
            Fault::Broker => {
                broker.node().kill().await;
                broker.node().restart().await;
            }
            Fault::BrokerInOrder => broker.node().restart().await,
        }
    }
    assert_eq!(FAULTS.iter().filter(|fault| **fault == Fault::Worker).count(), 10);
    assert_eq!(FAULTS.iter().filter(|fault| **fault != Fault::Worker).count(), 3);

    stage.reconnect().await;
    for queue in [INTERACTIVE, BULK] {
        stage.amqp.until_ready(queue, 0).await;
    }
    endpoint
        .until("every token to be called for", |calls| {
            calls.iter().map(|call| &call.token).collect::<BTreeSet<_>>().len() == JOBS
        })
        .await;
    stage.host.until_acked(&[INTERACTIVE, BULK]).await;
    worker.stop().await;
    for queue in [INTERACTIVE, BULK] {
        assert_eq!(stage.amqp.after_consumers(queue).await, 0, "{queue}");
    }

    let letters = stage.amqp.take_all(DEAD).await;
    let dead: BTreeSet<String> = letters.iter().map(StoredMessage::token).collect();
    let revoked = endpoint.told(AnswerKind::Revoked);
    let lost: Vec<String> = (0..JOBS)
        .map(token)
        .filter(|token| !revoked.contains(token) && !dead.contains(token))
        .collect();
    assert_eq!(lost, Vec::<String>::new(), "jobs were lost");
    assert!(dead.is_superset(&rejected), "a rejected job has no dead letter");
    for letter in &letters {
        // A rejected job that was in flight at a fault is redelivered, whether it was called or not.
        let reason = letter.reason();
        let plain = reason == "rejected" && rejected.contains(&letter.token());
        assert!(plain || reason == "rejected_after_ambiguity", "{reason}");
    }
    let repeated = endpoint.count() - JOBS;
    let in_flight = 2 * PREFETCH * FAULTS.len();
    assert!(
        repeated <= in_flight,
        "{repeated} calls were repeated, {in_flight} jobs were in flight"
    );
}

/// A hanging job precedes a thousand quick ones. The acks of the others do not wait for it, and none of them covers it.
/// When the worker is killed, exactly that job returns.
#[tokio::test(flavor = "multi_thread")]
async fn a_straggler_among_a_thousand_quick_jobs_alone_comes_back() {
    const QUICK: usize = 1_000;
    let stage = Stage::new().await;
    let held = Gate::default();
    let gate = held.clone();
    let straggler = token(0);
    let slow = straggler.clone();
    let endpoint = Endpoint::start(move |call| {
        if call.token == slow { Answer::revoked().after(&gate) } else { Answer::revoked() }
    })
    .await;
    stage.amqp.declare_family().await;
    stage.amqp.publish_all(INTERACTIVE, (0..=QUICK).map(|n| Message::job(&token(n)))).await;
    let worker = stage.run(&endpoint).set("endpoint.timeout", "10m").ready().await;
    let metrics = worker.until_processed("revoked", QUICK).await;
    assert_eq!(metrics.processed("revoked"), QUICK);
    stage.host.until_stored(&[INTERACTIVE], "hold one", |count| count == 1).await;
    assert!(!held.is_open());
    assert_eq!(endpoint.of(&straggler).len(), 1);
    worker.kill().await;

    assert_eq!(stage.amqp.after_consumers(INTERACTIVE).await, 1);
    let back = stage.amqp.take_all(INTERACTIVE).await;
    assert_eq!(back[0].token(), straggler);
    assert!(back[0].redelivered);
}

/// Killed just after a burst, before any ack: settled jobs may be redelivered, but no unsettled job is gone.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_acked_before_it_is_settled() {
    const JOBS: usize = 600;
    let stage = Stage::new().await;
    // Every third call is held permanently.
    let endpoint = Endpoint::start(|call| {
        let n: usize = call.token.rsplit('-').next().unwrap().parse().unwrap();
        if n.is_multiple_of(3) { Answer::Never } else { Answer::revoked() }
    })
    .await;
    stage.amqp.declare_family().await;
    stage.amqp.publish_all(BULK, (0..JOBS).map(|n| Message::job(&token(n)))).await;
    let worker = stage.run(&endpoint).set("endpoint.timeout", "10m").ready().await;
    endpoint.until_count(JOBS / 2).await;
    worker.kill().await;

    stage.amqp.after_consumers(BULK).await;
    let back: BTreeSet<String> =
        stage.amqp.take_all(BULK).await.iter().map(StoredMessage::token).collect();
    let revoked = endpoint.told(AnswerKind::Revoked);
    let lost: Vec<String> = (0..JOBS)
        .map(token)
        .filter(|token| !back.contains(token) && !revoked.contains(token))
        .collect();
    assert_eq!(lost, Vec::<String>::new(), "acked without a verdict");
    assert!((0..JOBS).step_by(3).all(|n| back.contains(&token(n))), "a held job was acked");
}
