//! TLS: the trusted authorities and our certificate.

use std::{path::Path, sync::Arc};

use rustls::{ClientConfig, RootCertStore, crypto::ring};
use rustls_pki_types::{
    CertificateDer, PrivateKeyDer, ServerName,
    pem::{self, PemObject},
};

use crate::broker::settings::BrokerSettings;

/// The text for two files that are no pair.
const OTHER_KEY: &str = "the key of broker.client_key_file does not belong to the certificate of \
                         broker.client_certificate_file: give both files of one pair";

/// The TLS configuration of the client. Its files are read for each connection: certificates are rotated while the
/// worker runs.
pub(crate) fn config(settings: &BrokerSettings) -> Result<Arc<ClientConfig>, String> {
    let roots = match &settings.ca_file {
        // A configured authority replaces the system's: an image may have none.
        Some(path) => from_file("broker.ca_file", path)?,
        None => from_system()?,
    };
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(&error))?
        .with_root_certificates(roots);
    let identity = settings.client_certificate_file.as_ref().zip(settings.client_key_file.as_ref());
    let config = match identity {
        None => config.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = certificates("broker.client_certificate_file", certificate)?;
            let key = PrivateKeyDer::from_pem_file(key)
                .map_err(|_| fault("broker.client_key_file", key))?;
            config.with_client_auth_cert(chain, key).map_err(|error| match error {
                rustls::Error::InconsistentKeys(rustls::InconsistentKeys::KeyMismatch) => {
                    OTHER_KEY.to_owned()
                }
                error => unusable(&error),
            })?
        }
    };
    Ok(Arc::new(config))
}

/// The name that the broker's certificate must be for.
pub(crate) fn server_name(host: &str) -> Result<ServerName<'static>, String> {
    ServerName::try_from(host.to_owned())
        .map_err(|_| "the host is no name that a certificate could be for".to_owned())
}

/// The text for a file that is unreadable or not PEM. `key` is the setting that names it.
fn fault(key: &str, path: &Path) -> String {
    format!("{key}: {} holds no readable PEM: check that it is the right file", path.display())
}

fn unusable(error: &rustls::Error) -> String {
    format!("the certificate and key do not make a TLS identity ({error})")
}

fn certificates(key: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = |path| CertificateDer::pem_file_iter(path)?.collect::<Result<Vec<_>, pem::Error>>();
    match read(path) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(fault(key, path)),
    }
}

fn from_file(key: &str, path: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates(key, path)?);
    if roots.is_empty() { Err(fault(key, path)) } else { Ok(roots) }
}

/// Unreadable certificates are skipped: systems contain odd ones.
fn from_system() -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(
            "the system's certificate authorities cannot be read; set broker.ca_file".to_owned()
        );
    }
    Ok(roots)
}
