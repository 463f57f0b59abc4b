//! Connects by TCP: tries every address, each with its share of the time.

use std::{fmt, io, net::SocketAddr, time::Duration};

use socket2::{SockRef, TcpKeepalive};
use tokio::{
    net::TcpStream,
    time::{Instant, timeout},
};

use super::Deadline;
use crate::domain::Peer;

/// TCP keepalive. AMQP heartbeats find a dead peer sooner, but not while the stream is not read.
const KEEPALIVE: TcpKeepalive = TcpKeepalive::new()
    .with_time(Duration::from_secs(30))
    .with_interval(Duration::from_secs(10))
    .with_retries(3);

/// A host to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BrokerAddress {
    /// A name, or an IPv4 or IPv6 address without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Whether to use TLS.
    pub(crate) tls: bool,
}

/// Connects to the first address that answers. Each gets an equal share of the remaining time, so that a silent one
/// does not use it up. Fails with the error of each address.
pub(crate) async fn connect(
    addresses: &[SocketAddr],
    deadline: Deadline,
    peer: &Peer<'_>,
) -> Result<TcpStream, String> {
    let mut faults = Vec::new();
    for (index, address) in addresses.iter().enumerate() {
        let left = deadline.at.saturating_duration_since(Instant::now());
        let others = u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
        match timeout(left / others, connect_to(*address)).await {
            Ok(Ok(socket)) => return Ok(socket),
            Ok(Err(error)) => faults.push((address, peer.fault(&error))),
            Err(_) if addresses.len() == 1 => return Err(deadline.missed("the host")),
            Err(_) => faults.push((address, "no answer".to_owned())),
        }
    }
    Err(match faults.as_slice() {
        [(_, fault)] => fault.clone(),
        faults => {
            let told: Vec<_> =
                faults.iter().map(|(address, fault)| format!("{address}: {fault}")).collect();
            told.join("; ")
        }
    })
}

async fn connect_to(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpStream::connect(address).await?;
    socket.set_nodelay(true)?;
    SockRef::from(&socket).set_tcp_keepalive(&KEEPALIVE)?;
    Ok(socket)
}

impl fmt::Display for BrokerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, .. } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

#[cfg(test)]
mod tests;
