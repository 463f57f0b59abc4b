//! Checks whether the endpoint can be reached, without calling it.
//!
//! The connector of the real calls resolves, connects, passes the proxy and does the TLS handshake. Nothing is sent
//! after that. A method such as `HEAD` is harmless only if the server treats it so.

use std::error::Error;

use thiserror::Error;
use tokio::time::timeout;

use super::{
    client::{self, ClientError},
    connector::Connector,
    settings::Settings,
    transport,
};
use crate::domain::ResultLabel;

/// The error of reaching the endpoint.
#[derive(Debug, Error)]
pub enum ReachError {
    /// The client cannot be built.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The connection failed.
    #[error("{label}")]
    Unreachable {
        /// `connect`, `tls` or `timeout`.
        label: ResultLabel,
        /// The error, without the URL.
        source: Box<dyn Error + Send + Sync>,
    },
}

/// Connects to the endpoint by TCP and, for HTTPS, TLS. No request is sent. Takes at most `settings.timeout`.
///
/// # Errors
///
/// [`ReachError`] says which step failed.
pub async fn reach(settings: &Settings) -> Result<(), ReachError> {
    let connector = Connector::new(settings)?;
    let connecting = connector.connect(client::uri(settings)?);
    let (label, source) = match timeout(settings.timeout, connecting).await {
        Ok(Ok(_connected)) => return Ok(()),
        Ok(Err(error)) => (transport::connect_label(&*error), error),
        Err(elapsed) => (ResultLabel::Timeout, elapsed.into()),
    };
    Err(ReachError::Unreachable { label, source })
}

#[cfg(test)]
mod tests;
