//! Tests that the log, `/readyz` and the status page name the cause of a fault at once: the endpoint's, in classes, and
//! the broker's, in its own words.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::harness::{
    Answer, DEAD, Endpoint, INTERACTIVE, Launch, Message, Stage, Worker, scrape::Scrape, token,
    web::Page, worker::field,
};

/// The worker's user.
const USER: &str = "worker";

const GONE: &str = "the connection is gone";

/// The reason that `/readyz` gives for a part.
fn reason(page: &Page, part: &str) -> String {
    let body: Value = serde_json::from_str(&page.body).unwrap();
    body["parts"][part]["reason"].as_str().unwrap_or_default().to_owned()
}

/// Waits until `/readyz` gives a reason with these words for a part.
async fn until_told(worker: &Worker, part: &str, words: &[&str]) -> String {
    let told = |page: &Page| words.iter().all(|word| reason(page, part).contains(word));
    reason(&worker.until_page("/readyz", &format!("to say {words:?}"), told).await, part)
}

/// The success, with another value of `success`, or with bytes changed.
fn changed(from: &str, to: &[u8]) -> Answer {
    let Answer::Http { body, .. } = Answer::revoked() else { unreachable!() };
    let body = String::from_utf8(body).unwrap();
    let at = body.find(from).unwrap();
    let body = [&body.as_bytes()[..at], to, &body.as_bytes()[at + from.len()..]].concat();
    Answer::body("application/json", body)
}

/// The success behind a byte order mark.
fn marked() -> Answer {
    let Answer::Http { said, status, headers, body } = Answer::revoked() else { unreachable!() };
    Answer::Http { said, status, headers, body: [b"\xef\xbb\xbf", &body[..]].concat() }
}

/// Makes the worker pause soon, and keeps its probes apart.
fn pausing_soon(launch: Launch) -> Launch {
    launch
        .set("flow.pause.after_failures", 5)
        .set("flow.pause.probe_initial", "1s")
        .set("flow.pause.probe_max", "1s")
}

/// How often each class was logged as failed.
fn classes(worker: &Worker) -> BTreeMap<String, usize> {
    let mut classes = BTreeMap::new();
    for line in worker.said("a call failed") {
        assert!(field(&line, "cause").is_some(), "{line}");
        *classes.entry(field(&line, "class").unwrap().to_owned()).or_default() += 1;
    }
    classes
}

/// Each class of a failed call has one line, however many calls fail. A byte order mark before an envelope is no
/// failure.
#[tokio::test(flavor = "multi_thread")]
async fn each_class_of_failed_calls_is_logged_once_and_a_byte_order_mark_is_read() {
    const CLASSES: [&str; 9] = [
        "byte_order_mark",
        "connection_lost",
        "empty_body",
        "html",
        "not_utf8",
        "odd_success",
        "redirect",
        "unknown_code",
        "not_json",
    ];
    const ROUNDS: usize = 3;
    let stage = Stage::new().await;
    let failing = |nth: usize| match CLASSES[nth % CLASSES.len()] {
        "byte_order_mark" => Answer::body("application/json", b"\xff\xfe{\x00}\x00"),
        "connection_lost" => Answer::Reset,
        "empty_body" => Answer::status(503),
        "html" => Answer::html(),
        "not_utf8" => changed("eliminado", b"eliminaci\xf3n"),
        "odd_success" => changed("true", b"\"True\""),
        "redirect" => Answer::redirect("http://127.0.0.1:1/"),
        "unknown_code" => changed("\"00\"", b"\"02\""),
        _ => changed("true", b"True"),
    };
    let endpoint = Endpoint::start(move |call| {
        if call.nth <= CLASSES.len() * ROUNDS { failing(call.nth - 1) } else { marked() }
    })
    .await;
    let worker =
        stage.run(&endpoint).set("retry.initial", "1ms").set("retry.max", "1ms").ready().await;
    stage.amqp.publish(INTERACTIVE, Message::job(&token(1))).await;
    worker.until_processed("revoked", 1).await;
    assert_eq!(endpoint.count(), CLASSES.len() * ROUNDS + 1, "the faults happened");
    let expected: BTreeMap<String, usize> =
        CLASSES.into_iter().map(|class| (class.to_owned(), 1)).collect();
    assert_eq!(classes(&worker), expected);
    let status =
        |line: &Value| line["fields"]["http_status"].as_u64().or(line["http_status"].as_u64());
    for line in worker.said("a call failed") {
        let silent = field(&line, "class") == Some("connection_lost");
        assert_eq!(status(&line).is_none(), silent, "{line}");
        let said = field(&line, "cause").unwrap().contains("does not answer");
        assert_eq!(said, silent, "{line}");
    }
    worker.stop().await;
}

