//! The runtime for lapin: tokio's, with our own type of stream.

use std::{
    io::{self, Read, Write},
    net::SocketAddr,
    time::{Duration, Instant},
};

use async_rs::{Runtime, Tokio, traits::Reactor, util::RuntimeParts};
use futures_io::{AsyncRead, AsyncWrite};
use futures_util::Stream as Items;

use super::io::Stream;

/// The current tokio runtime for lapin.
pub(crate) fn lapin_runtime() -> Runtime<RuntimeParts<Tokio, StreamReactor>> {
    let tokio = Tokio::current();
    Runtime::new(RuntimeParts::new(tokio.clone(), StreamReactor(tokio)))
}

/// Timers are tokio's. It cannot connect: lapin gets a connected stream.
#[derive(Debug, Clone)]
pub(crate) struct StreamReactor(Tokio);

impl Reactor for StreamReactor {
    type TcpStream = Stream;
    type Sleep = <Tokio as Reactor>::Sleep;

    // The trait's bound on the handle is private to its crate, so this omits it. lapin never calls it.
    fn register<H: Read + Write + Send + 'static>(
        &self,
        _socket: H,
    ) -> io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static> {
        Err::<Stream, _>(io::ErrorKind::Unsupported.into())
    }

    fn sleep(&self, duration: Duration) -> Self::Sleep {
        self.0.sleep(duration)
    }

    fn interval(&self, duration: Duration) -> impl Items<Item = Instant> + Send + 'static {
        self.0.interval(duration)
    }

    fn tcp_connect_addr(
        &self,
        _address: SocketAddr,
    ) -> impl Future<Output = io::Result<Self::TcpStream>> + Send + 'static {
        std::future::ready(Err(io::ErrorKind::Unsupported.into()))
    }
}
