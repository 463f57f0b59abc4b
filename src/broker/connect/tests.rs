use std::time::Duration;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::*;
use crate::broker::{handshake::HUNG_UP, settings::Declare};

/// The first bytes that a client sends.
const GREETING: &[u8] = b"AMQP\x00\x00\x09\x01";

/// A connector, and the listener that plays its broker.
async fn connector(connect_timeout: Duration) -> (Connector, TcpListener) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("amqp://guest:guest@{}/%2f", listener.local_addr().unwrap());
    let settings = BrokerSettings {
        command: "run",
        urls: vec![url.into()],
        ca_file: None,
        client_certificate_file: None,
        client_key_file: None,
        queue: "revocations".to_owned(),
        outcomes: None,
        declare: Declare::All,
        prefetch: 1,
        in_flight_bytes: 1,
        heartbeat: Duration::from_secs(1),
        connect_timeout,
        confirm_timeout: Duration::from_secs(1),
        history_key_file: None,
        park: vec![Duration::from_secs(1)],
    };
    (Connector::new(Arc::new(settings)), listener)
}

/// Takes one connection, up to the greeting of its client.
async fn greeted(listener: &TcpListener) -> TcpStream {
    let (mut client, _) = listener.accept().await.unwrap();
    let mut greeting = [0; GREETING.len()];
    client.read_exact(&mut greeting).await.unwrap();
    assert_eq!(greeting, GREETING);
    client
}

async fn fault_of(connector: &mut Connector) -> String {
    let error = connector.connect(Purpose::Check).await.expect_err("there is no broker");
    error.to_string().split_once(": ").expect("a host and its fault").1.to_owned()
}

/// lapin would wait for such a broker until the network fails. The connector ends the stream.
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_says_nothing_is_left_at_the_deadline() {
    let (mut connector, listener) = connector(Duration::from_millis(200)).await;
    for _ in 0..2 {
        let (fault, mut client) = tokio::join!(fault_of(&mut connector), greeted(&listener));
        assert!(
            fault.starts_with("no connection within 200ms: no answer from the broker: check host"),
            "{fault}"
        );
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0, "its connection stayed open");
    }
}

/// The broker hangs up after half of a frame, or after none.
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_hangs_up_is_reported_at_once_and_the_next_try_is_a_new_one() {
    let (mut connector, listener) = connector(Duration::from_secs(3600)).await;
    for said in [&[][..], b"\x01\x00\x00"] {
        let hang_up = async {
            greeted(&listener).await.write_all(said).await.unwrap();
        };
        let (fault, ()) = tokio::join!(fault_of(&mut connector), hang_up);
        assert!(fault.starts_with(HUNG_UP) && fault.contains("broker.url"), "{fault}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_absent_broker_is_reported_with_the_error_of_the_system() {
    let (mut connector, listener) = connector(Duration::from_secs(3600)).await;
    drop(listener);
    // lapin could miss such a failure, once in many thousand times.
    for _ in 0..100 {
        let fault = fault_of(&mut connector).await;
        assert!(fault.contains("refused"), "{fault}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abandoned_connection_is_ended() {
    let (mut connector, listener) = connector(Duration::from_secs(3600)).await;
    let mut client = tokio::select! {
        fault = fault_of(&mut connector) => panic!("{fault}"),
        client = greeted(&listener) => client,
    };
    assert_eq!(client.read(&mut [0]).await.unwrap(), 0, "its connection stayed open");
}

#[test]
fn a_url_names_its_host_in_every_form() {
    for (url, target) in [
        ("amqp://rabbit.example", "rabbit.example:5672"),
        ("amqps://u:p@rabbit.example/v", "rabbit.example:5671"),
        ("amqp://127.0.0.1:1234", "127.0.0.1:1234"),
        ("amqp://u:p@[2001:db8::1]/%2f", "[2001:db8::1]:5672"),
        ("amqps://[::1]:1234", "[::1]:1234"),
    ] {
        let (_, parsed) = parse(&url.into()).unwrap();
        assert_eq!(parsed.to_string(), target);
        assert!(!parsed.host.starts_with('['), "{parsed:?}");
    }
}
