//! The stream under the client library: from a host's name to the bytes that lapin reads and writes.
//!
//! lapin takes any stream, through a kit that stands for its runtime. So connecting is ours: one deadline covers
//! names, TCP, TLS and AMQP, and a connection can be ended from outside at any time. And so is reading: what lapin
//! cannot read is mended on its way to it, and what it is given has a bound in bytes.
//!
//! A fork of lapin would have to be kept up with it, and a proxy of our own would copy every body.

mod alarm;
mod budget;
mod frames;
mod handle;
#[cfg(any(test, fuzzing))]
pub mod invariants;
mod io;
mod listener;
mod mend;
mod methods;
mod oversized;
mod read_buffer;
mod reader;
mod resolver;
mod runtime;
mod socket;
mod tls;
mod wire;

pub use self::{
    budget::{Account, Budget, Charge, Delivered},
    frames::FrameFault,
    handle::{StreamEnd, StreamHandle},
    io::Stream,
    listener::ReadListener,
    methods::Negotiated,
    reader::StreamReader,
    resolver::Resolver,
    runtime::LapinRuntime,
    socket::BrokerAddress,
    tls::TlsFault,
};

use std::{sync::Arc, time::Duration};

use rustls::ClientConfig;
use thiserror::Error;
use tokio::{
    net::TcpStream,
    time::{Instant, timeout_at},
};
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;

use super::settings::BrokerSettings;

/// What carries the bytes: TCP alone, or TLS on it.
pub type Transport = Either<TcpStream, Box<TlsStream<TcpStream>>>;

/// Why there is no stream to a host.
#[derive(Debug, Error)]
pub enum StreamError {
    /// The host's name has no address.
    #[error("the host's name cannot be resolved: {0}")]
    Name(std::io::Error),
    /// No address took the connection; each with its reason.
    #[error("{0}")]
    Tcp(String),
    /// The TLS handshake failed.
    #[error("TLS: {0}")]
    Handshake(std::io::Error),
    /// TLS could not be set up.
    #[error(transparent)]
    Tls(#[from] TlsFault),
    /// The time was over while it waited for this.
    #[error("no connection within {}: no answer from {during}", humantime::format_duration(*.limit))]
    TooLong {
        /// What did not answer.
        during: &'static str,
        /// The time limit of the whole connection.
        limit: Duration,
    },
}

/// The time that one connection may take, over all of its steps.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    /// When it is over.
    pub at: Instant,
    limit: Duration,
}

impl Deadline {
    /// One that ends after `limit`, from now on.
    #[must_use]
    pub fn after(limit: Duration) -> Self {
        Self { at: Instant::now() + limit, limit }
    }

    /// The error that tells whose answer the time was over for.
    #[must_use]
    pub const fn missed(self, during: &'static str) -> StreamError {
        StreamError::TooLong { during, limit: self.limit }
    }

    /// Awaits one step.
    ///
    /// # Errors
    ///
    /// [`StreamError::TooLong`].
    async fn wait<T>(
        self,
        during: &'static str,
        step: impl Future<Output = T>,
    ) -> Result<T, StreamError> {
        timeout_at(self.at, step).await.map_err(|_| self.missed(during))
    }
}

/// Connects to a host, by TLS where its scheme says so.
///
/// # Errors
///
/// [`StreamError`] says how far it came.
pub async fn open(
    settings: &BrokerSettings,
    target: &BrokerAddress,
    names: &mut Resolver,
    deadline: Deadline,
) -> Result<Transport, StreamError> {
    // First: a certificate that cannot be read should not cost the broker a connection.
    let tls = if target.tls { Some(tls::config(settings)?) } else { None };
    let asking = names.addresses(&target.host, target.port);
    let addresses = deadline.wait("the resolver", asking).await?.map_err(StreamError::Name)?;
    let socket = socket::connect(&addresses, deadline).await?;
    Ok(match tls {
        None => Either::Left(socket),
        Some(config) => Either::Right(Box::new(
            deadline.wait("the TLS handshake", shake_hands(config, target, socket)).await??,
        )),
    })
}

async fn shake_hands(
    config: Arc<ClientConfig>,
    target: &BrokerAddress,
    socket: TcpStream,
) -> Result<TlsStream<TcpStream>, StreamError> {
    let name = tls::server_name(&target.host)?;
    let connector = tokio_rustls::TlsConnector::from(config);
    connector.connect(name, socket).await.map_err(StreamError::Handshake)
}
