//! `revoker enqueue`: a producer for people and scripts.

use crate::harness::{BULK, Endpoint, Message, Said, Stage, token};

fn lines(tokens: impl IntoIterator<Item = usize>) -> Vec<u8> {
    let lines: Vec<Vec<u8>> = tokens.into_iter().map(|n| Message::job(&token(n)).body).collect();
    lines.join(&b'\n')
}

/// Lines from a file go to the bulk lane unless told otherwise, in order, persistent and confirmed,
/// and the count at the end says how many.
#[tokio::test(flavor = "multi_thread")]
async fn jobs_from_a_file_are_published() {
    let stage = Stage::new().await;
    stage.amqp.declare_family().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jobs.ndjson");
    std::fs::write(&file, lines(0..37)).unwrap();
    let (enqueue, status) = stage.launch("enqueue").arg(file.display()).run().await;
    assert_eq!(status.code(), Some(0), "{}", enqueue.stderr());
    assert!(enqueue.stdout().contains("37"), "{}", enqueue.stdout());

    let jobs = stage.amqp.take(BULK, 37).await;
    for (n, job) in jobs.iter().enumerate() {
        assert_eq!(job.token(), token(n), "out of order");
        assert_eq!(job.properties.delivery_mode(), &Some(2));
        assert_eq!(job.properties.content_type().as_ref().unwrap().as_str(), "application/json");
    }
}

/// From standard input, to the lane that was asked for, and from there to the endpoint.
#[tokio::test(flavor = "multi_thread")]
async fn jobs_from_standard_input_reach_the_endpoint() {
    let stage = Stage::new().await;
    let endpoint = Endpoint::willing().await;
    let worker = stage.run(&endpoint).ready().await;
    let enqueue =
        stage.launch("enqueue").arg("--lane").arg("interactive").arg("-").input(lines(0..5));
    let (enqueue, status) = enqueue.run().await;
    assert_eq!(status.code(), Some(0), "{}", enqueue.stderr());
    worker.until_processed("revoked", 5).await;
    let metrics = worker.metrics().await;
    assert_eq!(metrics.value(r#"deliveries_total{lane="interactive",redelivered="false"}"#), 5);
    assert_eq!(endpoint.told(Said::Revoked), (0..5).map(token).collect());
    worker.stop().await;
}

/// Where no queue may be declared and none is there, nothing is counted as published, and the exit
/// says so.
#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_no_queue_takes_are_not_counted_as_published() {
    let stage = Stage::new().await;
    let enqueue = stage.launch("enqueue").set("broker.declare", false).arg("-").input(lines(0..5));
    let (enqueue, status) = enqueue.run().await;
    assert_eq!(status.code(), Some(1), "{}", enqueue.stdout());
    assert!(!enqueue.stdout().contains('5'), "{}", enqueue.stdout());
    assert!(enqueue.stderr().contains("does not exist"), "{}", enqueue.stderr());
    assert_eq!(stage.amqp.depth(BULK).await, None, "it was declared");
}
