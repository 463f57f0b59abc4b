//! An endpoint that rejects everything, because our secret is wrong. Each rejection dead-letters
//! its job, so only the operator's limit protects the rest of the backlog.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::harness::{Answer, BULK, DEAD, Endpoint, Message, Stage, token};

const JOBS: usize = 10_000;

/// With a limit of rejections in a row the worker pauses. The dead letters are the row itself, the calls in
/// flight, and one job per probe. The other jobs are revoked once the secret is right.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_dead_letters_a_few_dozen_jobs() {
    const AFTER_REJECTIONS: usize = 50;
    const FEW_DOZEN: usize = 64;
    let stage = Stage::new().await;
    let right = Arc::new(AtomicBool::new(false));
    let accepted = right.clone();
    let endpoint = Endpoint::start(move |_| {
        if accepted.load(Ordering::SeqCst) { Answer::revoked() } else { Answer::rejected() }
    })
    .await;
    stage.amqp.declare_family().await;
    stage.amqp.publish_all(BULK, (0..JOBS).map(|n| Message::job(&token(n)))).await;
    let worker = stage
        .run(&endpoint)
        .set("flow.concurrency.adaptive", true)
        .set("flow.pause.after_rejections", AFTER_REJECTIONS)
        .set("flow.pause.probe_initial", "200ms")
        .set("flow.pause.probe_max", "400ms")
        .ready()
        .await;
    worker.until_log_lines("paused again", 4).await;
    let page = worker.page("/readyz").await;
    assert_eq!(page.status, 200);
    assert!(page.body.contains("rejects every job"), "{}", page.body);
    right.store(true, Ordering::SeqCst);

    worker
        .until_metrics("all jobs to end", |metrics| {
            metrics.processed("revoked") + metrics.processed("dead_lettered") == JOBS
        })
        .await;
    stage.host.until_acked(&[BULK]).await;
    // A separate thread writes the log: it is complete when the worker has ended.
    worker.signal("TERM");
    assert_eq!(worker.exit().await.code(), Some(0), "{}", worker.stderr());
    let probes = worker.said("paused again").len();
    let dead = usize::try_from(stage.amqp.depth(DEAD).await.unwrap().ready).unwrap();
    assert!(dead >= AFTER_REJECTIONS, "the mistake happened: {dead} dead letters");
    assert!(dead <= AFTER_REJECTIONS + FEW_DOZEN + probes, "{dead} dead letters, {probes} probes");
    assert_eq!(endpoint.count(), JOBS, "a job was called twice");
    assert_eq!(stage.amqp.after_consumers(BULK).await, 0);
}

/// Without the limit all jobs become dead letters, and all can be replayed: each dead letter is the job, byte for
/// byte, and says why.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_limit_ten_thousand_dead_letters_keep_their_bodies() {
    let stage = Stage::new().await;
    let endpoint = Endpoint::start(|_| Answer::rejected()).await;
    stage.amqp.declare_family().await;
    let body = |n: usize| {
        format!(r#"{{"refresh_token":"{}", "username" : "user-{n}", "more": [{n}]}}"#, token(n))
    };
    stage.amqp.publish_all(BULK, (0..JOBS).map(|n| Message::new(body(n)))).await;
    let worker = stage.run(&endpoint).ready().await;
    let metrics = worker.until_processed("dead_lettered", JOBS).await;
    assert_eq!(metrics.calls("rejected"), JOBS);
    stage.host.until_acked(&[BULK]).await;
    worker.stop().await;

    assert_eq!(stage.amqp.after_consumers(BULK).await, 0);
    let letters = stage.amqp.take(DEAD, u32::try_from(JOBS).unwrap()).await;
    assert!(letters.iter().all(|letter| letter.reason() == "rejected"));
    let bodies: BTreeSet<Vec<u8>> = letters.into_iter().map(|letter| letter.body).collect();
    assert!(bodies == (0..JOBS).map(|n| body(n).into_bytes()).collect(), "a body was changed");
}
