//! Connects to the broker: tries every host in order, each within one deadline over all steps.

use std::{fmt, sync::Arc};

use lapin::uri::{AMQPScheme, AMQPUri};
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;
use url::{Host, Url};

use super::{
    connection::Connection,
    explain::{self, Login},
    handshake::handshake,
    settings::BrokerSettings,
    stream::{
        self, Account, BrokerAddress, Budget, DEFAULT_FRAME_MAX, Deadline, Negotiated, Resolver,
        Stream, StreamHandle,
    },
};
use crate::{domain::Lane, metrics::Metrics, ports::host_name};

/// The text for a broker that accepted a connection and does not answer.
pub(super) const NO_ANSWER: &str = "the broker does not answer";

/// Opens connections with the configured settings.
pub(super) struct Connector {
    settings: Arc<BrokerSettings>,
    /// For each URL, the addresses of its host.
    names: Vec<Resolver>,
    /// Bounds the bytes of deliveries in flight. Each delivery must be claimed.
    budget: Arc<Budget>,
    /// Counts repaired deliveries.
    metrics: Option<Arc<Metrics>>,
}

/// The error of connecting. The text names a host and the fault, never a password.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct Unreachable(pub(super) String);

/// The purpose of a connection, part of its name in the broker's lists.
#[derive(Debug, Clone, Copy)]
pub(super) enum Purpose {
    /// Consumes a lane and acks.
    Consume(Lane),
    Publish,
    /// Checks the queues, and changes nothing.
    Check,
    /// Holds dead letters while a command reads them.
    DeadLetters,
}

impl Connector {
    /// A connector for connections without deliveries.
    pub(super) fn new(settings: Arc<BrokerSettings>) -> Self {
        Self::consuming(settings, Arc::default(), None)
    }

    /// A connector for consuming connections.
    pub(super) fn consuming(
        settings: Arc<BrokerSettings>,
        budget: Arc<Budget>,
        metrics: Option<Arc<Metrics>>,
    ) -> Self {
        let names = settings.urls.iter().map(|_| Resolver::default()).collect();
        Self { settings, names, budget, metrics }
    }

    /// Tries every host in order. Fails with the fault of the last one.
    pub(super) async fn connect(&mut self, purpose: Purpose) -> Result<Connection, Unreachable> {
        let mut last = Unreachable("broker.url: it names no host".to_owned());
        for (url, names) in self.settings.urls.iter().zip(&mut self.names) {
            let account =
                Account::new(Arc::clone(&self.budget), matches!(purpose, Purpose::Consume(_)));
            let handle = StreamHandle::new(account, self.metrics.clone());
            match connect_to(&self.settings, url, names, handle, purpose).await {
                Ok(connection) => return Ok(connection),
                Err(unreachable) => last = unreachable,
            }
        }
        Err(last)
    }
}

async fn connect_to(
    settings: &BrokerSettings,
    url: &SecretString,
    names: &mut Resolver,
    handle: StreamHandle,
    purpose: Purpose,
) -> Result<Connection, Unreachable> {
    let (mut uri, target) =
        parse(url).ok_or_else(|| Unreachable("broker.url: it is not an AMQP URL".to_owned()))?;
    let heartbeat = u16::try_from(settings.heartbeat.as_secs()).unwrap_or(u16::MAX);
    uri.query.heartbeat = Some(heartbeat);
    // Without a frame size lapin would reserve its buffers twice: first small ones, which it then enlarges by writing
    // zeros. That makes 8 MiB of each connection resident. Memory reserved at once becomes resident as it is used.
    let frame_max = *uri.query.frame_max.get_or_insert(DEFAULT_FRAME_MAX);
    let deadline = Deadline::after(settings.connect_timeout);
    let (user, vhost) = (uri.authority.userinfo.username.clone(), uri.vhost.clone());
    let connected = async {
        let transport = stream::open(settings, &target, names, deadline).await?;
        let stream = Stream::new(transport, Negotiated { frame_max, heartbeat }, handle.clone());
        let connection =
            handshake(uri, stream, &handle, name(settings.command, purpose), deadline).await?;
        Ok(Connection::new(connection, handle))
    };
    connected.await.map_err(|fault: String| {
        let login = Login { user: &user, vhost: &vhost };
        Unreachable(format!("{target}: {}", explain::sentence(&fault, &target, login)))
    })
}

/// Returns the connection's name in the broker's lists. Host and process tell replicas apart.
fn name(command: &str, purpose: Purpose) -> String {
    let (version, host, process) = (env!("CARGO_PKG_VERSION"), host_name(), std::process::id());
    format!("revoker {version} {command} {purpose} on {host} (process {process})")
}

/// Parses a URL into lapin's URI and the address to connect to. lapin takes an IPv6 address for `localhost`.
pub(super) fn parse(url: &SecretString) -> Option<(AMQPUri, BrokerAddress)> {
    let uri: AMQPUri = url.expose_secret().parse().ok()?;
    let url = Url::parse(url.expose_secret()).ok()?;
    let host = match url.host()? {
        Host::Ipv6(address) => address.to_string(),
        _ => uri.authority.host.clone(),
    };
    let tls = uri.scheme == AMQPScheme::AMQPS;
    let target = BrokerAddress { host, port: uri.authority.port, tls };
    Some((uri, target))
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Consume(lane) => write!(f, "consume {lane}"),
            Self::Publish => f.write_str("publish"),
            Self::Check => f.write_str("inspect"),
            Self::DeadLetters => f.write_str("read"),
        }
    }
}

#[cfg(test)]
mod tests;
