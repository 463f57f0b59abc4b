//! An invalid configuration is refused as a whole, before any action.

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

/// Presuming relies on a parked job's history. Without a key any producer can forge it, so the worker refuses to start
/// and says how to create one.
#[tokio::test(flavor = "multi_thread")]
async fn presuming_without_a_key_is_refused() {
    let presuming = |command: &str| {
        Launch::bare(command)
            .set("credentials.client_id", "client")
            .set("credentials.client_secret", canary::SECRET)
            .set("endpoint.presume_revoked_after_ambiguity", "true")
    };
    for command in ["run", "check"] {
        let (worker, status) = presuming(command).run().await;
        assert_eq!(status.code(), Some(2), "{}", worker.stderr());
        let said = worker.stderr();
        for part in [
            "endpoint.presume_revoked_after_ambiguity (REVOKER_ENDPOINT__PRESUME_REVOKED_AFTER_AMBIGUITY)",
            "broker.history_key_file",
            "openssl rand -hex 32",
        ] {
            assert!(said.contains(part), "no {part} in {said}");
        }
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    // A sweep takes no jobs from a broker, and has its own record of calls.
    let (worker, status) = presuming("sweep")
        .arg("--dry-run")
        .arg("--format")
        .arg("text")
        .arg("-")
        .input("a-token\n")
        .run()
        .await;
    assert_eq!(status.code(), Some(0), "{}", worker.stderr());
}

/// A file of keys that cannot be used is a fault, with the line and without the key.
#[tokio::test(flavor = "multi_thread")]
async fn a_history_key_that_is_too_short_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    std::fs::write(&path, format!("{}\n{}\n", canary::HISTORY_KEY, canary::SECRET)).unwrap();
    let (worker, status) = Launch::bare("run")
        .set("credentials.client_id", "client")
        .set("credentials.client_secret", canary::SECRET)
        .set("broker.history_key_file", path.display())
        .run()
        .await;
    assert_eq!(status.code(), Some(2), "{}", worker.stderr());
    let said = worker.stderr();
    for part in
        ["broker.history_key_file", "fewer than 32 characters in line 2", "openssl rand -hex 32"]
    {
        assert!(said.contains(part), "no {part} in {said}");
    }
}

/// A missing secret file is a configuration fault that names the key. The path is not repeated, because it may be a
/// misplaced secret.
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

/// A pod gets variables for a service with the worker's name. Exit code 2 alone would suggest a typing error.
#[tokio::test(flavor = "multi_thread")]
async fn links_of_kubernetes_are_refused_with_the_switch_that_turns_them_off() {
    for subcommand in ["run", "check", "healthcheck", "enqueue"] {
        let (worker, status) = Launch::bare(subcommand)
            .environment("REVOKER_PORT", "tcp://10.96.0.7:9464")
            .environment("REVOKER_SERVICE_HOST", "10.96.0.7")
            .environment("REVOKER_PORT_9464_TCP_ADDR", "10.96.0.7")
            .set("credentials.client_id", "client")
            .set("credentials.client_secret", canary::SECRET)
            .run()
            .await;
        assert_eq!(status.code(), Some(2), "{subcommand}: {}", worker.stderr());
        let said = worker.stderr();
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(
            said.contains("REVOKER_PORT") && said.contains("enableServiceLinks: false"),
            "{said}"
        );
    }
}

/// A secret with invisible characters around it is wrong. Every command that makes calls refuses impossible characters
/// and warns of suspicious ones, and `check` shows them in a row.
#[tokio::test(flavor = "multi_thread")]
async fn characters_around_a_secret_are_reported() {
    use crate::harness::{Endpoint, Swept};

    let endpoint = Endpoint::willing().await;
    let folder = tempfile::tempdir().unwrap();
    let swept = Swept::tokens(1);
    let file = folder.path().join("shop");
    let nowhere = "amqp://127.0.0.1:1/%2f";
    let launch = |subcommand: &str| {
        Launch::bare(subcommand)
            .calling(&endpoint)
            .set("broker.url", nowhere)
            .set("broker.connect_timeout", "60s")
            .unset("credentials.client_secret")
            .unset("credentials.client_id")
            .set("credentials.directory", folder.path().display())
    };
    let sweep = || launch("sweep").arg("--client-id").arg("shop").arg(swept.input().display());
    let secret = canary::SECRET;
    for (content, words) in [
        (format!("\u{feff}{secret}\n"), "holds a byte order mark"),
        (format!("{secret}\0"), "holds a NUL"),
        (format!("{secret}\n\n"), "holds a line break"),
    ] {
        std::fs::write(&file, content).unwrap();
        for launch in [launch("run"), sweep(), launch("check")] {
            let (worker, status) = launch.run().await;
            assert_eq!(status.code(), Some(2), "{words}: {}", worker.stderr());
            let said = worker.stdout() + &worker.stderr();
            assert!(said.contains(words) && said.contains("shop"), "{said}");
        }
    }
    assert_eq!(endpoint.count(), 0);

    for (content, words) in [
        (format!(" {secret}\n"), "begins or ends with a blank"),
        (format!("\"{secret}\""), "is in quotes"),
    ] {
        std::fs::write(&file, content).unwrap();
        let (check, _) = launch("check").run().await;
        let row = check.stdout();
        let row = row.lines().find(|row| row.starts_with("credentials") && row.contains("note"));
        assert!(row.is_some_and(|row| row.contains(words)), "{}", check.stdout());
        let (run, status) = sweep().arg("--force").run().await;
        assert_eq!(status.code(), Some(0), "{}", run.stderr());
        assert!(run.stderr().contains(words), "{}", run.stderr());
    }
    assert_eq!(endpoint.count(), 1, "it is used as it is");
}

