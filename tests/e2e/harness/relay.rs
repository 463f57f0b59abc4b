//! A TCP relay on loopback whose port the worker is given in place of the broker's: it can be away,
//! and it can break what runs through it.

use std::net::SocketAddr;

use tokio::{
    io::copy_bidirectional,
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
        Self { address, target, resets: watch::Sender::new(0), serving: None }
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
        self.serving = Some(tokio::spawn(serve(listener, self.target, self.resets.clone())));
    }

    /// Resets every connection; new ones are relayed.
    pub fn reset(&self) {
        self.resets.send_modify(|count| *count += 1);
    }

    /// Resets every connection and refuses new ones.
    pub fn close(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.abort();
        }
    }
}

async fn serve(listener: TcpListener, target: SocketAddr, resets: watch::Sender<usize>) {
    // Dropped with this task, and with it every connection.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((client, _)) = accepted else { continue };
                connections.spawn(relay(client, target, resets.subscribe()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn relay(mut client: TcpStream, target: SocketAddr, mut resets: watch::Receiver<usize>) {
    let Ok(mut server) = TcpStream::connect(target).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    // However this ends before the orderly end of both directions, both sides see a reset.
    let _ = (client.set_zero_linger(), server.set_zero_linger());
    tokio::select! {
        _ = copy_bidirectional(&mut client, &mut server) => {}
        _ = resets.changed() => {}
    }
}

/// The faults are real: an open connection sees a reset, and a closed port refuses.
#[tokio::test]
async fn a_relay_resets_and_refuses() {
    use std::io::ErrorKind;
    use tokio::io::AsyncReadExt as _;

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
