//! What a person reads on a terminal: text, whatever format is configured for the log of a worker.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::harness::{Answer, Endpoint, Launch, Stage, Swept, eventually, swept::text, token};

/// The lines of an output that are JSON objects.
fn json_lines(output: &str) -> usize {
    let is_json =
        |line: &&str| serde_json::from_str::<Value>(line.trim()).is_ok_and(|v| v.is_object());
    output.lines().filter(is_json).count()
}

/// Runs a command whose configuration wants JSON, on a terminal. Returns what it printed there.
async fn on_terminal(launch: Launch, code: i32) -> String {
    let launch = launch.set("log.format", "json").environment("NO_COLOR", 1);
    let (run, status) = launch.clone().on_terminal().run().await;
    let printed = run.stdout();
    assert_eq!(status.code(), Some(code), "{launch:?}: {printed}");
    assert_eq!(json_lines(&printed), 0, "{launch:?}: {printed}");
    printed
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_but_run_prints_text_on_a_terminal_whatever_is_configured() {
    let stage = Stage::new().await;
    let endpoint = Endpoint::willing().await;
    let swept = Swept::new("leak.txt", text(1..=3) + &"x".repeat(101) + "\n");
    let enqueue = stage.enqueue().arg(swept.input().display());
    let printed = on_terminal(enqueue.clone(), 3).await;
    assert!(printed.contains(" WARN refused line=4 reason="), "{printed}");
    let (piped, _) = enqueue.run().await;
    assert!(json_lines(&piped.stderr()) > 0, "a pipe gets what is configured: {}", piped.stderr());

    let nowhere = |command: &str| stage.launch(command).set("broker.url", "amqp://127.0.0.1:1");
    let printed = on_terminal(nowhere("dead-letters").arg("list"), 1).await;
    assert!(printed.contains("ERROR "), "{printed}");
    on_terminal(nowhere("check").calling(&endpoint), 2).await;
    let printed = on_terminal(swept.launch(&endpoint), 3).await;
    assert!(printed.contains(" WARN line 4 failed (invalid job): "), "{printed}");

    let worker = stage.run(&endpoint).on_terminal().start();
    eventually("the worker's log", async || {
        let printed = worker.stdout();
        if json_lines(&printed) > 0 { Ok(()) } else { Err(printed) }
    })
    .await;
}

/// The numbers of the lines that an output tells as rejected, in its order.
fn told_as_rejected(printed: &str) -> Vec<usize> {
    let told = |line: &str| {
        let (_, rest) = line.split_once(" WARN line ")?;
        let (number, reason) = rest.split_once(" failed (rejected): ")?;
        assert!(reason.starts_with("the endpoint answered 01"), "{line}");
        number.parse().ok()
    };
    printed.lines().filter_map(told).collect()
}

/// The first lines that fail are told by number and reason, the others by their count and where they are listed. Calls
/// run side by side and so fail in any order. A sweep has no dead letters, and speaks of none.
#[tokio::test(flavor = "multi_thread")]
async fn failed_lines_of_a_sweep_are_told_by_number_and_then_counted() {
    const TOLD: usize = 10;
    const FAILED: usize = 25;
    let rejected: Vec<String> = (1..=FAILED).map(token).collect();
    let endpoint = Endpoint::start(move |call| {
        if rejected.contains(&call.token) { Answer::rejected() } else { Answer::revoked() }
    })
    .await;
    let swept = Swept::tokens(100);
    let printed = on_terminal(swept.launch(&endpoint), 3).await;
    let told = told_as_rejected(&printed);
    assert_eq!(told.len(), TOLD, "{printed}");
    assert_eq!(BTreeSet::from_iter(&told).len(), TOLD, "each line once: {printed}");
    assert!(told.iter().all(|line| (1..=FAILED).contains(line)), "{printed}");
    let list = swept.beside("tokens.txt.failed.ndjson");
    let more = format!("{} more lines failed; {} lists all of them", FAILED - TOLD, list.display());
    assert!(printed.replace("\r\n", "\n").contains(&more), "no {more} in {printed}");
    assert!(!printed.contains("dead-letter") && !printed.contains("fingerprint"), "{printed}");
    assert_eq!(swept.failed().len(), FAILED);
}
