//! A terminal that is closed: commands and a worker that was started on it end in order, and say how to go on.

use std::{fs, path::Path};

use crate::harness::{
    AnswerKind, BULK, Endpoint, Gate, INTERACTIVE, Message, Stage, Swept, Worker, eventually, token,
};

/// What the harness prints once the terminal is closed.
const CLOSED: &str = "[the terminal is closed]";

/// Closes the terminal, and waits until that was done.
async fn close_terminal(worker: &Worker) {
    worker.signal("USR1");
    eventually("the terminal to be closed", async || {
        if worker.stdout().contains(CLOSED) { Ok(()) } else { Err(worker.stdout()) }
    })
    .await;
}

/// Waits until a file has this text.
async fn until_written(file: &Path, text: &str) {
    eventually(text, async || {
        let written = fs::read_to_string(file).unwrap_or_default();
        if written.contains(text) { Ok(()) } else { Err(written) }
    })
    .await;
}

/// Its calls end and are recorded, and the report says how to go on. The two SIGHUPs of a closed terminal count once.
/// The same command then calls no token twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_whose_terminal_is_closed_ends_in_order_and_says_how_to_go_on() {
    const CALLING: usize = 5;
    const LINES: usize = 50;
    let gate = Gate::default();
    let held = gate.clone();
    let endpoint = Endpoint::start(move |_| crate::harness::Answer::revoked().after(&held)).await;
    let swept = Swept::tokens(LINES);
    let (out, err) = (swept.beside("out"), swept.beside("err"));
    let launch = swept.launch(&endpoint).arg("--concurrency").arg(CALLING);
    let redirect = format!("exec >{} 2>{}", out.display(), err.display());
    let launch = launch.set("shutdown.grace", "10m");
    let run = launch.clone().after(&redirect).on_closing_terminal().start();
    endpoint.until_count(CALLING).await;
    close_terminal(&run).await;
    until_written(&err, "SIGHUP: the terminal was closed").await;
    until_written(&err, "stopping").await;
    assert!(run.exited().is_none(), "it did not wait for its calls");
    gate.open();
    let status = run.exit().await;
    let errors = fs::read_to_string(&err).unwrap();
    assert_eq!(status.code(), Some(1), "{errors}");
    assert_eq!(errors.matches("SIGHUP").count(), 1, "{errors}");
    let report = fs::read_to_string(&out).unwrap();
    assert!(report.contains("The same command continues."), "{report}");
    assert!(swept.lines_with("revoked").len() >= CALLING);

    let (again, status) = launch.run().await;
    assert_eq!(status.code(), Some(0), "{}", again.stderr());
    assert_eq!(endpoint.count(), LINES, "a token was called twice");
    assert_eq!(endpoint.told(AnswerKind::Revoked), (1..=LINES).map(token).collect());
}

/// Nobody can read its summary, so a file has it. The command in it publishes the rest, and nothing twice.
#[tokio::test(flavor = "multi_thread")]
async fn an_enqueue_whose_terminal_is_closed_leaves_the_line_to_go_on_from() {
    const JOBS: usize = 1_000;
    let stage = Stage::new().await;
    stage.amqp.declare_family().await;
    let swept = Swept::tokens(JOBS);
    let enqueue = stage.enqueue().arg(swept.input().display());
    let run = enqueue.clone().arg("--rate").arg(5).on_closing_terminal().start();
    stage.amqp.until_depth(BULK, "have jobs", |depth| depth.ready > 0).await;
    close_terminal(&run).await;
    assert_eq!(run.exit().await.code(), Some(1), "{}", run.stdout());
    let summary = fs::read_to_string(swept.beside("tokens.txt.summary.txt")).unwrap();
    let (_, line) = summary.split_once("--from-line ").unwrap_or_else(|| panic!("{summary}"));
    let line: usize = line.trim().parse().unwrap();
    assert!((2..JOBS).contains(&line), "{summary}");
    assert!(summary.contains(&format!("every line before {line} is finished")), "{summary}");
    stage.amqp.until_ready(BULK, u32::try_from(line - 1).unwrap()).await;

    let (rest, status) = enqueue.arg("--from-line").arg(line).run().await;
    assert_eq!(status.code(), Some(0), "{}", rest.stderr());
    stage.amqp.until_ready(BULK, u32::try_from(JOBS).unwrap()).await;
}

/// A worker on a terminal has no supervisor: with the terminal closed it stops as on SIGTERM.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_was_started_on_a_terminal_ends_in_order_with_it() {
    let stage = Stage::new().await;
    stage.amqp.declare_family().await;
    let gate = Gate::default();
    let held = gate.clone();
    let endpoint = Endpoint::start(move |_| crate::harness::Answer::revoked().after(&held)).await;
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let launch = stage.run(&endpoint).set("flow.concurrency.max", 1).set("shutdown.grace", "10m");
    let launch = launch.after(&format!("exec 2>{}", log.display()));
    let worker = launch.on_closing_terminal().start();
    stage.amqp.publish_all(INTERACTIVE, [1, 2].map(|n| Message::job(&token(n)))).await;
    endpoint.until_count(1).await;
    close_terminal(&worker).await;
    until_written(&log, "SIGHUP: the terminal was closed").await;
    stage.amqp.until_ready(INTERACTIVE, 1).await;
    gate.open();
    let status = worker.exit().await;
    let log = fs::read_to_string(&log).unwrap();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("the jobs that are left stay in their queues"), "{log}");
    assert_eq!(endpoint.count(), 1);
    assert_eq!(stage.amqp.after_consumers(INTERACTIVE).await, 1);
}

/// `nohup` starts a process with SIGHUP ignored. It outlives the terminal, and works.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_under_nohup_outlives_its_terminal() {
    let stage = Stage::new().await;
    stage.amqp.declare_family().await;
    let endpoint = Endpoint::willing().await;
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let launch = stage.run(&endpoint).after(&format!("trap '' HUP; exec 2>{}", log.display()));
    let worker = launch.on_closing_terminal().start();
    stage.amqp.publish(INTERACTIVE, Message::job(&token(1))).await;
    endpoint.until_count(1).await;
    close_terminal(&worker).await;
    stage.amqp.publish(INTERACTIVE, Message::job(&token(2))).await;
    endpoint.until_count(2).await;
    assert!(worker.exited().is_none());
    worker.signal("TERM");
    assert_eq!(worker.exit().await.code(), Some(0));
    let log = fs::read_to_string(&log).unwrap();
    assert!(!log.contains("SIGHUP"), "{log}");
}
