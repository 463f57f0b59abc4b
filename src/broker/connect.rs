//! Reaching the broker: every host in order, one deadline over all of it.

use std::{fmt, io, path::Path, pin::Pin, sync::Arc};

use lapin::{
    Connection, ConnectionProperties, ErrorKind,
    tcp::{AsyncTcpStream, RustlsConnector, RustlsConnectorConfig},
    uri::{AMQPScheme, AMQPUri},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;

use super::{
    leash::Leash,
    link::{self, Link, Silence},
    settings::Settings,
};
use crate::domain::Lane;

/// A try may run out of time so often. Then whoever took the connection may be gone without a word, and
/// would be waited for in vain while others would answer.
const MOST_OVERRUNS: u32 = 3;

/// So many looks in a row find that the broker has hung up, or could not be reached. Then lapin has had the
/// time to say why, and the one who waits for it may wait for ever: a broker that stops hangs up in the midst
/// of handshakes, and what fails at once may fail before lapin has noted who waits for it.
const MOST_LOOKS: u32 = 10;

/// What is said of a broker that took a connection and then fell silent.
pub const NO_ANSWER: &str = "the broker does not answer";

/// What is said of a broker that ended a connection before it was made.
const HUNG_UP: &str = "the broker hung up in the handshake";

/// What is said of a connection that was there.
pub const GONE: &str = "the connection is gone";

/// Opens connections as configured.
pub struct Connector {
    settings: Arc<Settings>,
    /// For each URL the try that ran out of time, if there is one. A broker that is slow gets its
    /// time: the next try goes on with it.
    unfinished: Vec<Option<Unfinished>>,
}

type Connecting = Pin<Box<dyn Future<Output = lapin::Result<Connection>> + Send + Sync>>;

/// A try under way.
struct Unfinished {
    connecting: Connecting,
    leash: Leash,
    /// How often its time ran out.
    overruns: u32,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").finish_non_exhaustive()
    }
}

/// Why no connection could be made. The texts hold no password: they name a host and the fault.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{host}: {fault}")]
pub struct Unreachable {
    /// The host and port of the last one tried.
    pub host: String,
    /// What went wrong there.
    pub fault: String,
}

/// What a connection is for: the broker shows it in its lists.
#[derive(Debug, Clone, Copy)]
pub enum Purpose {
    /// It consumes a lane and acks.
    Consume(Lane),
    /// It publishes.
    Publish,
    /// It looks, and changes nothing.
    Check,
    /// It holds dead letters while a tool looks at them.
    DeadLetters,
}

impl Connector {
    /// A connector for these settings.
    #[must_use]
    pub fn new(settings: Arc<Settings>) -> Self {
        let unfinished = settings.urls.iter().map(|_| None).collect();
        Self { settings, unfinished }
    }

    /// Tries every host in order.
    ///
    /// # Errors
    ///
    /// [`Unreachable`] tells what the last host said.
    pub async fn connect(&mut self, purpose: Purpose) -> Result<Connection, Unreachable> {
        let mut last =
            Unreachable { host: "broker.url".to_owned(), fault: "it names no host".to_owned() };
        for (url, unfinished) in self.settings.urls.iter().zip(&mut self.unfinished) {
            match connect_to(&self.settings, url, unfinished, purpose).await {
                Ok(connection) => return Ok(connection),
                Err(unreachable) => last = unreachable,
            }
        }
        Err(last)
    }
}

async fn connect_to(
    settings: &Settings,
    url: &SecretString,
    unfinished: &mut Option<Unfinished>,
    purpose: Purpose,
) -> Result<Connection, Unreachable> {
    let mut uri: AMQPUri = url.expose_secret().parse().map_err(|_| Unreachable {
        host: "broker.url".to_owned(),
        fault: "it is not an AMQP URL".to_owned(),
    })?;
    let host = format!("{}:{}", uri.authority.host, uri.authority.port);
    let unreachable = |fault: String| Unreachable { host: host.clone(), fault };
    uri.query.heartbeat = Some(u16::try_from(settings.heartbeat.as_secs()).unwrap_or(u16::MAX));
    let mut connecting = match unfinished.take() {
        Some(connecting) => connecting,
        None => open(settings, uri, purpose).map_err(unreachable)?,
    };
    let leash = connecting.leash.clone();
    let mut over = 0;
    let look = || {
        over = if leash.is_over() { over + 1 } else { 0 };
        if over < MOST_LOOKS { Link::Up } else { Link::Gone }
    };
    // lapin's own limit covers the blocking path only, and none of the AMQP handshake.
    let limit = settings.connect_timeout;
    match link::await_with(look, limit, &mut connecting.connecting, |_| true).await {
        Ok(ended) => {
            leash.release();
            ended.map_err(|error| unreachable(fault(&error)))
        }
        Err(Silence::Gone) => {
            let fault = leash.failure().unwrap_or_else(|| HUNG_UP.to_owned());
            leash.cut();
            Err(unreachable(fault))
        }
        Err(Silence::TooLong) => {
            connecting.overruns += 1;
            // Before there is a socket, the resolver and the kernel have limits of their own.
            if connecting.overruns < MOST_OVERRUNS || !leash.cut() {
                *unfinished = Some(connecting);
            }
            let limit = humantime::format_duration(limit);
            Err(unreachable(format!("no connection within {limit}")))
        }
    }
}

