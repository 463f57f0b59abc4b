//! Secrets that change under a running worker.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use tempfile::TempDir;

use crate::harness::{
    Answer, BULK, DEAD, Endpoint, INTERACTIVE, Launch, Message, Stage, Worker, canary, token,
    worker::field,
};

fn secret(n: usize) -> String {
    format!("{}-{n}", canary::SECRET)
}

/// A file with the client's secret, which is replaced in one step.
struct SecretFile(TempDir);

impl SecretFile {
    fn with(content: &str) -> Self {
        let file = Self(tempfile::tempdir().unwrap());
        file.replace(content);
        file
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("secret")
    }

    fn replace(&self, content: &str) {
        let next = self.0.path().join("next");
        fs::write(&next, content).unwrap();
        fs::rename(next, self.path()).unwrap();
    }
}

/// An endpoint that knows one secret at a time, and rejects every other one.
async fn knowing(known: &Arc<Mutex<String>>) -> Endpoint {
    let known = known.clone();
    Endpoint::start(move |call| {
        let shown = call.request.json()["client_secret"].clone();
        if shown == *known.lock().unwrap() { Answer::revoked() } else { Answer::rejected() }
    })
    .await
}

fn from_file(launch: Launch, path: &Path) -> Launch {
    launch.unset("credentials.client_secret").set("credentials.client_secret_file", path.display())
}

async fn revokes(stage: &Stage, worker: &Worker, n: usize) {
    stage.amqp.publish(INTERACTIVE, Message::job(&token(n))).await;
    worker.until_processed("revoked", n).await;
}

/// The worker reads a new secret at SIGHUP, and also without it. While the new file is unreadable, the old secret stays
/// in force, and the log says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_secret_is_taken_up_and_an_unreadable_one_is_not() {
    let stage = Stage::new().await;
    let known = Arc::new(Mutex::new(secret(1)));
    let endpoint = knowing(&known).await;
    let file = SecretFile::with(&secret(1));
    let worker = from_file(stage.run(&endpoint), &file.path()).ready().await;
    revokes(&stage, &worker, 1).await;

    file.replace(&format!("{}\n", secret(2)));
    worker.signal("HUP");
    worker.until_log_lines("client secrets replaced", 1).await;
    *known.lock().unwrap() = secret(2);
    revokes(&stage, &worker, 2).await;

    // Empty: a file in the middle of being replaced.
    file.replace("");
    worker.signal("HUP");
    let kept = |worker: &Worker| {
        let lines = worker.log_lines();
        let said = |line: &_| field(line, "message").map(|said| said.contains("stays in force"));
        lines.iter().filter(|line| said(line) == Some(true)).count()
    };
    crate::harness::eventually("the fault to be told", async || match kept(&worker) {
        0 => Err(worker.stderr()),
        _ => Ok(()),
    })
    .await;
    revokes(&stage, &worker, 3).await;

    file.replace(&secret(3));
    worker.until_log_lines("client secrets replaced", 2).await;
    *known.lock().unwrap() = secret(3);
    revokes(&stage, &worker, 4).await;
    assert_eq!(kept(&worker), 1, "the fault was told more than once");
    assert_eq!(worker.metrics().await.calls("rejected"), 0);
    worker.stop().await;
}

/// The secret changes at the endpoint first: rejected jobs are not called again, the worker pauses, and with the new
/// secret it revokes the rest.
#[tokio::test(flavor = "multi_thread")]
async fn a_pause_for_rejections_ends_with_the_right_secret() {
    const JOBS: usize = 40;
    let stage = Stage::new().await;
    let known = Arc::new(Mutex::new(secret(2)));
    let endpoint = knowing(&known).await;
    let file = SecretFile::with(&secret(1));
    let launch = from_file(stage.run(&endpoint), &file.path())
        .set("flow.concurrency.max", 2)
        .set("flow.pause.after_rejections", 5)
        // Each wait is twice the one before, so that jobs are left when the new secret arrives.
        .set("flow.pause.probe_initial", "100ms")
        .set("flow.pause.probe_max", "10m");
    stage.amqp.declare_family().await;
    stage.amqp.publish_all(BULK, (0..JOBS).map(|n| Message::job(&token(n)))).await;
    let worker = launch.ready().await;
    worker.until_log_lines("paused again", 2).await;
    file.replace(&secret(2));
    worker.signal("HUP");

    worker.until_log_lines("running again", 1).await;
    let all = |metrics: &crate::harness::scrape::Scrape| {
        metrics.processed("revoked") + metrics.processed("dead_lettered") == JOBS
    };
    let metrics = worker.until_metrics("all jobs to end", all).await;
    let dead = metrics.processed("dead_lettered");
    assert!((7..JOBS).contains(&dead), "the mistake happened: {dead} dead letters");
    worker.stop().await;
    assert_eq!(endpoint.count(), JOBS, "a rejected job was called again");
    assert_eq!(stage.amqp.take_all(DEAD).await.len(), dead);
}

/// The rotation of the history key, as documented: the new key after the old one, then before it, then alone. A job
/// parked meanwhile keeps its whole history.
#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_history_key_forgets_no_parked_job() {
    let stage = Stage::new().await;
    let (endpoint, failing) = Endpoint::failing(Answer::rejected).await;
    let (old, new) = (format!("{}-1", canary::HISTORY_KEY), format!("{}-2", canary::HISTORY_KEY));
    let file = SecretFile::with(&old);
    let worker = stage
        .run(&endpoint)
        .set("broker.history_key_file", file.path().display())
        .set("retry.hold", "100ms")
        .ready()
        .await;
    stage.amqp.publish(INTERACTIVE, Message::job(&token(1))).await;
    let parked = r#"deferrals_total{how="parked",lane="interactive"}"#;
    let another_stay = async || {
        let before = worker.metrics().await.value(parked);
        // The one under way may have been signed before the keys were replaced.
        let later = |metrics: &crate::harness::scrape::Scrape| metrics.value(parked) >= before + 2;
        worker.until_metrics("two more stays", later).await;
    };
    another_stay().await;
    for (nth, keys) in
        [format!("{old}\n{new}\n"), format!("{new}\n{old}\n"), new].iter().enumerate()
    {
        file.replace(keys);
        worker.signal("HUP");
        worker.until_log_lines("history keys replaced", nth + 1).await;
        another_stay().await;
    }
    failing.open();

    let letters = stage.amqp.take(DEAD, 1).await;
    assert_eq!(letters[0].reason(), "rejected_after_ambiguity");
    let calls = i64::try_from(endpoint.count()).unwrap();
    assert_eq!(letters[0].int("x-revoker-attempts"), Some(calls), "its past was forgotten");
    worker.stop().await;
}
