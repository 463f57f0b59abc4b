use super::{
    server::{CONNECTION_TIMEOUT, MAX_CONNECTIONS},
    *,
};
use crate::{
    metrics::{Build, Metrics},
    ports::{Condition, Report},
};
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

mod openapi;

/// A part that reports the condition that the test set last.
struct TestPart(Mutex<Condition>);

impl TestPart {
    fn new(condition: Condition) -> Arc<Self> {
        Arc::new(Self(Mutex::new(condition)))
    }

    fn turn(&self, condition: Condition) {
        *self.0.lock().unwrap() = condition;
    }
}

impl Report for TestPart {
    fn condition(&self) -> Condition {
        self.0.lock().unwrap().clone()
    }
}

fn waiting() -> Condition {
    let since = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_500);
    Condition::Waiting { reason: "nothing answers".to_owned(), since, until: Some(since) }
}

fn not_ready() -> Condition {
    Condition::NotReady { reason: "connecting".to_owned() }
}

fn subject() -> Subject {
    Subject::new("https://auth.example".to_owned(), "alignet".to_owned())
}

/// A server on a loopback port of its own.
struct AdminServer {
    address: SocketAddr,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl AdminServer {
    async fn start(parts: ReadinessParts) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let metrics = Arc::new(Metrics::new(Build { version: "1", revision: "r" }).unwrap());
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(serve(listener, metrics, parts, subject(), shutdown.clone()));
        Self { address, shutdown, task }
    }

    /// A connection on which only `head` was sent.
    async fn connect(&self, head: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        stream
    }

    /// The whole answer to a request.
    async fn ask(&self, method: &str, path: &str) -> String {
        let request = format!("{method} {path} HTTP/1.1\r\nhost: revoker\r\n\r\n");
        answer(self.connect(&request).await).await
    }
}

async fn answer(mut stream: TcpStream) -> String {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or_default()
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").unwrap().1
}

#[tokio::test]
async fn metrics_come_in_prometheus_text_format() {
    let server = AdminServer::start(Vec::new()).await;
    let answer = server.ask("GET", "/metrics").await;
    assert_eq!(status(&answer), "200");
    assert!(answer.contains("content-type: text/plain; version=0.0.4\r\n"), "{answer}");
    assert!(body(&answer).contains("revoker_build_info{revision=\"r\",version=\"1\"} 1\n"));
}

#[tokio::test]
async fn only_the_known_paths_and_methods_are_served() {
    let server = AdminServer::start(Vec::new()).await;
    for (method, path, expected) in [
        ("GET", "/", "200"),
        ("GET", "/style.css", "200"),
        ("GET", "/livez", "200"),
        ("GET", "/readyz", "200"),
        ("HEAD", "/livez", "200"),
        ("GET", "/metrics/", "404"),
        ("GET", "/../etc/passwd", "404"),
        ("POST", "/", "405"),
        ("POST", "/metrics", "405"),
        ("DELETE", "/livez", "405"),
    ] {
        assert_eq!(status(&server.ask(method, path).await), expected, "{method} {path}");
    }
    assert_eq!(body(&server.ask("GET", "/livez").await), "ok");
}

#[tokio::test]
async fn readiness_follows_the_worst_part() {
    let (broker, flow) = (TestPart::new(not_ready()), TestPart::new(Condition::Ready));
    let server = AdminServer::start(vec![("broker", broker.clone()), ("flow", flow.clone())]).await;

    let answer = server.ask("GET", "/readyz").await;
    assert_eq!(status(&answer), "503");
    assert_eq!(
        body(&answer),
        r#"{"ready":false,"state":"not_ready","parts":{"broker":{"state":"not_ready","reason":"connecting"},"flow":{"state":"ready"}}}"#
    );

    broker.turn(Condition::Ready);
    flow.turn(waiting());
    let answer = server.ask("GET", "/readyz").await;
    assert_eq!(status(&answer), "200");
    assert_eq!(
        body(&answer),
        r#"{"ready":true,"state":"waiting","parts":{"broker":{"state":"ready"},"flow":{"state":"waiting","reason":"nothing answers","since":"2023-11-14T22:13:20Z","until":"2023-11-14T22:13:20Z"}}}"#
    );

    flow.turn(Condition::Ready);
    let answer = server.ask("GET", "/readyz").await;
    assert_eq!(status(&answer), "200");
    assert!(body(&answer).starts_with(r#"{"ready":true,"state":"ready","#), "{answer}");
}

#[tokio::test]
async fn a_body_is_not_read_and_an_endless_head_is_refused() {
    let server = AdminServer::start(Vec::new()).await;
    let head = "GET /livez HTTP/1.1\r\nhost: revoker\r\ncontent-length: 1000000\r\n\r\n";
    let answer_to_unsent_body = answer(server.connect(head).await).await;
    assert_eq!(status(&answer_to_unsent_body), "200");

    let mut endless = server.connect("GET /livez HTTP/1.1\r\nx: ").await;
    let (mut sent, chunk) = (0, [b'x'; 1024]);
    while endless.write_all(&chunk).await.is_ok() {
        sent += chunk.len();
        assert!(sent < 64 * 1024 * 1024, "the server continues reading");
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_client_is_cut_off() {
    let server = AdminServer::start(Vec::new()).await;
    let start = Instant::now();
    assert_eq!(answer(server.connect("GET /metrics HTT").await).await, "");
    assert!(start.elapsed() >= CONNECTION_TIMEOUT);
    assert_eq!(status(&server.ask("GET", "/livez").await), "200");
}

#[tokio::test]
async fn silent_connections_do_not_disturb_others_below_the_limit() {
    let server = AdminServer::start(Vec::new()).await;
    let start = Instant::now();
    let mut silent = Vec::new();
    for _ in 1..MAX_CONNECTIONS {
        silent.push(server.connect("").await);
    }
    assert_eq!(status(&server.ask("GET", "/livez").await), "200");
    assert!(start.elapsed() < CONNECTION_TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn past_the_limit_a_connection_waits_for_its_turn() {
    let server = AdminServer::start(Vec::new()).await;
    let start = Instant::now();
    let mut silent = Vec::new();
    for _ in 0..MAX_CONNECTIONS {
        silent.push(server.connect("").await);
    }
    assert_eq!(status(&server.ask("GET", "/livez").await), "200");
    assert!(start.elapsed() >= CONNECTION_TIMEOUT, "it was served beside all the others");
}

#[tokio::test(start_paused = true)]
async fn shutting_down_waits_for_no_silent_client() {
    let server = AdminServer::start(Vec::new()).await;
    let silent = server.connect("GET").await;
    assert_eq!(status(&server.ask("GET", "/livez").await), "200");
    let start = Instant::now();
    server.shutdown.cancel();
    server.task.await.unwrap();
    assert!(start.elapsed() < CONNECTION_TIMEOUT);
    assert_eq!(answer(silent).await, "");
    assert!(TcpStream::connect(server.address).await.is_err());
}
