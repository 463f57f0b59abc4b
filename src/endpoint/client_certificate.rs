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

use super::client::ClientError;

/// The files of a certificate and its key, in PEM.
#[derive(Debug, Clone)]
pub struct CertificateFiles {
    /// The certificate, and those between it and its authority.
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

    /// The certificate in force. A handshake is rare, so it looks at the files each time; what cannot be read
    /// leaves the old one in force.
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
        let certificates = CertificateDer::pem_file_iter(&self.certificate)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|_| broken(&self.certificate))?;
        if certificates.is_empty() {
            return Err(broken(&self.certificate));
        }
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(|_| broken(&self.key))?;
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
    use super::*;

    fn write(files: &CertificateFiles) -> Vec<u8> {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(["client".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        std::fs::write(&files.key, key.serialize_pem()).unwrap();
        std::fs::write(&files.certificate, certificate.pem()).unwrap();
        certificate.der().to_vec()
    }

    #[test]
    fn a_changed_certificate_is_presented_and_a_broken_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let files = CertificateFiles { certificate: path("cert.pem"), key: path("key.pem") };
        assert!(FreshCertificate::load(&files).is_err());
        let first = write(&files);
        let fresh = FreshCertificate::load(&files).unwrap();
        let shown = || fresh.current().cert[0].to_vec();
        let touch = |seconds| {
            let at = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
            std::fs::File::options()
                .append(true)
                .open(&files.key)
                .unwrap()
                .set_modified(at)
                .unwrap();
        };
        assert_eq!(shown(), first);
        let second = write(&files);
        touch(1_000_000_000);
        assert_eq!(shown(), second);
        std::fs::write(&files.key, "half of a key").unwrap();
        touch(1_000_000_001);
        assert_eq!(shown(), second, "the old one stays in force");
    }
}
