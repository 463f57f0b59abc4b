//! The byte stream under lapin: it connects, and passes the bytes that lapin reads and writes.
//!
//! lapin takes any stream through a runtime of ours. So one deadline covers names, TCP, TLS and AMQP, and a
//! connection can be ended from outside at any time. The stream repairs what lapin cannot read, and bounds the bytes
//! that lapin gets.
//!
//! A fork of lapin would have to follow it, and a proxy would copy every body.

mod alarm;
mod budget;
mod frames;
mod handle;
#[cfg(any(test, fuzzing))]
pub mod invariants;
mod io;
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

pub use self::budget::Charge;
pub(super) use self::{
    budget::{Account, Budget},
    frames::FrameFault,
    handle::{StreamEnd, StreamHandle},
    io::Stream,
    methods::{DEFAULT_FRAME_MAX, Negotiated},
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

/// The transport: TCP alone, or TLS on it.
pub(super) type Transport = Either<TcpStream, Box<TlsStream<TcpStream>>>;

/// Why no stream to a host was opened.
#[derive(Debug, Error)]
pub(super) enum StreamError {
    /// The host's name has no address.
    #[error("the host's name cannot be resolved: {0}")]
    Name(std::io::Error),
    /// No address accepted the connection; each with its reason.
    #[error("{0}")]
    Tcp(String),
    /// The TLS handshake failed.
    #[error("TLS: {0}")]
    Handshake(std::io::Error),
    /// TLS could not be set up.
    #[error(transparent)]
    Tls(#[from] TlsFault),
    /// The time limit was exceeded.
    #[error("no connection within {}: no answer from {during}", humantime::format_duration(*.limit))]
    TooLong {
        /// What did not answer.
        during: &'static str,
        /// The time limit of the whole connection.
        limit: Duration,
    },
}

/// The deadline of one connection, over all of its steps.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline {
    /// The end of the time.
    pub(super) at: Instant,
    limit: Duration,
}

impl Deadline {
    /// The deadline `limit` from now.
    pub(super) fn after(limit: Duration) -> Self {
        Self { at: Instant::now() + limit, limit }
    }

    /// The error for a missed deadline.
    pub(super) const fn missed(self, during: &'static str) -> StreamError {
        StreamError::TooLong { during, limit: self.limit }
    }

    /// Awaits one step within the deadline.
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

/// Connects to a host, with TLS if its scheme says so.
pub(super) async fn open(
    settings: &BrokerSettings,
    target: &BrokerAddress,
    names: &mut Resolver,
    deadline: Deadline,
) -> Result<Transport, StreamError> {
    // First, so that an unreadable certificate costs the broker no connection.
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
