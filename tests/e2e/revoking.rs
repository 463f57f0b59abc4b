//! The normal case: each job is revoked once, and only revoked tokens count as revoked.

use std::collections::BTreeSet;

use crate::harness::{
    Answer, AnswerKind, BULK, DEAD, Endpoint, Gate, INTERACTIVE, Message, Stage, canary,
    eventually,
    stage::{AUDIENCE, CLIENT},
    token,
};

/// A job of each lane becomes one call in the documented form, and is counted as revoked in its lane. It is gone from
/// its queue, also after the worker has stopped.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_revoked() {
    let stage = Stage::new().await;
    let (tell, mut requests) = tokio::sync::mpsc::unbounded_channel();
    let endpoint = Endpoint::start(move |call| {
        let _ = tell.send(call.request.clone());
        Answer::revoked()
    })
    .await;
    let worker = stage.run(&endpoint).ready().await;

    let body = serde_json::json!({ "refresh_token": token(1), "username": "commerce@email.com" });
    stage.amqp.publish(INTERACTIVE, Message::new(body.to_string())).await;
    let request = requests.recv().await.unwrap();
    assert_eq!(request.line(), "POST /revoke HTTP/1.1");
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.header("alg-api-version"), Some("1618440906"));
    let expected = serde_json::json!({
        "action": "revoke",
        "client_id": CLIENT,
        "client_secret": canary::SECRET,
        "audience": AUDIENCE,
        "username": "commerce@email.com",
        "refresh_token": token(1),
    });
    assert_eq!(request.json(), expected);

    let padded = format!(" {}", token(2));
    stage.amqp.publish(BULK, Message::job(&padded)).await;
    let request = requests.recv().await.unwrap();
    assert_eq!(request.json()["refresh_token"], padded, "a token is sent byte for byte");

    let metrics = worker.until_processed("revoked", 2).await;
    for lane in ["interactive", "bulk"] {
        let series = format!("{{lane=\"{lane}\",outcome=\"revoked\"}}");
        assert_eq!(metrics.value(&format!("revocations_processed_total{series}")), 1);
    }
    assert_eq!(metrics.calls("revoked"), 2);
    stage.host.until_acked(&[INTERACTIVE, BULK]).await;
    worker.stop().await;
    assert_eq!(endpoint.count(), 2);
    for queue in [INTERACTIVE, BULK, DEAD] {
        assert_eq!(stage.amqp.after_consumers(queue).await, 0, "{queue}");
    }
}

/// A gateway's HTML page with status 200 proves nothing, even where it spells out a success: the job
/// is tried again, and counted as revoked only when the endpoint's own envelope comes.
#[tokio::test(flavor = "multi_thread")]
async fn a_200_that_is_html_is_never_counted_as_revoked() {
    let stage = Stage::new().await;
    let endpoint =
        Endpoint::start(|call| if call.nth < 3 { Answer::html() } else { Answer::revoked() }).await;
    let worker = stage.run(&endpoint).ready().await;
    stage.amqp.publish(INTERACTIVE, Message::job(&token(1))).await;

    let metrics = worker.until_processed("revoked", 1).await;
    assert_eq!(metrics.calls("unrecognized"), 2, "the fault happened");
    assert_eq!(metrics.calls("revoked"), 1);
    assert_eq!(metrics.processed("revoked"), 1);
    worker.stop().await;
    assert_eq!(endpoint.count(), 3);
}

/// Only HTML: the worker keeps retrying, never counts the job as revoked, and keeps it.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_html_revokes_nothing() {
    let stage = Stage::new().await;
    let endpoint = Endpoint::start(|_| Answer::html()).await;
    // Even with slow calls, the job is not parked.
    let worker = stage.run(&endpoint).set("retry.hold", "10m").ready().await;
    stage.amqp.publish(INTERACTIVE, Message::job(&token(1))).await;
    endpoint.until_count(5).await;

    let metrics = worker.metrics().await;
    assert_eq!(metrics.sum("revocations_processed_total"), 0);
    worker.kill().await;
    assert_eq!(stage.amqp.after_consumers(INTERACTIVE).await, 1);
}

/// A token that has expired by its producer's claim is settled without a call.
#[tokio::test(flavor = "multi_thread")]
async fn an_expired_token_is_settled_without_a_call() {
    let stage = Stage::new().await;
    let endpoint = Endpoint::willing().await;
    let worker = stage.run(&endpoint).ready().await;
    let body =
        serde_json::json!({ "refresh_token": token(1), "expires_at": "2020-01-01T00:00:00Z" });
    stage.amqp.publish(INTERACTIVE, Message::new(body.to_string())).await;

    worker.until_processed("expired", 1).await;
    stage.host.until_acked(&[INTERACTIVE]).await;
    worker.stop().await;
    assert_eq!(endpoint.count(), 0);
    assert_eq!(stage.amqp.after_consumers(INTERACTIVE).await, 0);
}

/// Two replicas share a queue: each takes part, and no job is called twice.
#[tokio::test(flavor = "multi_thread")]
async fn two_workers_share_a_queue() {
    const JOBS: usize = 400;
    const CONCURRENCY: usize = 4;
    let stage = Stage::new().await;
    let gate = Gate::default();
    let held = gate.clone();
    let endpoint = Endpoint::start(move |_| Answer::revoked().after(&held)).await;
    // A small prefetch, or the first worker would take every job.
    let launch =
        stage.run(&endpoint).set("broker.prefetch", 8).set("flow.concurrency.max", CONCURRENCY);
    let workers = [launch.ready().await, launch.ready().await];
    stage.amqp.publish_all(BULK, (0..JOBS).map(|n| Message::job(&token(n)))).await;
    // Each worker makes all permitted calls before any is answered.
    endpoint.until_count(workers.len() * CONCURRENCY).await;
    gate.open();
    endpoint.until_count(JOBS).await;

    let shares = eventually("all to be counted", async || {
        let shares = [workers[0].metrics().await, workers[1].metrics().await]
            .map(|metrics| metrics.processed("revoked"));
        if shares[0] + shares[1] >= JOBS { Ok(shares) } else { Err(format!("{shares:?}")) }
    })
    .await;
    assert!(shares.iter().all(|share| *share >= 1), "one had nothing to do: {shares:?}");
    stage.host.until_acked(&[BULK]).await;
    for worker in workers {
        worker.stop().await;
    }
    assert_eq!(endpoint.count(), JOBS, "a job was called twice");
    let every: BTreeSet<String> = (0..JOBS).map(token).collect();
    assert_eq!(endpoint.told(AnswerKind::Revoked), every);
    assert_eq!(stage.amqp.after_consumers(BULK).await, 0);
}
