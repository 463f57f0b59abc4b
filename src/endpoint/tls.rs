//! The trusted certificate authorities and the one crypto provider.

use std::{path::Path, sync::Arc};

use rustls::{ClientConfig, RootCertStore, client::Resumption, crypto::ring};
use rustls_pki_types::{
    CertificateDer,
    pem::{self, PemObject},
};
use secrecy::ExposeSecret;
use url::Url;

use super::{
    bounded_file::read_file, client::ClientError, client_certificate::FreshCertificate,
    settings::Settings,
};

/// Makes `ring` the crypto provider of every TLS connection of the process. If a provider is installed
/// already, this does nothing.
pub fn install_crypto_provider() {
    // An error means that one is installed already.
    let _ = ring::default_provider().install_default();
}

/// The TLS configuration of the client: `ca_file` or the system's roots, with or without HTTP/2.
///
/// The system's roots are not loaded for plain HTTP: a machine may have none. Also returns the client's own
/// certificate, to be refreshed before a handshake.
pub(super) fn config(
    settings: &Settings,
) -> Result<(ClientConfig, Option<FreshCertificate>), ClientError> {
    let roots = match &settings.ca_file {
        Some(path) => from_file(path)?,
        None if speaks_tls(settings) => from_system()?,
        None => RootCertStore::empty(),
    };
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(ClientError::Tls)?
        .with_root_certificates(roots);
    let certificate =
        settings.auth.client_certificate.as_ref().map(FreshCertificate::load).transpose()?;
    let mut config = match certificate.clone() {
        None => config.with_no_client_auth(),
        Some(fresh) => {
            let mut config = config.with_client_cert_resolver(Arc::new(fresh));
            // A resumed session would keep the certificate of its first handshake, although its file changed.
            config.resumption = Resumption::disabled();
            config
        }
    };
    config.alpn_protocols = if settings.http2 {
        vec![b"h2".to_vec(), b"http/1.1".to_vec()]
    } else {
        vec![b"http/1.1".to_vec()]
    };
    Ok((config, certificate))
}

/// Whether a call passes through TLS, to the endpoint or to the proxy.
fn speaks_tls(settings: &Settings) -> bool {
    let proxy = settings.proxy.as_ref().and_then(|url| Url::parse(url.expose_secret()).ok());
    [Some(&settings.url), proxy.as_ref(), settings.auth.token_url.as_ref()]
        .into_iter()
        .flatten()
        .any(|url| url.scheme() == "https")
}

fn from_file(path: &Path) -> Result<RootCertStore, ClientError> {
    let pem = read_file(path)
        .map_err(|source| ClientError::CaUnreadable { path: path.to_owned(), source })?;
    let certificates = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<Vec<_>, pem::Error>>()
        .map_err(|_| ClientError::CaNotPem { path: path.to_owned() })?;
    if certificates.is_empty() {
        return Err(ClientError::CaEmpty { path: path.to_owned() });
    }
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots
            .add(certificate)
            .map_err(|source| ClientError::CaRefused { path: path.to_owned(), source })?;
    }
    Ok(roots)
}

/// The system's roots. Certificates that cannot be parsed are skipped: many systems have some.
fn from_system() -> Result<RootCertStore, ClientError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() { Err(ClientError::NoSystemRoots) } else { Ok(roots) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::testing;

    #[test]
    fn the_systems_roots_are_loaded_only_where_a_call_passes_through_tls() {
        let cases = [
            ("http://127.0.0.1/", None, false),
            ("http://127.0.0.1/", Some("http://proxy:3128"), false),
            ("http://127.0.0.1/", Some("HTTPS://user:password@proxy"), true),
            ("https://127.0.0.1/", None, true),
            ("https://127.0.0.1/", Some("http://proxy:3128"), true),
        ];
        for (url, proxy, expected) in cases {
            let settings = Settings { proxy: proxy.map(Into::into), ..testing::settings(url) };
            assert_eq!(speaks_tls(&settings), expected, "{url} {proxy:?}");
        }
    }
}
