//! HTTPS in front of the mock endpoint, which speaks plain HTTP. In production the worker calls over HTTPS: it sends tokens
//! over plain HTTP only to its own machine, unless it is told otherwise.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use tempfile::NamedTempFile;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    },
};

use super::{Fallible, scene::Scene};

/// A server that decrypts each connection and passes its bytes to the endpoint.
pub struct HttpsFront {
    listener: TcpListener,
    acceptor: TlsAcceptor,
    certificate: NamedTempFile,
    endpoint: SocketAddr,
}

impl HttpsFront {
    /// A server in front of the scene's endpoint. It listens, and serves nobody before [`HttpsFront::serve`].
    ///
    /// # Errors
    ///
    /// No certificate can be made, or no port is free.
    pub async fn before(scene: &Scene) -> Fallible<Self> {
        let made = rcgen::generate_simple_self_signed([Ipv4Addr::LOCALHOST.to_string()])?;
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)?;
        let certificate = NamedTempFile::new()?;
        std::fs::write(certificate.path(), made.cert.pem())?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Ok(Self { listener, acceptor, certificate, endpoint: scene.endpoint() })
    }

    /// The worker's settings to call the endpoint through it.
    ///
    /// # Errors
    ///
    /// Its address cannot be told.
    pub fn settings(&self) -> Fallible<[(&'static str, String); 2]> {
        Ok([
            ("endpoint.url", format!("https://{}/revoke", self.listener.local_addr()?)),
            ("endpoint.ca_file", self.certificate.path().display().to_string()),
        ])
    }

    /// Serves until it fails to accept a connection, and returns that error. If the future is dropped, all connections end.
    pub async fn serve(&self) -> io::Error {
        let mut connections = JoinSet::new();
        loop {
            let client = match self.listener.accept().await {
                Ok((client, _)) => client,
                Err(error) => return error,
            };
            let (acceptor, endpoint) = (self.acceptor.clone(), self.endpoint);
            // A call on a connection that fails is counted by the worker, and the measurement fails for that.
            connections.spawn(async move { relay(client, &acceptor, endpoint).await.ok() });
            while connections.try_join_next().is_some() {}
        }
    }
}

/// Passes the bytes of one connection in both directions until both sides have closed it, or one fails.
async fn relay(client: TcpStream, acceptor: &TlsAcceptor, endpoint: SocketAddr) -> io::Result<()> {
    client.set_nodelay(true)?;
    let mut client = acceptor.accept(client).await?;
    let mut server = TcpStream::connect(endpoint).await?;
    server.set_nodelay(true)?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}
