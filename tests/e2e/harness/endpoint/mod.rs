//! A scripted revoke endpoint on loopback. A script decides the answer to each call, and a ledger records all calls.

mod answer;
mod http2;
mod ledger;
mod wire;

use std::{
    net::SocketAddr,
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};

use super::Gate;

pub use answer::{Answer, AnswerKind, GZIP_BOMB};
pub use ledger::{Entry, Ledger};
pub use wire::Request;
use wire::Wire;

/// One call, as a script sees it.
#[derive(Debug)]
pub struct Call {
    /// The token of its body.
    pub token: String,
    /// The count of calls for this token so far, this one included.
    pub nth: usize,
    /// The request itself.
    pub request: Request,
}

type Script = dyn Fn(&Call) -> Answer + Send + Sync;

/// The endpoint. It derefs to its ledger; dropped, it stops.
pub struct Endpoint {
    address: SocketAddr,
    url: String,
    inner: Arc<Inner>,
    serving: JoinHandle<()>,
}

struct Inner {
    ledger: Ledger,
    connections: AtomicUsize,
    sent_away: AtomicUsize,
    script: Box<Script>,
}

impl Deref for Endpoint {
    type Target = Ledger;

    fn deref(&self) -> &Ledger {
        &self.inner.ledger
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Endpoint {
    /// Serves plain HTTP by `script`.
    pub async fn start(script: impl Fn(&Call) -> Answer + Send + Sync + 'static) -> Self {
        Self::serve("http", None, script).await
    }

    /// Serves HTTPS by `script`.
    pub async fn start_tls(
        tls: ServerConfig,
        script: impl Fn(&Call) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::serve("https", Some(TlsAcceptor::from(Arc::new(tls))), script).await
    }

    /// Serves HTTP/2 by `script`, to clients that offer it.
    pub async fn start_http2(
        mut tls: ServerConfig,
        script: impl Fn(&Call) -> Answer + Send + Sync + 'static,
    ) -> Self {
        tls.alpn_protocols = vec![http2::ALPN.to_vec()];
        Self::start_tls(tls, script).await
    }

    /// Revokes every token.
    pub async fn willing() -> Self {
        Self::start(|_| Answer::revoked()).await
    }

    /// Answers 503 to every call until the gate is opened, then with `then`.
    pub async fn failing(then: fn() -> Answer) -> (Self, Gate) {
        let gate = Gate::default();
        let recovered = gate.clone();
        let script = move |_: &Call| {
            if recovered.is_open() { then() } else { Answer::status(503) }
        };
        (Self::start(script).await, gate)
    }

    /// The URL to configure.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The address on which it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections were ever accepted.
    pub fn connections(&self) -> usize {
        self.inner.connections.load(Ordering::SeqCst)
    }

    /// The number of connections that [`Answer::GoAway`] closed.
    pub fn sent_away(&self) -> usize {
        self.inner.sent_away.load(Ordering::SeqCst)
    }

    async fn serve(
        scheme: &str,
        tls: Option<TlsAcceptor>,
        script: impl Fn(&Call) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let address = listener.local_addr().unwrap();
        let url = format!("{scheme}://{address}/revoke");
        let inner = Arc::new(Inner {
            ledger: Ledger::default(),
            connections: AtomicUsize::new(0),
            sent_away: AtomicUsize::new(0),
            script: Box::new(script),
        });
        let serving = tokio::spawn(accept(listener, tls, inner.clone()));
        Self { address, url, inner, serving }
    }
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, inner: Arc<Inner>) {
    while let Ok((stream, _)) = listener.accept().await {
        inner.connections.fetch_add(1, Ordering::SeqCst);
        let _ = stream.set_nodelay(true);
        tokio::spawn(greet(stream, tls.clone(), inner.clone()));
    }
}

async fn greet(stream: TcpStream, tls: Option<TlsAcceptor>, inner: Arc<Inner>) {
    match tls {
        None => converse(stream, &inner).await,
        Some(tls) => {
            let Ok(stream) = tls.accept(stream).await else { return };
            if stream.get_ref().1.alpn_protocol() == Some(http2::ALPN) {
                let _ = http2::converse(stream, &inner).await;
            } else {
                converse(stream, &inner).await;
            }
        }
    }
}

/// Answers one request after the other until the connection ends.
async fn converse(mut wire: impl Wire, inner: &Inner) {
    while let Ok(Some(request)) = wire::read(&mut wire).await {
        let token = request.token();
        let (place, nth) = inner.ledger.arrived(&token);
        let mut answer = (inner.script)(&Call { token, nth, request });
        while let Answer::After(gate, then) = answer {
            gate.passed().await;
            answer = *then;
        }
        let pause = match answer {
            Answer::Drip(pause, whole) => {
                answer = *whole;
                Some(pause)
            }
            _ => None,
        };
        match answer {
            Answer::Http { said, status, headers, body } => {
                let answer = wire::render(status, &headers, &body);
                let note = || inner.ledger.answered(place, Some(said));
                let written = match pause {
                    None => wire::write(&mut wire, &answer, note).await,
                    Some(pause) => wire::drip(&mut wire, pause, &answer, note).await,
                };
                if written.is_err() {
                    return;
                }
            }
            Answer::Endless => {
                let _ = wire::flood(&mut wire).await;
                return;
            }
            Answer::Reset => return wire.reset(),
            Answer::Never => std::future::pending().await,
            Answer::After(..) | Answer::Drip(..) => unreachable!("unwrapped above"),
            Answer::Refuse | Answer::GoAway => unreachable!("HTTP/1.1 cannot say this"),
        }
    }
}
