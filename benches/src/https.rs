//! HTTPS in front of the mock endpoint, which speaks plain HTTP. The worker sends a token over plain HTTP only to its own
//! machine, unless it is told otherwise; so a job in use costs it encryption too.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use tempfile::NamedTempFile;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    },
};

use super::Fallible;

/// A server that decrypts each connection and passes its bytes to the endpoint. On drop it ends, with its connections.
#[derive(Debug)]
pub struct HttpsFront {
    addr: SocketAddr,
    certificate: NamedTempFile,
    serving: JoinHandle<io::Error>,
}

impl HttpsFront {
    /// Starts one for the endpoint at this address.
    ///
    /// # Errors
    ///
    /// No certificate can be made, or no port is free.
    pub async fn before(endpoint: SocketAddr) -> Fallible<Self> {
        let made = rcgen::generate_simple_self_signed([Ipv4Addr::LOCALHOST.to_string()])?;
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)?;
        let certificate = NamedTempFile::new()?;
        std::fs::write(certificate.path(), made.cert.pem())?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let addr = listener.local_addr()?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let serving = tokio::spawn(serve(listener, acceptor, endpoint));
        Ok(Self { addr, certificate, serving })
    }

    /// The worker's settings to call the endpoint through it.
    pub fn settings(&self) -> [(&'static str, String); 2] {
        [
            ("endpoint.url", format!("https://{}/revoke", self.addr)),
            ("endpoint.ca_file", self.certificate.path().display().to_string()),
        ]
    }
}

impl Drop for HttpsFront {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Accepts connections until accepting fails.
async fn serve(listener: TcpListener, acceptor: TlsAcceptor, endpoint: SocketAddr) -> io::Error {
    let mut connections = JoinSet::new();
    loop {
        let client = match listener.accept().await {
            Ok((client, _)) => client,
            Err(error) => return error,
        };
        let acceptor = acceptor.clone();
        // The worker reports a connection that fails; the measurement then fails or shows it.
        connections.spawn(async move { relay(client, &acceptor, endpoint).await.ok() });
        while connections.try_join_next().is_some() {}
    }
}

/// Passes the bytes of one connection in both directions until one side closes.
async fn relay(client: TcpStream, acceptor: &TlsAcceptor, endpoint: SocketAddr) -> io::Result<()> {
    client.set_nodelay(true)?;
    let mut client = acceptor.accept(client).await?;
    let mut server = TcpStream::connect(endpoint).await?;
    server.set_nodelay(true)?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}
