//! The AMQP handshake over an open stream.

use std::{
    io,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use lapin::{ConnectionProperties, tcp::AsyncTcpStream, uri::AMQPUri};
use tokio::time::{timeout, timeout_at};

use super::{
    cause::CloseCause,
    stream::{Deadline, Stream, StreamEnd, StreamHandle, lapin_runtime},
};

/// After the stream has ended, lapin may still report an earlier error of the broker. It does so within this time.
const LAST_ERROR_WITHIN: Duration = Duration::from_secs(1);

/// The text for a broker that ended the connection in the handshake.
pub(super) const HUNG_UP: &str = "the broker closed the connection in the middle of the handshake";

/// Performs the handshake. lapin's future may never complete if the stream ends at the wrong moment, so the stream is
/// watched as well.
pub(super) async fn handshake(
    uri: AMQPUri,
    stream: Stream,
    handle: &StreamHandle,
    name: String,
    deadline: Deadline,
) -> Result<lapin::Connection, String> {
    // On any failure, lapin's thread must end too.
    let abandoned = AbandonOnDrop(Some(handle));
    let stream = Mutex::new(Some(stream));
    let connect = async move |_, _| {
        // lapin asks once: its own retries are off.
        let stream = stream.lock().unwrap_or_else(PoisonError::into_inner).take();
        let spent = || lapin::Error::from(io::Error::from(io::ErrorKind::NotConnected));
        stream.map(AsyncTcpStream::Plain).ok_or_else(spent)
    };
    let shaking = lapin::Connection::connector(uri, lapin_runtime(), connect, properties(name));
    let mut shaking = std::pin::pin!(shaking);
    let ended = async {
        tokio::select! {
            biased;
            done = &mut shaking => Some(done),
            _ = handle.ended() => timeout(LAST_ERROR_WITHIN, &mut shaking).await.ok(),
        }
    };
    match timeout_at(deadline.at, ended).await {
        Ok(Some(Ok(connection))) => {
            abandoned.keep();
            Ok(connection)
        }
        Ok(Some(Err(error))) if !error.is_io_error() => Err(CloseCause::of(&error).to_string()),
        Ok(_) => Err(match handle.cause() {
            Some(cause) if handle.end() != Some(StreamEnd::Closed) || cause.code.is_some() => {
                cause.to_string()
            }
            _ => HUNG_UP.to_owned(),
        }),
        Err(_) => Err(deadline.missed("the broker")),
    }
}

/// Ends a stream when dropped.
struct AbandonOnDrop<'a>(Option<&'a StreamHandle>);

impl AbandonOnDrop<'_> {
    /// Keeps the stream.
    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for AbandonOnDrop<'_> {
    fn drop(&mut self) {
        if let Some(handle) = self.0 {
            handle.give_up();
        }
    }
}

fn properties(name: String) -> ConnectionProperties {
    ConnectionProperties::default().with_connection_name(name.into())
}
