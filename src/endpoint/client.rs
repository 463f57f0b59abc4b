//! Builds one HTTP client.

use std::{io, path::PathBuf, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, header::CONTENT_TYPE};
use reqwest::{ClientBuilder, Proxy, Url, redirect};
use rustls::ClientConfig;
use secrecy::ExposeSecret;
use thiserror::Error;

use super::{settings::Settings, tls};

/// The endpoint's header for the version of its interface.
const API_VERSION: HeaderName = HeaderName::from_static("alg-api-version");

/// How long an idle connection is kept. The shortest common keep-alive is five seconds (Node.js, Apache
/// httpd). A call on a connection that the server just closes is ambiguous, which costs more than a handshake.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(4);

/// How often an HTTP/2 connection is pinged. It survives the time-outs of its calls, so without pings a dead
/// one would time out every call until the kernel gives it up.
const HTTP2_PING_INTERVAL: Duration = Duration::from_secs(5);

/// How long the reply to a ping may take.
const HTTP2_PING_TIMEOUT: Duration = Duration::from_secs(5);

/// Why the client cannot be built. No text repeats a secret.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The file cannot be read.
    #[error("endpoint.ca_file: {} cannot be read", path.display())]
    CaUnreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file is broken.
    #[error("endpoint.ca_file: {} is not PEM", path.display())]
    CaNotPem {
        /// The file.
        path: PathBuf,
    },
    /// The file holds something else.
    #[error("endpoint.ca_file: {} holds no certificate", path.display())]
    CaEmpty {
        /// The file.
        path: PathBuf,
    },
    /// The file holds a certificate that cannot be an authority.
    #[error("endpoint.ca_file: a certificate in {} cannot be used", path.display())]
    CaRefused {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: rustls::Error,
    },
    /// The system has no certificate authorities.
    #[error(
        "the system has no certificate authorities: install them (Debian: the package \
         ca-certificates) or set endpoint.ca_file"
    )]
    NoSystemRoots,
    /// The proxy's URL may hold a password and is not repeated.
    #[error("endpoint.proxy: not a URL of the form http://[user:password@]host[:port]")]
    Proxy,
    /// The version cannot be sent.
    #[error("endpoint.api_version: not a value that an HTTP header can carry")]
    ApiVersion,
    /// TLS cannot be set up.
    #[error("the TLS client cannot be set up")]
    Tls(#[source] rustls::Error),
    /// The HTTP client cannot be set up.
    #[error("the HTTP client cannot be set up")]
    Build(#[source] reqwest::Error),
}

/// Builds a client without redirects, retries or settings from the environment.
pub(super) fn builder(settings: &Settings) -> Result<ClientBuilder, ClientError> {
    builder_with(settings, tls::config(settings)?)
}

/// [`builder`] with a TLS configuration that was made before.
pub(super) fn builder_with(
    settings: &Settings,
    tls: ClientConfig,
) -> Result<ClientBuilder, ClientError> {
    let builder = ClientBuilder::new()
        .tls_backend_preconfigured(tls)
        .default_headers(headers(settings)?)
        .user_agent(concat!("revoker/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .referer(false)
        // A hidden attempt would be neither counted nor known as ambiguous.
        .retry(reqwest::retry::never())
        .connect_timeout(settings.connect_timeout)
        .timeout(settings.timeout)
        .pool_max_idle_per_host(settings.max_concurrency)
        .pool_idle_timeout(POOL_IDLE_TIMEOUT)
        .tcp_nodelay(true)
        .no_proxy();
    let builder = match &settings.proxy {
        Some(url) => builder.proxy(proxy(url.expose_secret())?),
        None => builder,
    };
    Ok(if settings.http2 {
        builder
            .http2_keep_alive_interval(HTTP2_PING_INTERVAL)
            .http2_keep_alive_timeout(HTTP2_PING_TIMEOUT)
    } else {
        builder.http1_only()
    })
}

/// The headers of every call.
fn headers(settings: &Settings) -> Result<HeaderMap, ClientError> {
    let version =
        HeaderValue::from_str(&settings.api_version).map_err(|_| ClientError::ApiVersion)?;
    Ok(HeaderMap::from_iter([
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (API_VERSION, version),
    ]))
}

/// Checks the proxy's URL here: reqwest adds a missing scheme, and its errors repeat the URL.
fn proxy(url: &str) -> Result<Proxy, ClientError> {
    let url = Url::parse(url).map_err(|_| ClientError::Proxy)?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(ClientError::Proxy);
    }
    Proxy::all(url).map_err(|_| ClientError::Proxy)
}

#[cfg(test)]
mod tests {
    use std::{error::Error, path::Path};

    use super::*;
    use crate::endpoint::testing;

    const CA_KEY: &str = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    const NOT_DER: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    const NOT_BASE64: &str = "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n";

    fn fault(change: impl FnOnce(&mut Settings)) -> ClientError {
        let mut settings = testing::settings("http://127.0.0.1:1/revoke");
        change(&mut settings);
        builder(&settings).expect_err("a fault")
    }

    #[test]
    fn a_broken_ca_file_is_named_with_its_fault() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, content: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, content).unwrap();
            path
        };
        let ca = |path: &Path| fault(|settings| settings.ca_file = Some(path.to_owned()));
        let missing = ca(&folder.path().join("missing.pem"));
        assert!(matches!(missing, ClientError::CaUnreadable { .. }), "{missing}");
        assert!(missing.source().is_some());
        assert!(matches!(ca(&file("key.pem", CA_KEY)), ClientError::CaEmpty { .. }));
        assert!(matches!(ca(&file("empty.pem", "")), ClientError::CaEmpty { .. }));
        assert!(matches!(ca(&file("text.pem", NOT_BASE64)), ClientError::CaNotPem { .. }));
        let refused = ca(&file("der.pem", NOT_DER));
        assert!(matches!(refused, ClientError::CaRefused { .. }), "{refused}");
        assert!(refused.to_string().contains("der.pem"));
    }

    #[test]
    fn a_broken_proxy_is_refused_without_repeating_its_password() {
        for url in
            ["socks5://u:hunter2@proxy:1", "u:hunter2@proxy", "http://u:hunter2@:1", "data:x"]
        {
            let fault = fault(|settings| settings.proxy = Some(url.into()));
            assert!(matches!(fault, ClientError::Proxy), "{url}");
            assert!(!format!("{fault} {fault:?}").contains("hunter2"), "{url}");
        }
    }

    #[test]
    fn a_version_that_would_break_the_header_is_refused() {
        let fault = fault(|settings| settings.api_version = "1\r\nX-Evil: 1".into());
        assert!(matches!(fault, ClientError::ApiVersion));
    }
}