/// Wrong usage is reported on standard error with exit code 2; help goes to standard output with exit code 0.
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

/// A secret from a file works like a given one, without its trailing newline.
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

/// `config init` writes a file that another command reads, and overwrites nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_to_start_from_is_written_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("revoker.toml");
    let init =
        || Launch::bare("config").arg("init").arg("--profile").arg("twitch").arg(path.display());
    let (worker, status) = init().run().await;
    assert_eq!(status.code(), Some(0), "{}", worker.stderr());
    let written = std::fs::read_to_string(&path).unwrap();

    let (worker, status) = init().run().await;
    assert_eq!(status.code(), Some(2));
    assert!(worker.stderr().contains("exists already"), "{}", worker.stderr());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), written);

    let (worker, status) = Launch::bare("check").arg("--config").arg(path.display()).run().await;
    assert_eq!(status.code(), Some(2), "a blank is left");
    let line = written.lines().position(|line| line == "client_id = \"\"").unwrap() + 1;
    let named = format!("credentials.client_id ({}:{line}): is empty", path.display());
    assert!(worker.stderr().contains(&named), "{}", worker.stderr());
}

/// `config print` names values and origins, hides every secret, and goes on at a fault.
#[tokio::test(flavor = "multi_thread")]
async fn settings_in_force_are_printed_without_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("worker.toml");
    std::fs::write(&path, "[broker]\nqueue = \"jobs\"\n").unwrap();
    let secret = folder.path().join("url");
    let password = canary::PASSWORD.replace('/', "%2F");
    std::fs::write(&secret, format!("amqps://u:{password}@rabbit.example")).unwrap();
    let print = || {
        Launch::bare("config")
            .arg("print")
            .arg("--config")
            .arg(path.display())
            .set("broker.url_file", secret.display())
            .set("credentials.client_id", "client")
            .set("credentials.client_secret", canary::SECRET)
            .set("log.level", "debug")
    };
    let (worker, status) = print().run().await;
    assert_eq!(status.code(), Some(0), "{}", worker.stderr());
    let rows = worker.stdout();
    let row = |key: &str| rows.lines().find(|row| row.split(' ').next() == Some(key));
    assert!(row("broker.queue").unwrap().ends_with("worker.toml:2"), "{rows}");
    assert!(row("log.level").unwrap().ends_with("REVOKER_LOG__LEVEL"), "{rows}");
    assert!(row("credentials.client_secret").unwrap().contains("\"***\""), "{rows}");
    assert_eq!(row("broker.prefetch"), None, "{rows}");

    let (worker, status) =
        print().arg("--effective").arg("--json").set("retry.jitter", "7").run().await;
    assert_eq!(status.code(), Some(2));
    assert!(worker.stderr().contains("retry.jitter (REVOKER_RETRY__JITTER): is out of bounds"));
    let printed: serde_json::Value = serde_json::from_str(&worker.stdout()).unwrap();
    let settings = printed["settings"].as_array().unwrap();
    let setting = |key: &str| settings.iter().find(|setting| setting["key"] == key).unwrap();
    assert_eq!(setting("broker.url")["value"], "amqps://u:***@rabbit.example");
    assert_eq!(setting("broker.prefetch")["origin"], "default");
    assert_eq!(setting("retry.jitter")["faulty"], true);
    assert_eq!(printed["faults"].as_array().unwrap().len(), 1);
}