/// A pause names what came instead of an answer, with its status, at `/readyz`, on the page and in the log.
async fn a_pause_names(answer: fn() -> Answer, cause: &str) {
    let stage = Stage::new().await;
    let endpoint = Endpoint::start(move |_| answer()).await;
    let worker = pausing_soon(stage.run(&endpoint)).ready().await;
    stage.amqp.publish_all(INTERACTIVE, (0..10).map(|n| Message::job(&token(n)))).await;
    worker.until_log_lines("paused", 1).await;
    until_told(&worker, "flow", &[cause]).await;
    let page = worker.page("/").await.body;
    assert!(page.contains(&format!(" because {cause}")), "{page}");
    let lines = worker.said("paused");
    assert_eq!(field(&lines[0], "reason"), Some(cause));
    worker.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_for_answers_that_cannot_be_read_names_the_class_and_the_status() {
    a_pause_names(Answer::html, "the endpoint answers with HTTP status 200: an HTML page").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_for_calls_without_an_answer_says_so() {
    let cause = "the endpoint does not answer: the connection breaks before a response";
    a_pause_names(|| Answer::Reset, cause).await;
}

/// Gives the worker's user these rights: to configure, to write, to read.
async fn allow(stage: &Stage, rights: [&str; 3]) {
    let mut arguments = vec!["set_permissions", "-p", stage.host.name(), USER];
    arguments.extend(rights);
    stage.host.node().ctl(&arguments).await;
}

/// Without the right to read, no consumer is accepted: the worker is never ready, and says why once.
#[tokio::test(flavor = "multi_thread")]
async fn a_user_without_the_right_to_read_is_told_in_the_brokers_words() {
    let stage = Stage::new().await;
    let endpoint = Endpoint::willing().await;
    stage.run(&endpoint).ready().await.stop().await;
    allow(&stage, [".*", ".*", "^$"]).await;
    let worker = stage.run(&endpoint).start();
    let words =
        ["neither lane consumes", "ACCESS_REFUSED - ", "refused for user", "(reply code 403)"];
    let said = until_told(&worker, "consumer", &words).await;
    assert!(!said.contains(GONE), "{said}");
    let tries = |metrics: &Scrape| {
        metrics.sessions("channel_closed") + metrics.sessions("connect_failed") >= 6
    };
    worker.until_metrics("three tries of each lane", tries).await;
    assert_eq!(worker.said("consuming").len(), 0, "it says that it consumes");
    assert_eq!(worker.said("not consuming").len(), 2, "one line a lane");
    allow(&stage, [".*", ".*", ".*"]).await;
    worker.until_ready().await;
    worker.stop().await;
}

/// Without the right to write, a dead letter waits, and the publisher's part says why.
#[tokio::test(flavor = "multi_thread")]
async fn a_user_without_the_right_to_write_is_told_in_the_brokers_words() {
    let stage = Stage::new().await;
    let endpoint = Endpoint::start(|_| Answer::rejected()).await;
    let worker = stage.run(&endpoint).ready().await;
    allow(&stage, [".*", "^$", ".*"]).await;
    stage.amqp.publish(INTERACTIVE, Message::job(&token(1))).await;
    let words = ["1 messages wait", "403 ACCESS_REFUSED - ", "check the user"];
    let said = until_told(&worker, "publisher", &words).await;
    assert!(!said.contains(GONE), "{said}");
    let page = worker.page("/").await.body;
    assert!(page.contains("403 ACCESS_REFUSED"), "{page}");
    for line in worker.said("messages wait: they cannot be published") {
        let why = field(&line, "reason").unwrap();
        assert!(why.contains("403 ACCESS_REFUSED"), "{why}");
    }
    allow(&stage, [".*", ".*", ".*"]).await;
    worker.until_processed("dead_lettered", 1).await;
    worker.until_ready().await;
    worker.stop().await;
    assert_eq!(stage.amqp.take(DEAD, 1).await[0].reason(), "rejected");
}

/// A wrong password is told with the broker's code, for the consumers and for publishing, and never repeated.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_told_in_the_brokers_words() {
    const WRONG: &str = "a-wrong-password-of-this-test";
    let stage = Stage::new().await;
    let endpoint = Endpoint::willing().await;
    let mut url = stage.host.worker_url();
    url.set_password(Some(WRONG)).unwrap();
    let worker = stage.run(&endpoint).set("broker.url", url).start();
    let words = ["neither lane consumes", "ACCESS_REFUSED - Login was refused", "reply code 403"];
    until_told(&worker, "consumer", &words).await;
    let lines = worker.until_log_lines("not connected for publishing", 1).await;
    let cause = field(&lines[0], "cause").unwrap();
    for words in
        ["ACCESS_REFUSED - Login was refused", "reply code 403", "check both in broker.url"]
    {
        assert!(cause.contains(words), "{cause}");
    }
    let page = worker.page("/").await.body;
    assert!(page.contains("ACCESS_REFUSED"), "{page}");
    let log = worker.log_lines().iter().map(Value::to_string).collect::<String>();
    assert!(!log.contains(WRONG) && !page.contains(WRONG), "the password is shown");
    worker.kill().await;
}

/// The virtual host is deleted under the worker: each connection ends with the broker's words.
#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_virtual_host_is_told_in_the_brokers_words() {
    let stage = Stage::new().await;
    let endpoint = Endpoint::willing().await;
    let worker = stage.run(&endpoint).ready().await;
    let name = stage.host.name().to_owned();
    stage.host.node().ctl(&["delete_vhost", &name]).await;
    let words = ["neither lane consumes", "NOT_ALLOWED - ", &name, "(reply code 530)"];
    until_told(&worker, "consumer", &words).await;
    let lines = worker.until_log_lines("not connected for publishing", 2).await;
    let causes: Vec<_> = lines.iter().map(|line| field(line, "cause").unwrap()).collect();
    assert!(causes[0].starts_with("320 CONNECTION_FORCED - "), "{causes:?}");
    assert!(causes[1].contains("NOT_ALLOWED - "), "{causes:?}");
    for line in worker.said("not consuming") {
        assert!(!field(&line, "cause").unwrap().contains(GONE), "{line}");
    }
    worker.kill().await;
    // The harness deletes it after the test.
    stage.host.node().ctl(&["add_vhost", &name]).await;
}
