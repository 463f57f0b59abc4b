//! The client's own certificate, for endpoints that ask for one. It is read again when its files change.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    SignatureScheme, client::ResolvesClientCert, crypto::ring::sign::any_supported_type,
    sign::CertifiedKey,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};

use super::{bounded_file::read_file, client::ClientError, fresh_files::FreshFiles};

const UNREADABLE: &str = "the file cannot be read: check its path and its permissions";
const NO_CERTIFICATE: &str =
    "no certificate in the PEM form is in the file of client_certificate_file";
const NO_KEY: &str = "no usable private key is in the file of client_key_file: convert it with `openssl pkcs8 -topk8 \
                      -nocrypt`";
const OTHER_KEY: &str = "the key in this file does not belong to the certificate: give both files of one pair in \
                         client_certificate_file and client_key_file";

/// The files of a certificate and its key, in PEM.
#[derive(Debug, Clone)]
pub struct CertificateFiles {
    /// The certificate, with the intermediate certificates.
    pub certificate: PathBuf,
    /// Its private key: PKCS #8, not encrypted.
    pub key: PathBuf,
}

/// Presents the certificate in each handshake that asks for one.
#[derive(Clone)]
pub(super) struct FreshCertificate(Arc<FreshFiles<CertifiedKey>>);

impl fmt::Debug for FreshCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FreshCertificate").finish_non_exhaustive()
    }
}

impl FreshCertificate {
    /// Reads the files. Blocks on the file system.
    ///
    /// # Errors
    ///
    /// [`ClientError::ClientCertificate`].
    pub(super) fn load(files: &CertificateFiles) -> Result<Self, ClientError> {
        let paths = vec![files.certificate.clone(), files.key.clone()];
        let files = files.clone();
        FreshFiles::load("client certificate", paths, move || files.read()).map(Self)
    }

    /// Checks the files before a handshake. If they cannot be read, the former certificate stays.
    pub(super) async fn refresh(&self) {
        self.0.refresh().await;
    }
}

impl ResolvesClientCert for FreshCertificate {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.current())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

impl CertificateFiles {
    fn read(&self) -> Result<CertifiedKey, ClientError> {
        let broken =
            |path: &Path, fault| ClientError::ClientCertificate { path: path.to_owned(), fault };
        let pem = |path: &Path| read_file(path).map_err(|_| broken(path, UNREADABLE));
        let certificates: Vec<_> = CertificateDer::pem_slice_iter(&pem(&self.certificate)?)
            .collect::<Result<_, _>>()
            .map_err(|_| broken(&self.certificate, NO_CERTIFICATE))?;
        if certificates.is_empty() {
            return Err(broken(&self.certificate, NO_CERTIFICATE));
        }
        let key = PrivateKeyDer::from_pem_slice(&pem(&self.key)?)
            .map_err(|_| broken(&self.key, NO_KEY))?;
        let key = any_supported_type(&key).map_err(|_| broken(&self.key, NO_KEY))?;
        let certified = CertifiedKey::new(certificates, key);
        match certified.keys_match() {
            Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::KeyMismatch)) => {
                Err(broken(&self.key, OTHER_KEY))
            }
            _ => Ok(certified),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use tokio::io::AsyncWriteExt as _;

    use super::*;
    use crate::{
        domain::Verdict,
        endpoint::testing::{self, Pki, Server, job, read_request, success},
        ports::Endpoint as _,
    };

    fn files(folder: &Path) -> CertificateFiles {
        CertificateFiles { certificate: folder.join("cert.pem"), key: folder.join("key.pem") }
    }

    /// Sets a modification time that the file never had.
    fn touch(file: &Path, seconds: u64) {
        let at = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
        std::fs::File::options().append(true).open(file).unwrap().set_modified(at).unwrap();
    }

    #[tokio::test]
    async fn a_changed_certificate_is_presented_and_a_broken_one_is_not() {
        let (folder, pki) = (tempfile::tempdir().unwrap(), Pki::new("localhost"));
        let files = files(folder.path());
        assert!(FreshCertificate::load(&files).is_err());
        let first = pki.write_client(&files);
        let fresh = FreshCertificate::load(&files).unwrap();
        let shown = async || {
            fresh.refresh().await;
            fresh.0.current().cert[0].to_vec()
        };
        assert_eq!(shown().await, first);
        let second = pki.write_client(&files);
        touch(&files.key, 1_000_000_000);
        assert_eq!(shown().await, second);
        for (number, broken) in
            ["half of a key", "", &"x".repeat(2 * 1024 * 1024)].iter().enumerate()
        {
            std::fs::write(&files.key, broken).unwrap();
            touch(&files.key, 1_000_000_001 + number as u64);
            assert_eq!(shown().await, second, "the old one stays in force");
        }
    }

    /// A resumed session would show the server the certificate of its first handshake.
    #[tokio::test]
    async fn a_new_connection_shows_the_server_the_new_certificate() {
        let (folder, pki) = (tempfile::tempdir().unwrap(), Pki::new("localhost"));
        let files = files(folder.path());
        let first = pki.write_client(&files);
        let (tell, mut shown) = tokio::sync::mpsc::unbounded_channel();
        let acceptor = pki.demanding_acceptor();
        let server = Server::start(move |stream| {
            let (acceptor, tell) = (acceptor.clone(), tell.clone());
            async move {
                let mut stream = acceptor.accept(stream).await.unwrap();
                let certificates = stream.get_ref().1.peer_certificates().unwrap();
                tell.send(certificates[0].to_vec()).unwrap();
                read_request(&mut stream).await.unwrap();
                let last = success().replacen("\r\n", "\r\nconnection: close\r\n", 1);
                stream.write_all(last.as_bytes()).await.unwrap();
                stream.shutdown().await.unwrap();
            }
        })
        .await;
        let url = format!("https://localhost:{}/revoke", server.addr.port());
        let mut settings = testing::settings(&url);
        settings.ca_file = Some(pki.ca_file());
        settings.auth.client_certificate = Some(files.clone());
        let endpoint = testing::endpoint(&settings);
        assert_eq!(endpoint.revoke(&job(), None).await.unwrap(), Verdict::Revoked);
        assert_eq!(shown.recv().await.unwrap(), first);
        let second = pki.write_client(&files);
        touch(&files.key, 1_000_000_000);
        assert_eq!(endpoint.revoke(&job(), None).await.unwrap(), Verdict::Revoked);
        assert_eq!(shown.recv().await.unwrap(), second);
    }
}
