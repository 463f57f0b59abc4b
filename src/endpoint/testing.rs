//! Shared test code of this module: settings, credentials, jobs, and servers on loopback.

use std::{
    collections::BTreeMap,
    future::Future,
    io,
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rustls::{
    RootCertStore, ServerConfig,
    server::{NoClientAuth, WebPkiClientVerifier, danger::ClientCertVerifier},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

use super::{
    ALIGNET, AuthMethod, AuthSettings, CertificateFiles, CredentialSettings, Credentials,
    HttpEndpoint, SecretSource, Settings, builtin,
};
use crate::domain::{Failure, Job, JobDefaults, Verdict};

/// A time limit that no test on loopback reaches unless it means to.
const AMPLE: Duration = Duration::from_secs(30);

/// The client of [`job`].
pub(super) const CLIENT_ID: &str = "shop";

/// Its secret.
pub(super) const CLIENT_SECRET: &str = "canary-secret";

/// The token of [`job`].
pub(super) const TOKEN: &str = "canary-token";

pub(super) fn settings(url: &str) -> Settings {
    Settings {
        url: url.parse().unwrap(),
        profile: builtin(ALIGNET).unwrap(),
        auth: AuthSettings::by(AuthMethod::Fields),
        token_type_hint: None,
        api_version: "1618440906".into(),
        connect_timeout: AMPLE,
        timeout: AMPLE,
        connection_max_age: AMPLE,
        ca_file: None,
        proxy: None,
        http2: false,
        locale: "es_PE".into(),
        max_concurrency: 4,
    }
}

pub(super) fn credentials(client_id: &str, secret: &str) -> Arc<Credentials> {
    let clients = BTreeMap::from([(client_id.to_owned(), SecretSource::Value(secret.into()))]);
    Arc::new(
        Credentials::load(&CredentialSettings { clients, ..CredentialSettings::default() })
            .unwrap(),
    )
}

pub(super) fn endpoint(settings: &Settings) -> HttpEndpoint {
    HttpEndpoint::new(settings, credentials(CLIENT_ID, CLIENT_SECRET)).unwrap()
}

pub(super) fn job() -> Job {
    Job::parse(
        format!(r#"{{"refresh_token":"{TOKEN}","client_id":"{CLIENT_ID}"}}"#).as_bytes(),
        &JobDefaults { audience: "https://api.dev.alignet.io".into(), ..JobDefaults::default() },
    )
    .unwrap()
}

/// The endpoint's own success, as a whole answer of HTTP/1.1.
pub(super) fn success() -> String {
    let body = r#"{"action":"revoke","success":true,"revoke":{"meta":{"status":{"code":"00"}}}}"#;
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// A raw server: each connection is handed to a function.
pub(super) struct Server {
    pub(super) addr: SocketAddr,
    connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Server {
    pub(super) async fn start<F, R>(serve: F) -> Self
    where
        F: Fn(TcpStream) -> R + Send + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(stream));
            }
        });
        Self { addr, connections, task }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/revoke", self.addr)
    }

    /// How many connections came.
    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reads one request: its head as text, and its body.
pub(super) async fn read_request(
    stream: &mut (impl AsyncRead + Unpin),
) -> io::Result<(String, Vec<u8>)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8(head).unwrap();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok((head, body))
}

/// A private authority and a server certificate by it.
pub(super) struct Pki {
    folder: tempfile::TempDir,
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
    authority: CertificateDer<'static>,
    certificate: CertificateDer<'static>,
    key: rcgen::KeyPair,
}

impl Pki {
    /// A private authority, and its certificate for `host`.
    pub(super) fn new(host: &str) -> Self {
        let ca_key = rcgen::KeyPair::generate().unwrap();
        let mut ca = rcgen::CertificateParams::default();
        ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let ca_certificate = ca.self_signed(&ca_key).unwrap();
        let issuer = rcgen::Issuer::new(ca, ca_key);
        let (key, certificate) = issued(&issuer, host);
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), ca_certificate.pem()).unwrap();
        let certificate = certificate.der().clone();
        Self { folder, issuer, authority: ca_certificate.der().clone(), certificate, key }
    }

    pub(super) fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Writes a client's certificate and key; returns the certificate.
    pub(super) fn write_client(&self, files: &CertificateFiles) -> Vec<u8> {
        let (key, certificate) = issued(&self.issuer, "client");
        std::fs::write(&files.key, key.serialize_pem()).unwrap();
        std::fs::write(&files.certificate, certificate.pem()).unwrap();
        certificate.der().to_vec()
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        self.accepting(Arc::new(NoClientAuth))
    }

    /// It requires a client certificate of the same authority.
    pub(super) fn demanding_acceptor(&self) -> TlsAcceptor {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        self.accepting(verifier.build().unwrap())
    }

    fn accepting(&self, clients: Arc<dyn ClientCertVerifier>) -> TlsAcceptor {
        let key = PrivateKeyDer::Pkcs8(self.key.serialize_der().into());
        let mut server =
            ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_client_cert_verifier(clients)
                .with_single_cert(vec![self.certificate.clone()], key)
                .unwrap();
        server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        TlsAcceptor::from(Arc::new(server))
    }
}

fn issued(
    issuer: &rcgen::Issuer<'static, rcgen::KeyPair>,
    name: &str,
) -> (rcgen::KeyPair, rcgen::Certificate) {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new([name.to_owned()]).unwrap();
    let certificate = params.signed_by(&key, issuer).unwrap();
    (key, certificate)
}

/// The verdict with what its label alone says of a failure: for tests that do not look at the class or the size.
pub(super) fn without_class(verdict: Verdict) -> Verdict {
    match verdict {
        Verdict::Transient(failure) => {
            let class = Failure::unanswered(failure.label, false).class;
            Verdict::Transient(Failure { class, size: None, ..failure })
        }
        verdict => verdict,
    }
}
