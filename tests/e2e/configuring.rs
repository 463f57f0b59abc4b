//! A broken configuration is refused whole, before anything is touched.

use crate::harness::{Launch, canary};

/// Every fault is reported at once, each by its key, and an unknown key with the nearest known one.
#[tokio::test(flavor = "multi_thread")]
async fn every_fault_is_reported_with_exit_code_2() {
    let (worker, status) = Launch::bare("run")
        .set("endpoint.url", "http://example.com/revoke")
        .set("retry.jitter", "7")
        .set("retry.initial", "soon")
        .set("broker.prefetch", "0")
        .set("broker.queu", "x")
        .set("log.level", "loud")
        .set("flow.concurrency.max", "-1")
        .run()
        .await;
    assert_eq!(status.code(), Some(2), "{}", worker.stderr());
    let said = worker.stderr();
    for part in [
        "endpoint.url",
        "retry.jitter",
        "retry.initial",
        "broker.prefetch",
        "REVOKER_BROKER__QUEU:",
        "REVOKER_BROKER__QUEUE",
        "log.level",
        "flow.concurrency.max",
    ] {
        assert!(said.contains(part), "no {part} in {said}");
    }
    assert_eq!(worker.stdout(), "", "results only");
}

/// A fault in a file is reported with its line, and a file that is not there by its name.
#[tokio::test(flavor = "multi_thread")]
async fn a_fault_in_a_file_is_reported_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("worker.toml");
    std::fs::write(&path, "[broker]\nqueu = \"q\"\nprefetch = \"many\"\n").unwrap();
    let (worker, status) = Launch::bare("run").arg("--config").arg(path.display()).run().await;
    assert_eq!(status.code(), Some(2), "{}", worker.stderr());
    let said = worker.stderr();
    for part in ["worker.toml", "broker.queu", "broker.queue", "broker.prefetch", "3"] {
        assert!(said.contains(part), "no {part} in {said}");
    }

    let absent = folder.path().join("absent.toml");
    let (worker, status) = Launch::bare("run").arg("--config").arg(absent.display()).run().await;
    assert_eq!(status.code(), Some(2));
    assert!(worker.stderr().contains("absent.toml"), "{}", worker.stderr());
}

/// A secret's file that is not there is a fault of the configuration, named by its key: the path is
/// not repeated, since a secret may have been put where its path belongs.
#[tokio::test(flavor = "multi_thread")]
async fn a_missing_secret_file_is_reported() {
    let (worker, status) = Launch::bare("run")
        .set("credentials.client_id", "client")
        .set("credentials.client_secret_file", canary::SECRET)
        .run()
        .await;
    assert_eq!(status.code(), Some(2), "{}", worker.stderr());
    assert!(worker.stderr().contains("credentials.client_secret_file"), "{}", worker.stderr());
}

/// Wrong usage is told on standard error with exit code 2; help goes to standard output and exits 0.
#[tokio::test(flavor = "multi_thread")]
async fn usage_is_explained() {
    let (worker, status) = Launch::bare("runn").run().await;
    assert_eq!(status.code(), Some(2));
    assert!(!worker.stderr().is_empty() && worker.stdout().is_empty());
    for subcommand in ["run", "enqueue", "check", "mock-endpoint", "healthcheck"] {
        let (worker, status) = Launch::bare(subcommand).arg("--help").run().await;
        assert_eq!(status.code(), Some(0), "{subcommand}: {}", worker.stderr());
        let help = worker.stdout();
        assert!(help.contains(&format!("revoker {subcommand}")), "no example: {help}");
    }
}

/// A secret from a file works like one that is given, its trailing newline dropped.
#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_read_from_its_file() {
    use crate::harness::{Answer, Endpoint, INTERACTIVE, Message, Stage, stage::CLIENT, token};

    let stage = Stage::new().await;
    let endpoint = Endpoint::start(|call| {
        if call.request.json()["client_secret"] == canary::SECRET {
            Answer::revoked()
        } else {
            Answer::rejected_with("wrong secret")
        }
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(CLIENT), format!("{}\n", canary::SECRET)).unwrap();
    let worker = stage
        .run(&endpoint)
        .unset("credentials.client_secret")
        .set("credentials.client_secret_file", folder.path().join(CLIENT).display())
        .ready()
        .await;
    stage.amqp.publish(INTERACTIVE, Message::job(&token(1))).await;
    worker.until_processed("revoked", 1).await;
    worker.stop().await;
}
