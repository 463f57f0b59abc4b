//! The client's own certificate, for endpoints that ask for one. It is read again when its files change.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use rustls::{
    SignatureScheme, client::ResolvesClientCert, crypto::ring::sign::any_supported_type,
    sign::CertifiedKey,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tracing::warn;

use super::{bounded_file::read_file, client::ClientError};

/// The files of a certificate and its key, in PEM.
#[derive(Debug, Clone)]
pub struct CertificateFiles {
    /// The certificate, with the intermediate certificates.
    pub certificate: PathBuf,
    /// Its private key: PKCS #8, not encrypted.
    pub key: PathBuf,
}

/// Presents the certificate in each handshake that asks for one.
pub(super) struct FreshCertificate {
    files: CertificateFiles,
    current: Mutex<Loaded>,
}

struct Loaded {
    key: Arc<CertifiedKey>,
    changed: [Option<SystemTime>; 2],
}

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
        let changed = files.changed();
        let key = files.read()?;
        Ok(Self { files: files.clone(), current: Mutex::new(Loaded { key, changed }) })
    }

    /// The current certificate. A handshake is rare, so each one checks the files. If they cannot be read, the former
    /// certificate stays.
    fn current(&self) -> Arc<CertifiedKey> {
        let changed = self.files.changed();
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.changed != changed {
            match self.files.read() {
                Ok(key) => current.key = key,
                Err(error) => warn!(%error, "the old client certificate stays in force"),
            }
            current.changed = changed;
        }
        Arc::clone(&current.key)
    }
}

impl ResolvesClientCert for FreshCertificate {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

impl CertificateFiles {
    fn changed(&self) -> [Option<SystemTime>; 2] {
        let at = |path: &Path| std::fs::metadata(path).and_then(|file| file.modified()).ok();
        [at(&self.certificate), at(&self.key)]
    }

    fn read(&self) -> Result<Arc<CertifiedKey>, ClientError> {
        let broken = |path: &Path| ClientError::ClientCertificate { path: path.to_owned() };
        let pem = |path: &Path| read_file(path).map_err(|_| broken(path));
        let certificates: Vec<_> = CertificateDer::pem_slice_iter(&pem(&self.certificate)?)
            .collect::<Result<_, _>>()
            .map_err(|_| broken(&self.certificate))?;
        if certificates.is_empty() {
            return Err(broken(&self.certificate));
        }
        let key = PrivateKeyDer::from_pem_slice(&pem(&self.key)?).map_err(|_| broken(&self.key))?;
        let key = any_supported_type(&key).map_err(|_| broken(&self.key))?;
        let certified = CertifiedKey::new(certificates, key);
        match certified.keys_match() {
            Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::KeyMismatch)) => {
                Err(broken(&self.key))
            }
            _ => Ok(Arc::new(certified)),
        }
    }
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn a_changed_certificate_is_presented_and_a_broken_one_is_not() {
        let (folder, pki) = (tempfile::tempdir().unwrap(), Pki::new("localhost"));
        let files = files(folder.path());
        assert!(FreshCertificate::load(&files).is_err());
        let first = pki.write_client(&files);
        let fresh = FreshCertificate::load(&files).unwrap();
        let shown = || fresh.current().cert[0].to_vec();
        assert_eq!(shown(), first);
        let second = pki.write_client(&files);
        touch(&files.key, 1_000_000_000);
        assert_eq!(shown(), second);
        for (number, broken) in
            ["half of a key", "", &"x".repeat(2 * 1024 * 1024)].iter().enumerate()
        {
            std::fs::write(&files.key, broken).unwrap();
            touch(&files.key, 1_000_000_001 + number as u64);
            assert_eq!(shown(), second, "the old one stays in force");
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
