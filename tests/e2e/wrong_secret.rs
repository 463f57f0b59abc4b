//! A wrong client secret: the endpoint rejects every job, and the guard stops before all become dead letters. The
//! commands that it prints replay the jobs that were rejected before.

use std::{
    collections::BTreeSet,
    fs,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use tempfile::TempDir;

use crate::harness::{
    Answer, AnswerKind, BULK, DEAD, Endpoint, Gate, Launch, Message, Stage, Swept, canary,
    stage::CLIENT, swept::sweep, token, worker::field,
};

mod sweeping;

/// The rejections that the guard accepts by default.
const FIRST_REJECTIONS: usize = 50;

/// The most rejected jobs, with the probes.
const MOST: usize = 100;

const JOBS: usize = 3_000;

/// The file of the client's secret, at first with a wrong one.
struct Secret(TempDir);

impl Secret {
    fn wrong() -> Self {
        let secret = Self(tempfile::tempdir().unwrap());
        secret.write(&format!("{}-of-staging", canary::SECRET));
        secret
    }

    fn path(&self) -> PathBuf {
        self.0.path().join(CLIENT)
    }

    /// Replaces the file in one step, like a secret rotation.
    fn write(&self, secret: &str) {
        let next = self.0.path().join(".next");
        fs::write(&next, secret).unwrap();
        fs::rename(next, self.path()).unwrap();
    }

    fn mend(&self) {
        self.write(canary::SECRET);
    }

    /// Makes a command read it, with the default guard.
    fn given_to(&self, launch: Launch) -> Launch {
        launch
            .unset("credentials.client_secret")
            .set("credentials.client_secret_file", self.path().display())
            .unset("flow.guard.first_rejections")
    }
}

/// An endpoint that rejects every call with a wrong secret.
async fn endpoint() -> Endpoint {
    Endpoint::start(|call| {
        let right = call.request.json()["client_secret"] == canary::SECRET;
        if right { Answer::revoked() } else { Answer::rejected() }
    })
    .await
}

/// The arguments of a printed command.
fn arguments(command: &str) -> Vec<String> {
    let mut words = shlex::split(command).unwrap();
    assert_eq!(words.remove(0), "revoker", "{command}");
    words
}

/// Through the queue: few jobs are rejected, and log, page and `/readyz` name the client. The command in the log
/// replays the rejected jobs once the secret is corrected.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_dead_letters_at_most_a_hundred_and_the_printed_commands_bring_all_to_an_end()
 {
    let (stage, secret, endpoint) = (Stage::new().await, Secret::wrong(), endpoint().await);
    stage.amqp.declare_family().await;
    stage.amqp.publish_all(BULK, (0..JOBS).map(|n| Message::job(&token(n)))).await;
    let worker = secret
        .given_to(stage.run(&endpoint))
        .set("flow.pause.probe_initial", "200ms")
        .set("flow.pause.probe_max", "400ms")
        .ready()
        .await;
    worker.until_log_lines("paused again", 3).await;
    let paused = worker.until_log_lines("client paused", 1).await;
    let [line] = paused.as_slice() else { panic!("{paused:#?}") };
    assert_eq!(field(line, "client"), Some(CLIENT));
    assert_eq!(field(line, "endpoint"), Some(endpoint.url()));
    let (list, replay) = (field(line, "list").unwrap(), field(line, "replay").unwrap());
    for (path, status) in [("/readyz", 200), ("/", 200)] {
        let page = worker.page(path).await;
        assert_eq!(page.status, status);
        for expected in [CLIENT, endpoint.url(), list, replay, "nothing was revoked"] {
            assert!(page.body.contains(expected), "{path}: no {expected} in {}", page.body);
        }
    }
    assert_eq!(worker.metrics().await.value("clients_paused"), 1);
    secret.mend();
    worker.signal("HUP");
    let metrics = worker
        .until_metrics("all jobs to end", |metrics| {
            metrics.processed("revoked") + metrics.processed("dead_lettered") == JOBS
        })
        .await;
    stage.host.until_acked(&[BULK]).await;
    let dead = metrics.processed("dead_lettered");
    assert!((FIRST_REJECTIONS..=MOST).contains(&dead), "{dead} dead letters");

    let tools = |command: &str| {
        let words = arguments(command);
        let launch = stage.launch(&words[0]).set("credentials.client_id", CLIENT);
        words[1..].iter().fold(launch, Launch::arg)
    };
    let (listed, status) = tools(list).run().await;
    assert_eq!(status.code(), Some(0), "{}", listed.stderr());
    assert!(listed.stdout().contains(&dead.to_string()), "{}", listed.stdout());
    let (replayed, status) = tools(replay).run().await;
    assert_eq!(status.code(), Some(0), "{}", replayed.stderr());
    worker.until_processed("revoked", JOBS).await;
    stage.host.until_acked(&[BULK]).await;
    assert_eq!(stage.amqp.depth(DEAD).await.unwrap().ready, 0);
    assert_eq!(endpoint.told(AnswerKind::Revoked), (0..JOBS).map(token).collect());
    worker.stop().await;
}

/// One revoked token proves the secret: any number of later rejections causes no pause.
#[tokio::test(flavor = "multi_thread")]
async fn one_success_ends_the_guard() {
    let stage = Stage::new().await;
    let endpoint = Endpoint::start(|call| {
        if call.token == token(0) { Answer::revoked() } else { Answer::rejected() }
    })
    .await;
    let worker = stage.run(&endpoint).unset("flow.guard.first_rejections").ready().await;
    stage.amqp.publish(BULK, Message::job(&token(0))).await;
    worker.until_processed("revoked", 1).await;
    let rejected = 4 * FIRST_REJECTIONS;
    stage.amqp.publish_all(BULK, (1..=rejected).map(|n| Message::job(&token(n)))).await;
    let metrics = worker.until_processed("dead_lettered", rejected).await;
    assert_eq!(metrics.calls("rejected"), rejected);
    stage.host.until_acked(&[BULK]).await;
    assert_eq!(worker.metrics().await.value("clients_paused"), 0);
    worker.signal("TERM");
    assert_eq!(worker.exit().await.code(), Some(0), "{}", worker.stderr());
    assert!(worker.said("client paused").is_empty(), "{}", worker.stderr());
}

/// The jobs of another client behind those of the one with the wrong secret: all are done before the first probe.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_of_one_client_does_not_slow_another() {
    const HEALTHY: usize = 200;
    let (stage, secret) = (Stage::new().await, Secret::wrong());
    fs::write(secret.0.path().join("shop"), canary::SECRET).unwrap();
    let endpoint = endpoint().await;
    let worker = secret
        .given_to(stage.run(&endpoint))
        .unset("credentials.client_secret_file")
        .unset("credentials.client_id")
        .set("credentials.directory", secret.0.path().display())
        // No probe is needed for the others, and none is made.
        .set("flow.pause.probe_initial", "1h")
        .set("flow.pause.probe_max", "1h")
        .ready()
        .await;
    let job = |n: usize, client: &str| {
        Message::new(format!(r#"{{"refresh_token":"{}","client_id":"{client}"}}"#, token(n)))
    };
    stage.amqp.publish_all(BULK, (0..JOBS / 3).map(|n| job(n, CLIENT))).await;
    stage.amqp.publish_all(BULK, (0..HEALTHY).map(|n| job(JOBS + n, "shop"))).await;
    let metrics = worker.until_processed("revoked", HEALTHY).await;
    assert_eq!(metrics.calls("rejected"), FIRST_REJECTIONS, "the mistake happened, and no more");
    let page = worker.until_page("/readyz", "to name the client", |page| {
        page.body.contains("running, but client")
    });
    let page = page.await;
    assert_eq!(page.status, 200);
    assert!(page.body.contains(CLIENT) && !page.body.contains("\"shop\""), "{}", page.body);
    worker.stop().await;
}
