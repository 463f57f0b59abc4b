//! Detached Ed25519 signatures, as `openssl` makes and checks them too.

use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use rustls_pki_types::pem::{PemObject as _, SectionKind};
use secrecy::{ExposeSecret as _, SecretSlice};
use thiserror::Error;

use super::key_id::{KeyId, PUBLIC_BYTES, SPKI};

/// The length of a signature, in bytes (RFC 8032).
pub const SIGNATURE_BYTES: u64 = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum KeyError {
    #[error(
        "it holds no unencrypted Ed25519 private key in the PEM form; \
         `openssl genpkey -algorithm ed25519 -out KEY.pem` makes one"
    )]
    Private,
    #[error(
        "it holds no Ed25519 public key in the PEM form; \
         `openssl pkey -in KEY.pem -pubout -out PUBLIC.pem` writes it"
    )]
    Public,
    #[error(
        "it is a private key; give the public one, which `openssl pkey -in KEY.pem -pubout` prints"
    )]
    PrivateForPublic,
}

/// The key that signs reports. Its `Debug` shows only the public key.
#[derive(Debug)]
pub struct SigningKey {
    pair: Ed25519KeyPair,
    id: KeyId,
}

impl SigningKey {
    /// Reads a private key (PKCS#8, PEM).
    pub fn read(file: &SecretSlice<u8>) -> Result<Self, KeyError> {
        let (kind, der) = section(file.expose_secret()).ok_or(KeyError::Private)?;
        if kind != SectionKind::PrivateKey {
            return Err(KeyError::Private);
        }
        // `openssl` writes the form without the public key.
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.expose_secret());
        let pair = pair.map_err(|_| KeyError::Private)?;
        let public = pair.public_key().as_ref().try_into().map_err(|_| KeyError::Private)?;
        Ok(Self { pair, id: KeyId::of(&public) })
    }

    pub const fn id(&self) -> KeyId {
        self.id
    }

    pub fn sign(&self, report: &[u8]) -> Vec<u8> {
        self.pair.sign(report).as_ref().to_vec()
    }
}

/// The key that checks signatures.
#[derive(Debug)]
pub struct PublicKey {
    key: [u8; PUBLIC_BYTES],
    id: KeyId,
}

impl PublicKey {
    /// Reads a public key (`SubjectPublicKeyInfo`, PEM).
    pub fn read(file: &[u8]) -> Result<Self, KeyError> {
        let (kind, der) = section(file).ok_or(KeyError::Public)?;
        match kind {
            SectionKind::PublicKey => {}
            SectionKind::PrivateKey => return Err(KeyError::PrivateForPublic),
            _ => return Err(KeyError::Public),
        }
        let key = der.expose_secret().strip_prefix(SPKI.as_slice());
        let key = key.and_then(|key| key.try_into().ok()).ok_or(KeyError::Public)?;
        Ok(Self { key, id: KeyId::of(&key) })
    }

    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// Whether this key signed exactly these bytes.
    pub fn verifies(&self, report: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.key).verify(report, signature).is_ok()
    }
}

/// The first section of a PEM file.
fn section(file: &[u8]) -> Option<(SectionKind, SecretSlice<u8>)> {
    let (kind, der) = <(SectionKind, Vec<u8>)>::from_pem_slice(file).ok()?;
    Some((kind, der.into()))
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;

    use super::*;

    /// Made by `openssl genpkey -algorithm ed25519`.
    const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----\n\
        MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
        -----END PRIVATE KEY-----\n";

    fn signing() -> SigningKey {
        SigningKey::read(&PRIVATE.as_bytes().to_vec().into()).unwrap()
    }

    /// The public key of the test vector 1 of RFC 8032.
    fn public(key: &[u8]) -> PublicKey {
        let mut der = SPKI.to_vec();
        der.extend_from_slice(key);
        let text = base64::prelude::BASE64_STANDARD.encode(der);
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n");
        PublicKey::read(pem.as_bytes()).unwrap()
    }

    /// RFC 8032, 7.1, test 1: secret key 9d61b19d…, an empty message.
    #[test]
    fn the_test_vector_of_the_standard_is_signed_and_verified() {
        let key = signing();
        let signature = key.sign(b"");
        assert_eq!(signature.len(), 64);
        assert_eq!(
            crate::domain::to_hex(&signature),
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b\
             d25bf5f0595bbe24655141438e7a100b"
        );
        let public = public(key.pair.public_key().as_ref());
        assert_eq!(public.id(), key.id());
        assert!(public.verifies(b"", &signature));
    }

    #[test]
    fn a_changed_byte_is_found() {
        let key = signing();
        let public = public(key.pair.public_key().as_ref());
        let report = b"{\"finished\":true}".to_vec();
        let signature = key.sign(&report);
        assert!(public.verifies(&report, &signature));
        for at in 0..report.len() {
            let mut changed = report.clone();
            changed[at] ^= 1;
            assert!(!public.verifies(&changed, &signature), "byte {at}");
        }
        for at in 0..signature.len() {
            let mut changed = signature.clone();
            changed[at] ^= 1;
            assert!(!public.verifies(&report, &changed), "byte {at} of the signature");
        }
        assert!(!public.verifies(&report, b""));
    }

    #[test]
    fn other_files_are_refused_with_what_to_do() {
        assert_eq!(PublicKey::read(PRIVATE.as_bytes()).unwrap_err(), KeyError::PrivateForPublic);
        assert_eq!(PublicKey::read(b"key").unwrap_err(), KeyError::Public);
        let public = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n";
        assert_eq!(PublicKey::read(public.as_bytes()).unwrap_err(), KeyError::Public);
        for file in
            ["", "key", public, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"]
        {
            let refused = SigningKey::read(&file.as_bytes().to_vec().into()).unwrap_err();
            assert_eq!(refused, KeyError::Private, "{file}");
        }
    }

    #[test]
    fn a_report_states_the_key_in_either_form() {
        let id = signing().id();
        for report in [format!("{{\"signed_by\":\"{id}\"}}"), format!("<dd>{id}</dd>")] {
            assert_eq!(KeyId::find(report.as_bytes()), Some(id));
        }
        assert_eq!(KeyId::find(b"ed25519:no, ed25519:"), None);
    }
}
