//! Builds one HTTP client.

use std::{io, path::PathBuf, time::Duration};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Uri,
    header::{ACCEPT, PROXY_AUTHORIZATION, USER_AGENT},
};
use http_body_util::Full;
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioTimer},
};
use thiserror::Error;

use super::{connector::Connector, settings::Settings};

/// The endpoint's header for the version of its interface.
const API_VERSION: HeaderName = HeaderName::from_static("alg-api-version");

/// The `User-Agent` of the worker.
pub(super) const AGENT: HeaderValue =
    HeaderValue::from_static(concat!("revoker/", env!("CARGO_PKG_VERSION")));

/// How long an idle connection is kept. The shortest common keep-alive is five seconds (Node.js, Apache
/// httpd). A call on a connection that the server just closes is ambiguous, which costs more than a handshake.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(4);

/// How often an HTTP/2 connection is pinged. It survives the time-outs of its calls. Without pings, every call on a
/// dead one would time out until the kernel gives it up.
const HTTP2_PING_INTERVAL: Duration = Duration::from_secs(5);

/// How long the reply to a ping may take.
const HTTP2_PING_TIMEOUT: Duration = Duration::from_secs(5);

/// A client with its pool of connections. It follows no redirect, and repeats no request of which a part was sent.
pub(super) type HttpClient = Client<Connector, Full<Bytes>>;

/// The error of building the client. No text repeats a secret.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The file cannot be read.
    #[error("endpoint.ca_file: {} cannot be read", path.display())]
    CaUnreadable {
        /// The file.
        path: PathBuf,
        /// The error of the system.
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
        /// The fault.
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
    /// The URL cannot be sent.
    #[error("endpoint.url: not a URL that an HTTP request can carry")]
    Url,
    /// The version cannot be sent.
    #[error("endpoint.api_version: not a value that an HTTP header can carry")]
    ApiVersion,
    /// The client's own certificate or its key cannot be used.
    #[error("{}: {fault}", path.display())]
    ClientCertificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and the cure.
        fault: &'static str,
    },
    /// The key that signs assertions cannot be used.
    #[error("endpoint.auth.key_file")]
    Key(#[from] super::KeyError),
    /// TLS cannot be set up.
    #[error("the TLS client cannot be set up")]
    Tls(#[source] rustls::Error),
}

/// Builds a client. It connects with its first call.
pub(super) fn build(settings: &Settings, connector: Connector) -> HttpClient {
    let mut builder = Client::builder(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_max_idle_per_host(settings.max_concurrency)
        .pool_idle_timeout(POOL_IDLE_TIMEOUT);
    if settings.http2 {
        builder
            .http2_keep_alive_interval(HTTP2_PING_INTERVAL)
            .http2_keep_alive_timeout(HTTP2_PING_TIMEOUT);
    }
    builder.build(connector)
}

/// The endpoint's URL as the calls send it.
///
/// # Errors
///
/// [`ClientError::Url`].
pub(super) fn uri(settings: &Settings) -> Result<Uri, ClientError> {
    settings.url.as_str().parse().map_err(|_| ClientError::Url)
}

/// The headers of every call.
///
/// # Errors
///
/// [`ClientError::ApiVersion`].
pub(super) fn headers(
    settings: &Settings,
    proxy_authorization: Option<HeaderValue>,
) -> Result<HeaderMap, ClientError> {
    let mut headers =
        HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("*/*")), (USER_AGENT, AGENT)]);
    for (name, value) in &settings.profile.headers() {
        headers.insert(name, value.clone());
    }
    if settings.profile.is_alignet() {
        let version =
            HeaderValue::from_str(&settings.api_version).map_err(|_| ClientError::ApiVersion)?;
        headers.insert(API_VERSION, version);
    }
    headers.extend(proxy_authorization.map(|password| (PROXY_AUTHORIZATION, password)));
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use std::{error::Error, path::Path, time::Instant};

    use super::*;
    use crate::endpoint::{clients::ClientPool, testing};

    const CA_KEY: &str = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    const NOT_DER: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    const NOT_BASE64: &str = "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n";

    fn fault(change: impl FnOnce(&mut Settings)) -> ClientError {
        let mut settings = testing::settings("http://127.0.0.1:1/revoke");
        change(&mut settings);
        ClientPool::new(&settings, Box::new(Instant::now)).err().expect("a fault")
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
        let settings = Settings {
            api_version: "1\r\nX-Evil: 1".into(),
            ..testing::settings("http://127.0.0.1:1/revoke")
        };
        assert!(matches!(headers(&settings, None), Err(ClientError::ApiVersion)));
    }
}