fn open(settings: &Settings, uri: AMQPUri, purpose: Purpose) -> Result<Unfinished, String> {
    let tls = match uri.scheme {
        AMQPScheme::AMQP => None,
        AMQPScheme::AMQPS => Some(tls(settings).map_err(|error| error.to_string())?),
    };
    let runtime = lapin::runtime::default_runtime().map_err(|error| fault(&error))?;
    let leash = Leash::default();
    let held = leash.clone();
    let connecting = Connection::connector(
        uri,
        runtime,
        async move |uri, runtime| {
            let host = uri.authority.host;
            let reached: io::Result<_> = async {
                let addresses = runtime.to_socket_addrs((host.clone(), uri.authority.port));
                let stream = AsyncTcpStream::connect(&runtime, addresses).await?;
                if let AsyncTcpStream::Plain(socket) = &stream {
                    held.hold(socket.get_ref());
                }
                match &tls {
                    None => Ok(stream),
                    Some(tls) => stream.into_rustls(tls, &host).await,
                }
            }
            .await;
            Ok(reached.inspect_err(|error| held.fail(error.to_string()))?)
        },
        properties(purpose),
    );
    Ok(Unfinished { connecting: Box::pin(connecting), leash, overruns: 0 })
}

/// Read anew for each connection: certificates are rotated while the worker runs.
fn tls(settings: &Settings) -> Result<RustlsConnector, TlsFault> {
    let config = match &settings.ca_file {
        // A configured authority replaces the system's: an image may have none at all.
        Some(path) => RustlsConnectorConfig::default()
            .with_parsable_certificates(certificates("broker.ca_file", path)?),
        None => RustlsConnectorConfig::new_with_native_certs()
            .map_err(|source| TlsFault::SystemRoots { source })?,
    };
    let identity = settings.client_certificate_file.as_ref().zip(settings.client_key_file.as_ref());
    let connector = match identity {
        None => config.connector_with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = certificates("broker.client_certificate_file", certificate)?;
            let key_file = "broker.client_key_file";
            let key = PrivateKeyDer::from_pem_file(key)
                .map_err(|_| TlsFault::Pem { key: key_file, path: key.display().to_string() })?;
            config.connector_with_single_cert(chain, key)
        }
    };
    connector.map_err(|source| TlsFault::Unusable { source })
}

/// Why TLS could not be set up.
#[derive(Debug, Error)]
enum TlsFault {
    #[error("{key}: {path} holds no readable PEM")]
    Pem { key: &'static str, path: String },
    #[error("the system's certificate authorities cannot be read ({source}); set broker.ca_file")]
    SystemRoots { source: io::Error },
    #[error("the certificate and key do not make a TLS identity ({source})")]
    Unusable { source: io::Error },
}

fn certificates(key: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsFault> {
    let fault = || TlsFault::Pem { key, path: path.display().to_string() };
    let certificates: Vec<_> =
        CertificateDer::pem_file_iter(path).and_then(Iterator::collect).map_err(|_| fault())?;
    if certificates.is_empty() { Err(fault()) } else { Ok(certificates) }
}

fn properties(purpose: Purpose) -> ConnectionProperties {
    let name = format!("revoker {} {purpose}", env!("CARGO_PKG_VERSION"));
    ConnectionProperties::default().with_connection_name(name.into())
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Consume(lane) => write!(f, "consume {lane}"),
            Self::Publish => f.write_str("publish"),
            Self::Check => f.write_str("check"),
            Self::DeadLetters => f.write_str("dead-letters"),
        }
    }
}

/// An error of lapin's in few words: what the broker said, or what the network did.
pub fn fault(error: &lapin::Error) -> String {
    match error.kind() {
        ErrorKind::ProtocolError(said) => said.get_message().to_string(),
        ErrorKind::IOError(error) => error.to_string(),
        ErrorKind::MissingHeartbeatError => "the broker's heartbeats stopped".to_owned(),
        ErrorKind::InvalidConnectionState(_) | ErrorKind::InvalidChannelState(..) => {
            GONE.to_owned()
        }
        other => lapin::Error::from(other.clone()).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::{future::pending, time::Duration};

    use super::*;

    /// A connector whose try under way failed for good, while lapin's promise stays unkept.
    fn forgotten(connect_timeout: Duration) -> Connector {
        let mut connector = Connector::new(Arc::new(Settings {
            urls: vec!["amqp://127.0.0.1:1".into()],
            ca_file: None,
            client_certificate_file: None,
            client_key_file: None,
            queue: "revocations".to_owned(),
            declare: true,
            prefetch: 1,
            heartbeat: Duration::from_secs(1),
            connect_timeout,
            confirm_timeout: Duration::from_secs(1),
            park: vec![Duration::from_secs(1)],
        }));
        let leash = Leash::default();
        leash.fail("no such name".to_owned());
        connector.unfinished[0] =
            Some(Unfinished { connecting: Box::pin(pending()), leash, overruns: 0 });
        connector
    }

    async fn fault_of(connector: &mut Connector) -> String {
        connector.connect(Purpose::Check).await.expect_err("there is nobody").fault
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_that_lapin_never_tells_is_told_and_the_next_try_is_a_new_one() {
        let mut connector = forgotten(Duration::from_secs(10));
        assert_eq!(fault_of(&mut connector).await, "no such name");
        assert!(connector.unfinished[0].is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_given_up_as_well_where_the_limit_is_shorter_than_the_looks() {
        let mut connector = forgotten(Duration::from_millis(200));
        for _ in 0..MOST_OVERRUNS {
            assert_eq!(fault_of(&mut connector).await, "no connection within 200ms");
        }
        assert!(connector.unfinished[0].is_none());
    }
}
