//! A server with TLS 1.0. Current libraries no longer support it, so this server sends the bytes of such a server.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// Octets of a record's head: type, version, length.
const RECORD_HEAD: usize = 5;
/// The type of a record that carries a handshake.
const HANDSHAKE: u8 = 22;
/// The version octets of TLS 1.0 and TLS 1.1.
const VERSIONS: [[u8; 2]; 2] = [[3, 1], [3, 2]];

/// The answer to a client with newer versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OldAnswer {
    /// The alert `protocol_version`, RFC 5246, section 7.2.2.
    Alert,
    /// A hello that chooses an old version, section 7.4.1.3.
    Hello,
}

impl OldAnswer {
    fn record(self, version: [u8; 2]) -> Vec<u8> {
        let [major, minor] = version;
        match self {
            Self::Alert => vec![21, major, minor, 0, 2, 2, 70],
            Self::Hello => {
                // The version, a random value, no session, TLS_RSA_WITH_AES_128_CBC_SHA, no compression.
                let hello = [&version[..], &[7; 32], &[0], &[0, 0x2F], &[0]].concat();
                let length = u8::try_from(hello.len()).unwrap();
                let head = [HANDSHAKE, major, minor, 0, length + 4, 2, 0, 0, length];
                [&head[..], &hello].concat()
            }
        }
    }
}

/// The server. Dropped, it stops.
pub struct OldTls {
    address: SocketAddr,
    hellos: Arc<AtomicUsize>,
    serving: JoinHandle<()>,
}

impl Drop for OldTls {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl OldTls {
    /// Gives this answer to every hello, for both versions in turn.
    pub async fn start(answer: OldAnswer) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let hellos = Arc::new(AtomicUsize::new(0));
        let counted = hellos.clone();
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(refuse(stream, answer, counted.clone()));
            }
        });
        Self { address, hellos, serving }
    }

    /// The address on which it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many clients have said hello.
    pub fn hellos(&self) -> usize {
        self.hellos.load(Ordering::SeqCst)
    }
}

async fn refuse(mut stream: TcpStream, answer: OldAnswer, hellos: Arc<AtomicUsize>) {
    let mut head = [0; RECORD_HEAD];
    let Ok(_) = stream.read_exact(&mut head).await else { return };
    let mut hello = vec![0; u16::from_be_bytes([head[3], head[4]]).into()];
    let Ok(_) = stream.read_exact(&mut hello).await else { return };
    if head[0] != HANDSHAKE {
        return;
    }
    let nth = hellos.fetch_add(1, Ordering::SeqCst);
    let _ = stream.write_all(&answer.record(VERSIONS[nth % VERSIONS.len()])).await;
    // Reads the client's remaining bytes, because closing with unread data would send a reset.
    let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
}
