//! A TCP relay on loopback whose port the worker is given in place of the broker's: it can be away,
//! it can break what runs through it, hold it, and stop passing it on.

use std::{
    io,
    net::SocketAddr,
    sync::{Mutex, PoisonError},
};

use super::wait::HANG_GUARD;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};

/// A port that leads to `target` while the relay is open.
pub struct Relay {
    address: SocketAddr,
    target: SocketAddr,
    /// Counts the resets: a connection ends when the count moves on.
    resets: watch::Sender<usize>,
    held: watch::Sender<Held>,
    stall: Stall,
    /// Counts the directions of connections that were stalled.
    stalled: watch::Sender<usize>,
    serving: Option<JoinHandle<()>>,
}

/// Which connections' bytes stay where they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Held {
    None,
    All,
    /// Those whose first words hold these.
    Named(&'static str),
}

impl Held {
    fn holds(self, greeting: &Greeting) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Named(name) => greeting.says(name),
        }
    }
}

/// The first words of a connection from the product.
#[derive(Debug, Default)]
struct Greeting(Mutex<Vec<u8>>);

impl Greeting {
    /// Bytes that are kept: the protocol's header and the properties of the client.
    const LONGEST: usize = 2_048;

    fn hear(&self, words: &[u8]) {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = Self::LONGEST.saturating_sub(heard.len());
        heard.extend_from_slice(&words[..words.len().min(room)]);
    }

    fn says(&self, name: &str) -> bool {
        let heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        heard.windows(name.len()).any(|words| words == name.as_bytes())
    }
}

/// How many bytes of each connection are passed on, before the relay falls silent and holds it open.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stall {
    /// From the product.
    pub to_target: Option<u64>,
    /// To the product.
    pub from_target: Option<u64>,
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.close();
    }
}

impl Relay {
    /// Takes a port and does not listen on it yet: connections to it are refused.
    pub async fn shut(target: SocketAddr) -> Self {
        let probe = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = probe.local_addr().unwrap();
        Self {
            address,
            target,
            resets: watch::Sender::new(0),
            held: watch::Sender::new(Held::None),
            stall: Stall::default(),
            stalled: watch::Sender::new(0),
            serving: None,
        }
    }

    /// Listens and relays so much of each connection.
    pub async fn open_until(target: SocketAddr, stall: Stall) -> Self {
        let mut relay = Self::shut(target).await;
        relay.stall = stall;
        relay.reopen().await;
        relay
    }

    /// Waits until a connection was stalled.
    pub async fn stalled(&self) {
        let mut stalled = self.stalled.subscribe();
        let stalled = tokio::time::timeout(HANG_GUARD, stalled.wait_for(|count| *count > 0)).await;
        assert!(stalled.is_ok(), "nothing was stalled");
    }

    /// Listens and relays.
    pub async fn open(target: SocketAddr) -> Self {
        let mut relay = Self::shut(target).await;
        relay.reopen().await;
        relay
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Begins to listen.
    pub async fn reopen(&mut self) {
        // Tokio sets SO_REUSEADDR: the port can be taken again at once.
        let listener = TcpListener::bind(self.address).await.unwrap();
        let way = Way {
            target: self.target,
            resets: self.resets.clone(),
            held: self.held.clone(),
            stall: self.stall,
            stalled: self.stalled.clone(),
        };
        self.serving = Some(tokio::spawn(serve(listener, way)));
    }

    /// Resets every connection; new ones are relayed.
    pub fn reset(&self) {
        self.resets.send_modify(|count| *count += 1);
    }

    /// Lets nothing through any more, in either direction; connections stay.
    pub fn hold(&self) {
        self.held.send_replace(Held::All);
    }

    /// The same for those connections alone that named themselves so as they began: the worker tells the
    /// broker what each of its connections is for.
    pub fn hold_named(&self, name: &'static str) {
        self.held.send_replace(Held::Named(name));
    }

    /// Lets through what was held, and everything after it.
    pub fn release(&self) {
        self.held.send_replace(Held::None);
    }

    /// Resets every connection and refuses new ones.
    pub fn close(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.abort();
        }
    }
}

/// What every connection needs.
#[derive(Clone)]
struct Way {
    target: SocketAddr,
    resets: watch::Sender<usize>,
    held: watch::Sender<Held>,
    stall: Stall,
    stalled: watch::Sender<usize>,
}

/// Where bytes come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Product,
    Target,
}

async fn serve(listener: TcpListener, way: Way) {
    // Dropped with this task, and with it every connection.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((client, _)) = accepted else { continue };
                connections.spawn(relay(client, way.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn relay(mut client: TcpStream, way: Way) {
    let mut resets = way.resets.subscribe();
    let Ok(mut server) = TcpStream::connect(way.target).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    // However this ends before the orderly end of both directions, both sides see a reset.
    let _ = (client.set_zero_linger(), server.set_zero_linger());
    let greeting = Greeting::default();
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    tokio::select! {
        _ = async {
            tokio::try_join!(
                pass(from_client, to_server, way.stall.to_target, &way, &greeting, Side::Product),
                pass(from_server, to_client, way.stall.from_target, &way, &greeting, Side::Target),
            )
        } => {}
        _ = resets.changed() => {}
    }
}

/// Passes on one direction to its end, or so many bytes and nothing more.
async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    most: Option<u64>,
    way: &Way,
    greeting: &Greeting,
    side: Side,
) -> io::Result<()> {
    let mut held = way.held.subscribe();
    let mut left = most.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX));
    let mut chunk = vec![0; 16 * 1024];
    while left > 0 {
        let most = left.min(chunk.len());
        let read = from.read(&mut chunk[..most]).await?;
        if side == Side::Product {
            greeting.hear(&chunk[..read]);
        }
        // The relay may be gone before its last connections.
        let _ = held.wait_for(|held| !held.holds(greeting)).await;
        if read == 0 {
            return to.shutdown().await;
        }
        to.write_all(&chunk[..read]).await?;
        left -= read;
    }
    way.stalled.send_modify(|count| *count += 1);
    // The end of the connection is passed on all the same.
    while from.read(&mut chunk).await? > 0 {}
    to.shutdown().await
}

/// The faults are real: an open connection sees a reset, and a closed port refuses.
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

/// A stalled connection is open, and nothing comes through.
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
    assert_eq!(&back, b"67", "the other direction goes on");
    client.shutdown().await.unwrap();
    let mut arrived = Vec::new();
    accepted.read_to_end(&mut arrived).await.unwrap();
    assert_eq!(arrived, b"123");
}

/// What is held comes when it is released, and not before.
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

/// A connection is held by the words that it began with, and another one goes on.
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
