use super::*;
use crate::{
    admin,
    metrics::{Build, Metrics},
    ports::{Condition, Report},
};
use clap::Parser as _;
use std::{io::Write as _, net::TcpListener, sync::Arc, thread, time::Instant};
use tokio_util::sync::CancellationToken;

#[derive(clap::Parser)]
struct TestCommand {
    #[command(flatten)]
    args: HealthcheckArgs,
}

fn args(line: &[&str]) -> HealthcheckArgs {
    TestCommand::parse_from([&["healthcheck"], line].concat()).args
}

/// The text that is printed, and whether the worker is ready.
async fn told(args: &HealthcheckArgs, address: SocketAddr) -> (String, bool) {
    let health = check(args, address).await;
    (health.text(), health.is_ready())
}

struct TestPart(Condition);

impl Report for TestPart {
    fn condition(&self) -> Condition {
        self.0.clone()
    }
}

/// The check's text and result for a worker whose broker is in this condition.
async fn check_worker(condition: Condition) -> (String, bool) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let listen = SocketAddr::from(([0, 0, 0, 0], listener.local_addr().unwrap().port()));
    let metrics = Arc::new(Metrics::new(Build { version: "1", revision: "r" }).unwrap());
    let part: Arc<dyn Report> = Arc::new(TestPart(condition));
    let shutdown = CancellationToken::new();
    let parts = vec![("broker", part)];
    let subject = admin::Subject::new("https://auth.example".to_owned(), "alignet".to_owned());
    let server = tokio::spawn(admin::serve(listener, metrics, parts, subject, shutdown.clone()));
    let said = told(&args(&[]), listen).await;
    shutdown.cancel();
    server.await.unwrap();
    said
}

/// More bytes than the limit of an answer.
static ENDLESS: [u8; 256 * 1024] = [b'x'; 256 * 1024];

/// A server that sends these bytes to each client, and then waits until the client closes the connection.
fn server(answer: &'static [u8], then_close: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        // The client may close the connection before it has read everything.
        drop(stream.write_all(answer));
        if then_close {
            drop(stream.shutdown(std::net::Shutdown::Write));
        }
        drop(io::copy(&mut stream, &mut io::sink()));
    });
    address
}

#[tokio::test]
async fn a_ready_worker_is_healthy() {
    assert_eq!(check_worker(Condition::Ready).await, ("ready\n".to_owned(), true));
}

#[tokio::test]
async fn a_worker_that_waits_on_purpose_is_healthy_and_says_why() {
    let since = std::time::SystemTime::UNIX_EPOCH;
    let said = check_worker(Condition::Waiting {
        reason: "nothing\nanswers".to_owned(),
        since,
        until: None,
    });
    let text = "waiting\nbroker: waiting since 1970-01-01T00:00:00Z: nothing answers\n";
    assert_eq!(said.await, (text.to_owned(), true));
}

#[tokio::test]
async fn a_worker_that_is_not_ready_is_not_healthy_and_says_why() {
    let said = check_worker(Condition::NotReady { reason: "connecting".to_owned() });
    assert_eq!(said.await, ("not_ready\nbroker: not_ready: connecting\n".to_owned(), false));
}

#[tokio::test]
async fn an_absent_worker_is_not_healthy() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (text, ready) = told(&args(&[]), free).await;
    assert!(!ready);
    assert!(text.starts_with(&format!("no answer from {free}: ")), "{text}");
}

/// A script gets the same in JSON, whether or not there is a worker.
#[tokio::test]
async fn the_json_says_whether_a_worker_is_ready_and_why_there_is_no_answer() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let health = check(&args(&["--output", "json"]), free).await;
    let told: serde_json::Value = serde_json::from_str(&output::json(&health)).unwrap();
    assert_eq!((&told["ready"], &told["state"]), (&false.into(), &"no_answer".into()));
    assert!(told["error"].as_str().unwrap().contains(&free.to_string()), "{told}");
    let answered = Health::Answered(Readiness {
        ready: true,
        state: ReadinessState::Ready,
        parts: std::collections::BTreeMap::default(),
    });
    assert_eq!(output::json(&answered), "{\"ready\":true,\"state\":\"ready\",\"parts\":{}}\n");
}

#[tokio::test]
async fn a_stranger_is_not_healthy() {
    for answer in [
        "HTTP/1.1 200 OK\r\n\r\nok",
        "HTTP/1.1 200 OK\r\n\r\n{\"ready\":true}",
        "SSH-2.0-OpenSSH_9.2\r\n",
        "",
    ] {
        let address = server(answer.as_bytes(), true);
        let text = format!("no answer from {address}: the answer is not from a worker\n");
        assert_eq!(told(&args(&[]), address).await, (text, false), "{answer}");
    }
    let endless = server(&ENDLESS, false);
    assert!(told(&args(&[]), endless).await.0.ends_with("the answer is not from a worker\n"));
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_not_waited_for() {
    let address = server(b"HTTP/1.1 200 OK\r\n", false);
    let start = Instant::now();
    let (text, ready) = told(&args(&["--timeout", "50ms"]), address).await;
    assert!(start.elapsed() >= Duration::from_millis(50));
    assert_eq!(text, format!("no answer from {address}: not within the time limit\n"));
    assert!(!ready);
}

#[tokio::test]
async fn an_address_on_the_command_line_comes_first() {
    let address = server(b"", true);
    let line = ["--address", &address.to_string()];
    assert!(told(&args(&line), ([127, 0, 0, 1], 1).into()).await.0.contains(&address.to_string()));
}

#[test]
fn every_address_becomes_loopback() {
    for (listen, expected) in [
        ("0.0.0.0:9464", "127.0.0.1:9464"),
        ("[::]:9464", "[::1]:9464"),
        ("10.1.2.3:9464", "10.1.2.3:9464"),
    ] {
        assert_eq!(reachable(listen.parse().unwrap()), expected.parse().unwrap());
    }
}
