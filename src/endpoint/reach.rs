//! Checks whether the endpoint can be reached, without calling it.
//!
//! The connector of the real calls resolves, connects, passes the proxy and does the TLS handshake. Nothing is sent
//! after that. A method such as `HEAD` is harmless only if the server treats it so.

use thiserror::Error;
use tokio::time::timeout;
use url::Url;

use super::{
    client::ClientError,
    connector::{ConnectTimeout, Connector},
    settings::Settings,
    transport,
};
use crate::domain::{ErrorChain, Peer, ResultLabel};

/// The error of reaching the endpoint.
#[derive(Debug, Error)]
pub enum ReachError {
    /// The client cannot be built.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The connection failed.
    #[error("{label}: {fault}")]
    Unreachable {
        /// `connect`, `tls` or `timeout`.
        label: ResultLabel,
        /// What is wrong, and the cure, without the URL.
        fault: String,
    },
}

/// An endpoint that can be reached: its settings' section and the URL in it.
#[derive(Debug, Clone, Copy)]
pub struct Destination<'a> {
    /// The setting with the URL.
    pub url_key: &'a str,
    /// The setting with the client's own certificate.
    pub certificate_key: &'a str,
    /// The URL.
    pub url: &'a Url,
}

impl<'a> Destination<'a> {
    /// The revoke endpoint.
    #[must_use]
    pub const fn revoke(settings: &'a Settings) -> Self {
        Self {
            url_key: "endpoint.url",
            certificate_key: "endpoint.auth.client_certificate_file",
            url: &settings.url,
        }
    }

    /// The introspection endpoint.
    #[must_use]
    pub const fn introspection(settings: &'a Settings) -> Self {
        Self {
            url_key: "verify.url",
            certificate_key: "verify.auth.client_certificate_file",
            url: &settings.url,
        }
    }

    /// The token endpoint, if calls carry a bearer token.
    #[must_use]
    pub fn token(settings: &'a Settings) -> Option<Self> {
        let url = settings.auth.token_url.as_ref()?;
        Some(Self { url_key: "endpoint.auth.token_url", url, ..Self::revoke(settings) })
    }
}

/// Connects to an endpoint by TCP and, for HTTPS, TLS. No request is sent. Takes at most `settings.timeout`.
///
/// # Errors
///
/// [`ReachError`] says which step failed.
pub async fn reach(settings: &Settings, to: Destination<'_>) -> Result<(), ReachError> {
    let connector = Connector::new(settings)?;
    let uri = to.url.as_str().parse().map_err(|_| ClientError::Url)?;
    let (label, fault) = match timeout(settings.timeout, connector.connect(uri)).await {
        Ok(Ok(_connected)) => return Ok(()),
        Ok(Err(error)) if error.is::<ConnectTimeout>() => {
            (transport::connect_label(&*error), silent(to, "endpoint.connect_timeout"))
        }
        Ok(Err(error)) => (transport::connect_label(&*error), sentence(settings, to, &*error)),
        Err(_) => (ResultLabel::Timeout, silent(to, "endpoint.timeout")),
    };
    Err(ReachError::Unreachable { label, fault })
}

fn silent(to: Destination<'_>, limit: &str) -> String {
    format!("no connection within {limit}: check host and port in {}, and the firewall", to.url_key)
}

/// The sentence for a failed connection. Through a proxy, the fault may be the proxy's.
fn sentence(
    settings: &Settings,
    to: Destination<'_>,
    error: &(dyn std::error::Error + 'static),
) -> String {
    if settings.proxy.is_some() {
        return format!("{} (by way of endpoint.proxy)", ErrorChain(error));
    }
    let peer = Peer {
        host: to.url.host_str().unwrap_or_default(),
        url_key: to.url_key,
        ca_key: "endpoint.ca_file",
        has_ca: settings.ca_file.is_some(),
        certificate_key: to.certificate_key,
        ports: "https:// needs a TLS port, usually 443",
    };
    peer.fault(error)
}

#[cfg(test)]
mod tests;
