//! `revoker top`: the numbers on the screen are those of `/metrics`.

use serde_json::Value;

use crate::harness::{
    Answer, BULK, Endpoint, INTERACTIVE, Launch, Message, Stage, Terminal, Worker, token,
};

/// A worker that has revoked seven jobs and dead-lettered two.
async fn worker(stage: &Stage) -> (Worker, Endpoint) {
    let endpoint = Endpoint::start(|call| {
        if call.token == token(8) || call.token == token(9) {
            Answer::rejected()
        } else {
            Answer::revoked()
        }
    })
    .await;
    let worker = stage.run(&endpoint).ready().await;
    stage.amqp.publish_all(INTERACTIVE, (1..=3).map(|n| Message::job(&token(n)))).await;
    stage.amqp.publish_all(BULK, (4..=9).map(|n| Message::job(&token(n)))).await;
    worker.until_processed("revoked", 7).await;
    worker.until_processed("dead_lettered", 2).await;
    worker
        .until_metrics("the depth of the dead-letter queue", |metrics| {
            metrics.value("queue_messages{queue=\"dead\"}") == 2
        })
        .await;
    (worker, endpoint)
}

/// Whether a line of the screen has this number before this name.
fn shows(screen: &str, number: usize, name: &str) -> bool {
    let wanted = format!("{number} {name}");
    screen.contains(&format!(" {wanted}"))
}

/// The screen of 80 columns agrees with `/metrics`, beside a worker that does not answer. `q`, Ctrl-C and SIGTERM end it,
/// and leave the terminal as it was.
#[tokio::test(flavor = "multi_thread")]
async fn the_screen_agrees_with_the_metrics() {
    let stage = Stage::new().await;
    let (worker, _endpoint) = worker(&stage).await;
    let top = Launch::bare("top").arg("--interval").arg("500ms").arg(worker.admin().await);
    let terminal = Terminal::start(&top, (80, 24));
    let screen = terminal.until(&["Running.", "7 revoked", "Done/s 0"]).await;
    let metrics = worker.metrics().await;
    for (number, name) in [
        (metrics.processed("revoked"), "revoked"),
        (metrics.processed("dead_lettered"), "dead lettered"),
        (metrics.calls("rejected"), "rejected"),
        (metrics.value("queue_messages{queue=\"dead\"}"), "dead"),
    ] {
        assert!(shows(&screen, number, name), "{number} {name} in\n{screen}");
    }
    let limit = format!("Limit {}", metrics.value("concurrency_limit"));
    assert!(screen.contains(&limit), "{limit} in\n{screen}");
    terminal.keys(&["q"]);
    assert_eq!(terminal.ended().await, 0);

    let two = top.arg("127.0.0.1:1");
    for end in ["C-c", "TERM"] {
        let terminal = Terminal::start(&two, (80, 24));
        terminal.until(&["2 workers, 1 without an answer", "running", "no answer"]).await;
        terminal.keys(&["Down", "Down"]);
        terminal.until(&["127.0.0.1:1 does not answer: Connection refused"]).await;
        if end == "TERM" {
            terminal.signal(end);
        } else {
            terminal.keys(&[end]);
        }
        assert_eq!(terminal.ended().await, 0, "{end}");
    }
    worker.stop().await;
}

/// `--once` prints text or JSON without escapes, and tells by its exit code whether every worker answers.
#[tokio::test(flavor = "multi_thread")]
async fn once_prints_the_numbers_for_scripts() {
    let stage = Stage::new().await;
    let (worker, _endpoint) = worker(&stage).await;
    let address = worker.admin().await;
    let once = Launch::bare("top").arg("--once").arg("--interval").arg("200ms");
    let (text, status) = once.clone().set("admin.listen", address).run().await;
    assert_eq!(status.code(), Some(0), "{}", text.stderr());
    let said = text.stdout();
    assert!(said.starts_with(&format!("{address}: Running.\n")), "{said}");
    assert!(said.contains("\n  ended                     dead_lettered 2, revoked 7\n"), "{said}");
    assert!(said.contains("\n  done per second           0\n"), "{said}");
    assert!(!said.contains('\u{1b}'), "{said:?}");

    let both = once.arg("--json").arg(address).arg("127.0.0.1:1");
    let (json, status) = both.run().await;
    assert_eq!(status.code(), Some(1), "one does not answer: {}", json.stderr());
    let told: Value = serde_json::from_str(&json.stdout()).unwrap();
    let workers = &told["workers"];
    assert_eq!(workers[0]["state"], "ready");
    assert_eq!(workers[0]["metrics"]["processed"]["revoked"], 7.0);
    assert_eq!(workers[0]["metrics"]["dead_letters"]["rejected"], 2.0);
    assert!(workers[1]["fault"].as_str().unwrap().contains("refused"), "{told}");
    assert!(workers[1]["metrics"].is_null());
    worker.stop().await;

    // Without `--once` it needs a terminal.
    let (top, status) = Launch::bare("top").run().await;
    assert_eq!(status.code(), Some(2));
    assert!(top.stderr().contains("top, without --once, needs a terminal"), "{}", top.stderr());
}
