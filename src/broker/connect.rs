//! Reaching the broker: every host in order, each with one deadline over all of its steps.

use std::{
    fmt, mem,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use lapin::{
    ConnectionProperties,
    tcp::AsyncTcpStream,
    uri::{AMQPScheme, AMQPUri},
};
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;
use tokio::time::{timeout, timeout_at};
use url::Url;

use super::{
    cause::Cause,
    connection::Connection,
    settings::Settings,
    stream::{self, Deadline, Ended, Handle, Kit, Names, Stream, Target},
};
use crate::domain::Lane;

/// lapin may have more to say of a handshake whose stream has ended, such as what the broker said before. It
/// says so at once, or never.
const LAST_WORD: Duration = Duration::from_secs(1);

/// What is said of a broker that took a connection and then fell silent.
pub const NO_ANSWER: &str = "the broker does not answer";

/// What is said of a broker that ended a connection before it was made.
const HUNG_UP: &str = "the broker closed the connection in the middle of the handshake";

/// Opens connections as configured.
pub struct Connector {
    settings: Arc<Settings>,
    /// For each URL the addresses of its host.
    names: Vec<Names>,
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
        let names = settings.urls.iter().map(|_| Names::default()).collect();
        Self { settings, names }
    }

    /// Tries every host in order.
    ///
    /// # Errors
    ///
    /// [`Unreachable`] tells what the last host said.
    pub async fn connect(&mut self, purpose: Purpose) -> Result<Connection, Unreachable> {
        let mut last =
            Unreachable { host: "broker.url".to_owned(), fault: "it names no host".to_owned() };
        for (url, names) in self.settings.urls.iter().zip(&mut self.names) {
            match connect_to(&self.settings, url, names, purpose).await {
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
    names: &mut Names,
    purpose: Purpose,
) -> Result<Connection, Unreachable> {
    let (mut uri, target) = parse(url).ok_or_else(|| Unreachable {
        host: "broker.url".to_owned(),
        fault: "it is not an AMQP URL".to_owned(),
    })?;
    uri.query.heartbeat = Some(u16::try_from(settings.heartbeat.as_secs()).unwrap_or(u16::MAX));
    let deadline = Deadline::after(settings.connect_timeout);
    let connected = async {
        let stream = stream::open(settings, &target, names, deadline)
            .await
            .map_err(|error| error.to_string())?;
        handshake(uri, stream, purpose, deadline).await
    };
    connected.await.map_err(|fault| Unreachable { host: target.to_string(), fault })
}

/// The parts of a URL: what lapin needs, and where to connect to. lapin's own reading of the host knows no
/// IPv6 address.
fn parse(url: &SecretString) -> Option<(AMQPUri, Target)> {
    let uri: AMQPUri = url.expose_secret().parse().ok()?;
    let url = Url::parse(url.expose_secret()).ok()?;
    let host = url.host_str()?.trim_start_matches('[').trim_end_matches(']').to_owned();
    let tls = uri.scheme == AMQPScheme::AMQPS;
    let target = Target { host, port: uri.authority.port, tls };
    Some((uri, target))
}

/// The AMQP handshake. lapin's promise may stay unkept where the stream ends at the wrong moment, so the
/// stream is watched beside it.
async fn handshake(
    uri: AMQPUri,
    stream: Stream,
    purpose: Purpose,
    deadline: Deadline,
) -> Result<Connection, String> {
    // However this ends but well, lapin's thread must not go on without anybody.
    let abandoned = Abandoned(stream.handle());
    let handle = &abandoned.0;
    let stream = Mutex::new(Some(stream));
    let connect = async move |_, _| {
        // lapin asks once: its own repetitions are off.
        let stream = stream.lock().unwrap_or_else(PoisonError::into_inner).take();
        let spent = || lapin::Error::from(std::io::Error::from(std::io::ErrorKind::NotConnected));
        stream.map(AsyncTcpStream::Plain).ok_or_else(spent)
    };
    let runtime = Kit::current().into();
    let shaking = lapin::Connection::connector(uri, runtime, connect, properties(purpose));
    let mut shaking = std::pin::pin!(shaking);
    let ended = async {
        tokio::select! {
            biased;
            done = &mut shaking => Some(done),
            _ = handle.ended() => timeout(LAST_WORD, &mut shaking).await.ok(),
        }
    };
    match timeout_at(deadline.at, ended).await {
        Ok(Some(Ok(connection))) => Ok(Connection::new(connection, abandoned.keep())),
        Ok(Some(Err(error))) => Err(why(&error, handle.end())),
        Ok(None) => Err(handle.end().map_or_else(|| HUNG_UP.to_owned(), in_handshake)),
        Err(_) => Err(deadline.missed("the broker").to_string()),
    }
}

/// Why a handshake failed: what the broker or lapin said; what the stream met, if that is all there is.
fn why(error: &lapin::Error, ended: Option<Ended>) -> String {
    match ended {
        Some(ended) if error.is_io_error() => in_handshake(ended),
        _ => Cause::of(error).text,
    }
}

fn in_handshake(ended: Ended) -> String {
    match ended {
        Ended::Closed => HUNG_UP.to_owned(),
        ended => ended.to_string(),
    }
}

/// Gives a stream up when dropped.
struct Abandoned(Handle);

impl Abandoned {
    /// The handle of a stream that is kept.
    fn keep(mut self) -> Handle {
        mem::take(&mut self.0)
    }
}

impl Drop for Abandoned {
    fn drop(&mut self) {
        self.0.give_up();
    }
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

#[cfg(test)]
mod tests;
