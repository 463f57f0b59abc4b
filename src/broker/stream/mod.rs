//! The byte stream under lapin: it connects, and passes the bytes that lapin reads and writes.
//!
//! lapin takes any stream through a runtime of ours. So one deadline covers names, TCP, TLS and AMQP, and a connection
//! can be ended from outside at any time. The stream repairs frames that lapin cannot read, and bounds the bytes that
//! lapin gets.
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
    runtime::lapin_runtime,
    socket::BrokerAddress,
};

use std::{sync::Arc, time::Duration};

use rustls::ClientConfig;
use tokio::{
    net::TcpStream,
    time::{Instant, timeout_at},
};
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;

use super::{explain, settings::BrokerSettings};
use crate::domain::Peer;

/// The transport: TCP alone, or TLS on it.
pub(super) type Transport = Either<TcpStream, Box<TlsStream<TcpStream>>>;

/// The deadline of one connection, over all of its steps.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline {
    pub(super) at: Instant,
    limit: Duration,
}

impl Deadline {
    /// The deadline `limit` from now.
    pub(super) fn after(limit: Duration) -> Self {
        Self { at: Instant::now() + limit, limit }
    }

    /// The text for a missed deadline, when `during` did not answer.
    pub(super) fn missed(self, during: &str) -> String {
        let limit = humantime::format_duration(self.limit);
        format!("no connection within {limit}: no answer from {during}")
    }

    /// Awaits one step within the deadline.
    async fn wait<T>(self, during: &str, step: impl Future<Output = T>) -> Result<T, String> {
        timeout_at(self.at, step).await.map_err(|_| self.missed(during))
    }
}

/// Connects to a host, with TLS if its scheme says so. Fails with a text for the operator.
pub(super) async fn open(
    settings: &BrokerSettings,
    target: &BrokerAddress,
    names: &mut Resolver,
    deadline: Deadline,
) -> Result<Transport, String> {
    let peer = &explain::peer(settings, target);
    // First, so that an unreadable certificate costs the broker no connection.
    let tls = if target.tls { Some(tls::config(settings)?) } else { None };
    let asking = names.addresses(&target.host, target.port);
    let addresses =
        deadline.wait("the resolver", asking).await?.map_err(|error| peer.unresolved(error))?;
    let socket = socket::connect(&addresses, deadline, peer).await?;
    Ok(match tls {
        None => Either::Left(socket),
        Some(config) => Either::Right(Box::new(
            deadline.wait("the TLS handshake", shake_hands(config, peer, socket)).await??,
        )),
    })
}

async fn shake_hands(
    config: Arc<ClientConfig>,
    peer: &Peer<'_>,
    socket: TcpStream,
) -> Result<TlsStream<TcpStream>, String> {
    let name = tls::server_name(peer.host)?;
    let connector = tokio_rustls::TlsConnector::from(config);
    connector.connect(name, socket).await.map_err(|error| format!("TLS: {}", peer.fault(&error)))
}
