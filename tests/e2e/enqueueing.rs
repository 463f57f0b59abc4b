//! Tests of `revoker enqueue`, a producer for people and scripts.

mod files;
mod interrupting;
mod odd_files;

use std::{fs, path::PathBuf};

use serde_json::Value;

use crate::harness::{AnswerKind, BULK, Endpoint, Launch, Message, Stage, Worker, token};

/// A file of this name and content, in a folder of its own.
struct Input {
    folder: tempfile::TempDir,
    name: &'static str,
}

impl Input {
    fn new(name: &'static str, content: impl AsRef<[u8]>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(name), content).unwrap();
        Self { folder, name }
    }

    /// `revoker enqueue` of this file, with a summary that a test can read.
    fn enqueue(&self, stage: &Stage) -> Launch {
        stage.enqueue().folder(self.folder.path()).arg("--json").arg(self.name)
    }

    /// The path of the list of refused lines.
    fn refused_file(&self) -> PathBuf {
        self.folder.path().join(format!("{}.refused.ndjson", self.name))
    }
}

/// The summary that it prints at its end.
fn summary(enqueue: &Worker) -> Value {
    serde_json::from_str(&enqueue.stdout()).unwrap_or_else(|error| {
        panic!("{error} in {:?}; standard error: {}", enqueue.stdout(), enqueue.stderr())
    })
}

/// These counts of the summary: read, enqueued, refused, duplicates.
fn counts(enqueue: &Worker) -> [u64; 4] {
    let summary = summary(enqueue);
    ["read", "enqueued", "refused", "duplicates"].map(|name| summary[name].as_u64().unwrap())
}

fn ndjson(tokens: impl IntoIterator<Item = usize>) -> Vec<u8> {
    let lines: Vec<Vec<u8>> = tokens.into_iter().map(|n| Message::job(&token(n)).body).collect();
    lines.join(&b'\n')
}

/// Lines of a file go to the bulk lane by default, in order, persistent and confirmed. The final count matches.
#[tokio::test(flavor = "multi_thread")]
async fn jobs_from_a_file_are_published() {
    let stage = Stage::new().await;
    stage.amqp.declare_family().await;
    let input = Input::new("jobs.ndjson", ndjson(0..2137));
    let path = input.folder.path().join(input.name);
    let (enqueue, status) = stage.enqueue().arg(path.display()).run().await;
    assert_eq!(status.code(), Some(0), "{}", enqueue.stderr());
    assert!(enqueue.stdout().contains("2137 jobs enqueued into the bulk"), "{}", enqueue.stdout());

    let jobs = stage.amqp.take(BULK, 2137).await;
    for (n, job) in jobs.iter().enumerate() {
        assert_eq!(job.token(), token(n), "out of order");
        assert_eq!(job.properties.delivery_mode(), &Some(2));
        assert_eq!(job.properties.content_type().as_ref().unwrap().as_str(), "application/json");
    }
}

/// Jobs from standard input go to the requested lane, and from there to the endpoint.
#[tokio::test(flavor = "multi_thread")]
async fn jobs_from_standard_input_reach_the_endpoint() {
    let stage = Stage::new().await;
    let endpoint = Endpoint::willing().await;
    let worker = stage.run(&endpoint).ready().await;
    let enqueue = stage.enqueue().arg("--lane").arg("interactive").arg("-").input(ndjson(0..5));
    let (enqueue, status) = enqueue.run().await;
    assert_eq!(status.code(), Some(0), "{}", enqueue.stderr());
    worker.until_processed("revoked", 5).await;
    let metrics = worker.metrics().await;
    assert_eq!(metrics.value(r#"deliveries_total{lane="interactive",redelivered="false"}"#), 5);
    assert_eq!(endpoint.told(AnswerKind::Revoked), (0..5).map(token).collect());
    worker.stop().await;
}

/// If no queue exists and none may be declared, no job counts as published, and the exit code shows that.
#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_no_queue_takes_are_not_counted_as_published() {
    let stage = Stage::new().await;
    let enqueue = stage.enqueue().set("broker.declare", false).arg("-").input(ndjson(0..5));
    let (enqueue, status) = enqueue.run().await;
    assert_eq!(status.code(), Some(1), "{}", enqueue.stdout());
    assert!(enqueue.stdout().starts_with("0 jobs"), "{}", enqueue.stdout());
    assert!(enqueue.stderr().contains("does not exist"), "{}", enqueue.stderr());
    assert_eq!(stage.amqp.depth(BULK).await, None, "it was declared");
}

/// A dry run checks every line and touches neither broker nor folder.
#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_changes_nothing() {
    let stage = Stage::new().await;
    let input =
        Input::new("jobs.ndjson", [&ndjson(0..3)[..], b"\nno job\n", &ndjson(0..2)].concat());
    let launch = input.enqueue(&stage).arg("--dry-run");
    let (enqueue, status) = launch.set("broker.url", "amqp://127.0.0.1:1").run().await;
    assert_eq!(status.code(), Some(3), "{}", enqueue.stderr());
    assert_eq!(counts(&enqueue), [6, 3, 1, 2]);
    assert_eq!(summary(&enqueue)["dry_run"], true);
    assert!(enqueue.stderr().contains("not valid JSON"), "{}", enqueue.stderr());
    assert!(!input.refused_file().exists());
    assert_eq!(stage.amqp.depth(BULK).await, None, "it was declared");
}

/// A dry run writes no list of the refused lines, so its JSON has all of them. The text says how to get them.
#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_names_every_refused_line() {
    let stage = Stage::new().await;
    let input = Input::new("jobs.ndjson", [&ndjson(0..1)[..], &b"\nno job".repeat(12)].concat());
    let path = input.folder.path().join(input.name);
    let launch = stage.enqueue().arg("--dry-run").arg(path.display());
    let (enqueue, status) = launch.clone().run().await;
    assert_eq!(status.code(), Some(3), "{}", enqueue.stderr());
    let sentence = "the log names the first 10 refused lines; --json lists all of them\n";
    assert!(enqueue.stdout().contains(sentence), "{}", enqueue.stdout());
    let (enqueue, status) = launch.arg("--json").run().await;
    assert_eq!(status.code(), Some(3), "{}", enqueue.stderr());
    let summary = summary(&enqueue);
    let refused = summary["refused_lines"].as_array().unwrap();
    assert!(refused.iter().map(|line| line["line"].as_u64().unwrap()).eq(2..=13), "{summary}");
    assert!(refused[0]["reason"].as_str().unwrap().contains("not valid JSON"), "{summary}");
    assert_eq!(summary["refused"], 12);
}
