//! Connects to the endpoint: TCP, a proxy where one is set, and TLS, all within `endpoint.connect_timeout`.

use std::{
    error::Error,
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{HeaderMap, HeaderValue, Uri, header::USER_AGENT, uri::Scheme};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::{
    client::{
        legacy::connect::{Connected, Connection, HttpConnector, proxy::Tunnel},
        proxy::matcher::{Intercept, Matcher},
    },
    rt::TokioIo,
};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use secrecy::ExposeSecret;
use thiserror::Error;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;
use tower_service::Service;
use url::Url;

use super::{
    client::{AGENT, ClientError},
    client_certificate::FreshCertificate,
    settings::Settings,
    tls,
};

/// The kernel probes a connection that is idle for this long. Many networks silently drop connections.
const TCP_KEEPALIVE: Duration = Duration::from_secs(15);

/// How many probes stay unanswered before the kernel gives up the connection.
const TCP_KEEPALIVE_RETRIES: u32 = 3;

/// How long sent bytes may stay unacknowledged before the kernel gives up the connection.
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(30);

type BoxError = Box<dyn Error + Send + Sync>;

/// A connection to the endpoint, or to the proxy.
type Hop = MaybeHttpsStream<TokioIo<TcpStream>>;

/// Connects to the endpoint. Clones share everything. Not `Debug`: it may hold the password of a proxy.
#[derive(Clone)]
pub struct Connector(Arc<Route>);

struct Route {
    tcp: HttpConnector,
    tls: Arc<ClientConfig>,
    certificate: Option<FreshCertificate>,
    proxy: Option<Proxy>,
    limit: Duration,
}

struct Proxy {
    /// The proxy's own TLS offers no protocol: only the endpoint's may be HTTP/2.
    connector: HttpsConnector<HttpConnector>,
    intercept: Intercept,
}

/// Connecting took too long.
#[derive(Debug, Error)]
#[error("no connection in time")]
pub(super) struct ConnectTimeout;

impl Connector {
    /// The connector of these settings. Nothing connects yet.
    ///
    /// # Errors
    ///
    /// [`ClientError`] names the setting that is wrong.
    pub(super) fn new(settings: &Settings) -> Result<Self, ClientError> {
        let (tls, certificate) = tls::config(settings)?;
        let tls = Arc::new(tls);
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(TCP_KEEPALIVE));
        tcp.set_keepalive_interval(Some(TCP_KEEPALIVE));
        tcp.set_keepalive_retries(Some(TCP_KEEPALIVE_RETRIES));
        #[cfg(target_os = "linux")]
        tcp.set_tcp_user_timeout(Some(TCP_USER_TIMEOUT));
        let proxy = match &settings.proxy {
            None => None,
            Some(url) => {
                let mut to_proxy = ClientConfig::clone(&tls);
                to_proxy.alpn_protocols.clear();
                Some(Proxy {
                    connector: HttpsConnector::from((tcp.clone(), to_proxy)),
                    intercept: intercept(url.expose_secret(), &settings.url)?,
                })
            }
        };
        Ok(Self(Arc::new(Route { tcp, tls, certificate, proxy, limit: settings.connect_timeout })))
    }

    /// The value of `Proxy-Authorization` in each call: a proxy that relays plain HTTP reads it there.
    pub(super) fn proxy_authorization(&self, endpoint: &Uri) -> Option<HeaderValue> {
        let proxy = self.0.proxy.as_ref().filter(|_| endpoint.scheme() == Some(&Scheme::HTTP))?;
        proxy.intercept.basic_auth().cloned()
    }

    /// Connects to the host of `to`. A TLS error is distinguished by its type.
    pub(super) async fn connect(&self, to: Uri) -> Result<Stream, BoxError> {
        timeout(self.0.limit, self.0.connect(to)).await.map_err(|_| ConnectTimeout)?
    }
}

/// The proxy at `url`. It is checked here, because the library treats an unreadable URL as no proxy.
fn intercept(url: &str, endpoint: &Url) -> Result<Intercept, ClientError> {
    let url = Url::parse(url).map_err(|_| ClientError::Proxy)?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(ClientError::Proxy);
    }
    let endpoint: Uri = endpoint.as_str().parse().map_err(|_| ClientError::Url)?;
    let matcher = Matcher::builder().all(String::from(url)).build();
    matcher.intercept(&endpoint).ok_or(ClientError::Proxy)
}

impl Route {
    async fn connect(&self, to: Uri) -> Result<Stream, BoxError> {
        let is_tls = to.scheme() == Some(&Scheme::HTTPS);
        if let Some(certificate) = &self.certificate {
            certificate.refresh().await;
        }
        let hop = match &self.proxy {
            None => Hop::Http(self.tcp.clone().call(to.clone()).await?),
            Some(proxy) if is_tls => proxy.tunnel(to.clone()).await?,
            Some(proxy) => {
                let hop = proxy.connector.clone().call(proxy.intercept.uri().clone()).await?;
                return Ok(Stream { bytes: MaybeHttpsStream::Http(hop), is_proxied: true });
            }
        };
        let bytes = if is_tls {
            let stream = TokioIo::new(hop);
            let tls = TlsConnector::from(Arc::clone(&self.tls));
            let secured = tls.connect(server_name(&to)?, stream).await.map_err(io::Error::other)?;
            MaybeHttpsStream::Https(TokioIo::new(secured))
        } else {
            MaybeHttpsStream::Http(hop)
        };
        Ok(Stream { bytes, is_proxied: false })
    }
}

impl Proxy {
    /// Connects through the proxy, which then sees only TLS.
    async fn tunnel(&self, to: Uri) -> Result<Hop, BoxError> {
        let tunnel = Tunnel::new(self.intercept.uri().clone(), self.connector.clone());
        let agent = HeaderMap::from_iter([(USER_AGENT, AGENT)]);
        let tunnel = match self.intercept.basic_auth() {
            Some(password) => tunnel.with_auth(password.clone()),
            None => tunnel,
        };
        Ok(tunnel.with_headers(agent).call(to).await?)
    }
}

/// The name in the certificate. A URI has an IPv6 address in brackets, a certificate has none.
fn server_name(to: &Uri) -> Result<ServerName<'static>, BoxError> {
    let host = to.host().unwrap_or_default();
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    Ok(ServerName::try_from(bare.to_owned())?)
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, BoxError>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move { connector.connect(to).await })
    }
}

/// A connection for HTTP.
pub struct Stream {
    bytes: MaybeHttpsStream<Hop>,
    /// Whether a proxy reads the calls, which then have the whole URL in their first line.
    is_proxied: bool,
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        // Without the addresses that the library would copy into each response.
        let connected = Connected::new().proxy(self.is_proxied);
        if self.bytes.connected().is_negotiated_h2() {
            connected.negotiated_h2()
        } else {
            connected
        }
    }
}

impl Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.bytes).poll_read(cx, buffer)
    }
}

impl Write for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.bytes).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.bytes).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.bytes).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.bytes.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.bytes).poll_write_vectored(cx, slices)
    }
}
