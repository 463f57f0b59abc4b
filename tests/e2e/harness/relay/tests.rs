//! Tests that the faults of a relay happen.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::*;

/// An open connection gets a reset, and a closed port refuses connections.
#[tokio::test]
async fn a_relay_resets_and_refuses() {
    use std::io::ErrorKind;

    let server = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let mut relay = Relay::open(server.local_addr().unwrap()).await;
    let mut client = TcpStream::connect(relay.address()).await.unwrap();
    let (mut accepted, _) = server.accept().await.unwrap();
    relay.reset();
    for side in [&mut client, &mut accepted] {
        assert_eq!(side.read_u8().await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    }
    relay.close();
    crate::harness::eventually("the port to refuse", async || {
        match TcpStream::connect(relay.address()).await.map_err(|error| error.kind()) {
            Err(ErrorKind::ConnectionRefused) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

/// A stalled connection is open, and no data passes.
#[tokio::test]
async fn a_relay_stalls() {
    let server = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let stall = Stall { to_target: Some(3), from_target: None };
    let relay = Relay::open_until(server.local_addr().unwrap(), stall).await;
    let mut client = TcpStream::connect(relay.address()).await.unwrap();
    let (mut accepted, _) = server.accept().await.unwrap();
    client.write_all(b"12345").await.unwrap();
    relay.stalled().await;
    accepted.write_all(b"67").await.unwrap();
    let mut back = [0; 2];
    client.read_exact(&mut back).await.unwrap();
    assert_eq!(&back, b"67", "the other direction continues");
    client.shutdown().await.unwrap();
    let mut arrived = Vec::new();
    accepted.read_to_end(&mut arrived).await.unwrap();
    assert_eq!(arrived, b"123");
}

/// Held data arrives after the release, and not before.
#[tokio::test]
async fn a_relay_holds_and_releases() {
    let server = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let relay = Relay::open(server.local_addr().unwrap()).await;
    let mut client = TcpStream::connect(relay.address()).await.unwrap();
    let (mut accepted, _) = server.accept().await.unwrap();
    client.write_all(b"a").await.unwrap();
    assert_eq!(accepted.read_u8().await.unwrap(), b'a');
    relay.hold();
    client.write_all(b"b").await.unwrap();
    let held = tokio::time::timeout(std::time::Duration::from_millis(100), accepted.read_u8());
    assert!(held.await.is_err(), "it came through");
    relay.release();
    assert_eq!(accepted.read_u8().await.unwrap(), b'b');
}

/// This many octets pass, and a write that exceeds them is held as a whole.
#[tokio::test]
async fn a_relay_holds_by_itself() {
    let (relay, mut client, mut accepted) = connected(Relay::open).await;
    relay.hold_after(2);
    client.write_all(b"ab").await.unwrap();
    accepted.read_exact(&mut [0; 2]).await.unwrap();
    client.write_all(b"c").await.unwrap();
    relay.held().await;
    let held = tokio::time::timeout(std::time::Duration::from_millis(100), accepted.read_u8());
    assert!(held.await.is_err(), "it came through");
    relay.release();
    assert_eq!(accepted.read_u8().await.unwrap(), b'c');
}

/// A server, a relay to it, and both ends of a connection through it.
async fn connected(relay: impl AsyncFnOnce(SocketAddr) -> Relay) -> (Relay, TcpStream, TcpStream) {
    let server = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let relay = relay(server.local_addr().unwrap()).await;
    let client = TcpStream::connect(relay.address()).await.unwrap();
    let (accepted, _) = server.accept().await.unwrap();
    (relay, client, accepted)
}

/// Swallowed data is lost without a notice. Later connections are relayed.
#[tokio::test]
async fn a_relay_swallows() {
    let server = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let relay = Relay::open(server.local_addr().unwrap()).await;
    let mut lost = TcpStream::connect(relay.address()).await.unwrap();
    let (mut deaf, _) = server.accept().await.unwrap();
    lost.write_all(b"a").await.unwrap();
    assert_eq!(deaf.read_u8().await.unwrap(), b'a');
    relay.swallow();
    lost.write_all(b"bc").await.unwrap();
    drop(lost);
    crate::harness::eventually("it to be swallowed", async || match relay.swallowed() {
        2 => Ok(()),
        other => Err(other.to_string()),
    })
    .await;

    let mut next = TcpStream::connect(relay.address()).await.unwrap();
    let (mut accepted, _) = server.accept().await.unwrap();
    next.write_all(b"d").await.unwrap();
    assert_eq!(accepted.read_u8().await.unwrap(), b'd');
    let heard = tokio::time::timeout(std::time::Duration::from_millis(100), deaf.read_u8()).await;
    assert!(heard.is_err(), "the other end was told: {heard:?}");
}

/// Every octet arrives by itself, in order, and is counted.
#[tokio::test]
async fn a_relay_slices() {
    let line = Line { slice: Some(1), ..Line::default() };
    let (relay, mut client, mut accepted) =
        connected(async |target| Relay::open_over(target, line).await).await;
    client.write_all(b"sliced").await.unwrap();
    let mut arrived = [0; 6];
    accepted.read_exact(&mut arrived).await.unwrap();
    assert_eq!(&arrived, b"sliced");
    // The last octet may arrive before it is counted.
    crate::harness::eventually("six writes", async || {
        let carried = (relay.carried().writes(), relay.carried().octets());
        if carried == (6, 6) { Ok(()) } else { Err(format!("{carried:?}")) }
    })
    .await;
}

/// The receiver of a cut frame gets half of it, and then a reset.
#[tokio::test]
async fn a_relay_tears_a_frame() {
    let (relay, client, mut accepted) = connected(Relay::open).await;
    relay.tear(Way::FromTarget, Frame::Body);
    accepted.write_all(&[3, 0, 1, 0, 0, 0, 4, 1, 2, 3, 4, 0xCE]).await.unwrap();
    assert_eq!(relay.torn().await, Torn { passed: 9, length: 12 });
    // A reset may overtake earlier data.
    assert!(matches!(client.peek(&mut [0; 12]).await, Err(_) | Ok(0..=9)));
}

/// Later connections go to the new target.
#[tokio::test]
async fn a_relay_is_led_elsewhere() {
    let other = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let (relay, _client, _accepted) = connected(Relay::open).await;
    relay.lead_to(other.local_addr().unwrap());
    let mut client = TcpStream::connect(relay.address()).await.unwrap();
    let (mut accepted, _) = other.accept().await.unwrap();
    client.write_all(b"a").await.unwrap();
    assert_eq!(accepted.read_u8().await.unwrap(), b'a');
}

/// A connection is held by its first bytes, and another one continues.
#[tokio::test]
async fn a_relay_holds_one_connection_by_its_first_words() {
    let server = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let relay = Relay::open(server.local_addr().unwrap()).await;
    let mut ends = Vec::new();
    for words in [b"I consume", b"I publish"] {
        let mut client = TcpStream::connect(relay.address()).await.unwrap();
        let (mut accepted, _) = server.accept().await.unwrap();
        client.write_all(words).await.unwrap();
        accepted.read_exact(&mut [0; 9]).await.unwrap();
        ends.push((client, accepted));
    }
    relay.hold_named("consume");
    for (client, _) in &mut ends {
        client.write_all(b"x").await.unwrap();
    }
    assert_eq!(ends[1].1.read_u8().await.unwrap(), b'x');
    let held = tokio::time::timeout(std::time::Duration::from_millis(100), ends[0].1.read_u8());
    assert!(held.await.is_err(), "it came through");
    relay.reset();
    assert!(ends[0].1.read_u8().await.is_err(), "what was held came out of a reset connection");
}

/// A connection with this name is cut at a delivery, and another one continues.
#[tokio::test]
async fn a_relay_cuts_one_connection_at_each_body() {
    let server = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let relay = Relay::open(server.local_addr().unwrap()).await;
    relay.cut_deliveries_of(Some("consume"));
    let (method, body) = ([1, 0, 1, 0, 0, 0, 1, 9, 0xCE], [3, 0, 1, 0, 0, 0, 1, 9, 0xCE]);
    for (words, cut) in [(b"I consume", true), (b"I publish", false)] {
        let mut client = TcpStream::connect(relay.address()).await.unwrap();
        let (mut accepted, _) = server.accept().await.unwrap();
        client.write_all(words).await.unwrap();
        accepted.read_exact(&mut [0; 9]).await.unwrap();
        accepted.write_all(&method).await.unwrap();
        client.read_exact(&mut [0; 9]).await.unwrap();
        accepted.write_all(&body).await.unwrap();
        assert_eq!(client.read_exact(&mut [0; 9]).await.is_err(), cut);
    }
    assert_eq!(relay.cuts(), 1);
}
