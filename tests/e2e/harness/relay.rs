//! A TCP relay on loopback whose port the worker is given in place of the broker's: it can be away,
//! it can break what runs through it, and it can hold it.

use std::{io, net::SocketAddr};

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
    /// Whether bytes stay where they are.
    held: watch::Sender<bool>,
    serving: Option<JoinHandle<()>>,
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
        let (resets, held) = (watch::Sender::new(0), watch::Sender::new(false));
        Self { address, target, resets, held, serving: None }
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
        let faults = (self.resets.clone(), self.held.clone());
        self.serving = Some(tokio::spawn(serve(listener, self.target, faults)));
    }

    /// Resets every connection; new ones are relayed.
    pub fn reset(&self) {
        self.resets.send_modify(|count| *count += 1);
    }

    /// Lets nothing through any more, in either direction; connections stay.
    pub fn hold(&self) {
        self.held.send_replace(true);
    }

    /// Lets through what was held, and everything after it.
    pub fn release(&self) {
        self.held.send_replace(false);
    }

    /// Resets every connection and refuses new ones.
    pub fn close(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.abort();
        }
    }
}

type Faults = (watch::Sender<usize>, watch::Sender<bool>);

async fn serve(listener: TcpListener, target: SocketAddr, (resets, held): Faults) {
    // Dropped with this task, and with it every connection.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((client, _)) = accepted else { continue };
                connections.spawn(relay(client, target, resets.subscribe(), held.subscribe()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn relay(
    mut client: TcpStream,
    target: SocketAddr,
    mut resets: watch::Receiver<usize>,
    held: watch::Receiver<bool>,
) {
    let Ok(mut server) = TcpStream::connect(target).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    // However this ends before the orderly end of both directions, both sides see a reset.
    let _ = (client.set_zero_linger(), server.set_zero_linger());
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let both = async {
        tokio::try_join!(
            pump(&mut from_client, &mut to_server, held.clone()),
            pump(&mut from_server, &mut to_client, held.clone()),
        )
    };
    tokio::select! {
        _ = both => {}
        _ = resets.changed() => {}
    }
}

/// One direction, to its end.
async fn pump(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    mut held: watch::Receiver<bool>,
) -> io::Result<()> {
    let mut chunk = vec![0; 16 * 1024];
    loop {
        let read = from.read(&mut chunk).await?;
        // The relay may be gone before its last connections.
        let _ = held.wait_for(|held| !held).await;
        if read == 0 {
            return to.shutdown().await;
        }
        to.write_all(&chunk[..read]).await?;
    }
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
