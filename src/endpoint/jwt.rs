//! Assertions of a client, signed with its private key: RFC 7523, section 2.2.

use std::{fmt, path::PathBuf, sync::Arc, time::SystemTime};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::{
    rand::{SecureRandom as _, SystemRandom},
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
        Ed25519KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
    },
};
use rustls_pki_types::{PrivatePkcs8KeyDer, pem::PemObject as _};
use secrecy::SecretString;
use serde::Serialize;
use thiserror::Error;

use super::{bounded_file::read_file, client::ClientError, fresh_files::FreshFiles};
use crate::domain::to_hex;

/// How long an assertion is valid, in seconds: long enough for a call and clocks that differ a little.
const LIFETIME: u64 = 60;

/// The algorithms by their names in RFC 7518 and RFC 8037.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JwtAlgorithm {
    /// RSA with PKCS #1 padding.
    Rs256,
    /// RSA with PSS padding.
    Ps256,
    /// The curve P-256.
    Es256,
    /// The curve P-384.
    Es384,
    /// The curve Ed25519.
    EdDsa,
}

impl JwtAlgorithm {
    /// Every algorithm by its name.
    pub const ALL: [(&'static str, Self); 5] = [
        ("RS256", Self::Rs256),
        ("PS256", Self::Ps256),
        ("ES256", Self::Es256),
        ("ES384", Self::Es384),
        ("EdDSA", Self::EdDsa),
    ];

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, algorithm)| *algorithm == self).map_or("", |(name, _)| name)
    }
}

/// The settings for signing assertions.
#[derive(Debug, Clone)]
pub struct JwtSettings {
    /// The private key: PEM, PKCS #8, not encrypted.
    pub key_file: PathBuf,
    /// The key's id, if the server needs it.
    pub key_id: Option<String>,
    /// The signature algorithm.
    pub algorithm: JwtAlgorithm,
    /// The audience of the assertion.
    pub audience: String,
}

/// The error of a key that cannot sign. No text repeats a part of it.
#[derive(Debug, Error)]
pub enum KeyError {
    /// The file cannot be read, or holds something else.
    #[error("{}: not readable as an unencrypted PKCS#8 private key in PEM", .0.display())]
    File(PathBuf),
    /// The key is of another algorithm.
    #[error("{}: the key is not one for {algorithm}", path.display())]
    Algorithm {
        /// The file.
        path: PathBuf,
        /// The name of the algorithm that was set.
        algorithm: &'static str,
    },
}

/// Signs assertions.
pub struct Signer {
    key: Arc<FreshFiles<SigningKey>>,
    settings: JwtSettings,
    random: SystemRandom,
}

enum SigningKey {
    Rsa(RsaKeyPair, &'static dyn RsaEncoding),
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").finish_non_exhaustive()
    }
}

#[derive(Serialize)]
struct JoseHeader<'a> {
    alg: &'a str,
    typ: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<&'a str>,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    jti: String,
    iat: u64,
    exp: u64,
}

impl Signer {
    /// Reads the key. Blocks on the file system.
    ///
    /// # Errors
    ///
    /// [`ClientError::Key`].
    pub fn load(settings: &JwtSettings) -> Result<Self, ClientError> {
        let (paths, read) = (vec![settings.key_file.clone()], settings.clone());
        let read = move || Ok(SigningKey::read(&read)?);
        let key = FreshFiles::load("key of endpoint.auth.key_file", paths, read)?;
        Ok(Self { key, settings: settings.clone(), random: SystemRandom::new() })
    }

    /// Reads the key's file again if it has changed. If it cannot be read, the old key stays in force.
    pub async fn refresh(&self) {
        self.key.refresh().await;
    }

    /// An assertion of a client, with a unique id. `None` if the system has no random numbers.
    pub fn assertion(&self, client_id: &str, now: SystemTime) -> Option<SecretString> {
        let mut jti = [0; 16];
        self.random.fill(&mut jti).ok()?;
        let iat = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let JwtSettings { key_id, algorithm, audience, .. } = &self.settings;
        let header = JoseHeader { alg: algorithm.name(), typ: "JWT", kid: key_id.as_deref() };
        let (jti, exp) = (to_hex(&jti), iat + LIFETIME);
        let claims = Claims { iss: client_id, sub: client_id, aud: audience, jti, iat, exp };
        let part = |json: Vec<u8>| BASE64_URL_SAFE_NO_PAD.encode(json);
        let signed = format!(
            "{}.{}",
            part(serde_json::to_vec(&header).ok()?),
            part(serde_json::to_vec(&claims).ok()?)
        );
        let signature = self.sign(signed.as_bytes())?;
        Some(format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature)).into())
    }

    fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        match &*self.key.current() {
            SigningKey::Rsa(key, encoding) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(*encoding, &self.random, message, &mut signature).ok()?;
                Some(signature)
            }
            SigningKey::Ecdsa(key) => {
                key.sign(&self.random, message).ok().map(|signature| signature.as_ref().to_vec())
            }
            SigningKey::Ed25519(key) => Some(key.sign(message).as_ref().to_vec()),
        }
    }
}

impl SigningKey {
    fn read(settings: &JwtSettings) -> Result<Self, KeyError> {
        let path = &settings.key_file;
        let unreadable = || KeyError::File(path.clone());
        let pem = read_file(path).map_err(|_| unreadable())?;
        let der = PrivatePkcs8KeyDer::from_pem_slice(&pem).map_err(|_| unreadable())?;
        let der = der.secret_pkcs8_der();
        let random = SystemRandom::new();
        let rsa = |encoding: &'static dyn RsaEncoding| {
            RsaKeyPair::from_pkcs8(der).map(|key| Self::Rsa(key, encoding))
        };
        let key = match settings.algorithm {
            JwtAlgorithm::Rs256 => rsa(&RSA_PKCS1_SHA256),
            JwtAlgorithm::Ps256 => rsa(&RSA_PSS_SHA256),
            JwtAlgorithm::Es256 => {
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der, &random)
                    .map(Self::Ecdsa)
            }
            JwtAlgorithm::Es384 => {
                EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, der, &random)
                    .map(Self::Ecdsa)
            }
            // Other programs write the older form, without the public key.
            JwtAlgorithm::EdDsa => {
                Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map(Self::Ed25519)
            }
        };
        let wrong =
            |_| KeyError::Algorithm { path: path.clone(), algorithm: settings.algorithm.name() };
        key.map_err(wrong)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ring::signature::{
        ECDSA_P256_SHA256_FIXED, ED25519, KeyPair as _, UnparsedPublicKey, VerificationAlgorithm,
    };
    use secrecy::ExposeSecret as _;

    use super::*;

    fn signer(algorithm: JwtAlgorithm, pem: &str) -> Result<Signer, ClientError> {
        let folder = tempfile::tempdir().unwrap();
        let key_file = folder.path().join("key.pem");
        std::fs::write(&key_file, pem).unwrap();
        let audience = "https://issuer.example".to_owned();
        Signer::load(&JwtSettings { key_file, key_id: Some("k1".to_owned()), algorithm, audience })
    }

    fn pem(algorithm: &'static rcgen::SignatureAlgorithm) -> String {
        rcgen::KeyPair::generate_for(algorithm).unwrap().serialize_pem()
    }

    #[test]
    fn an_assertion_is_signed_short_lived_and_has_an_id_of_its_own() {
        let es256: (JwtAlgorithm, _, &'static dyn VerificationAlgorithm) =
            (JwtAlgorithm::Es256, &rcgen::PKCS_ECDSA_P256_SHA256, &ECDSA_P256_SHA256_FIXED);
        let eddsa: (JwtAlgorithm, _, &'static dyn VerificationAlgorithm) =
            (JwtAlgorithm::EdDsa, &rcgen::PKCS_ED25519, &ED25519);
        for (algorithm, key, verifies) in [es256, eddsa] {
            let signer = signer(algorithm, &pem(key)).unwrap();
            let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
            let assertion = signer.assertion("shop", now).unwrap();
            let text = assertion.expose_secret();
            let (message, signature) = text.rsplit_once('.').unwrap();
            let public = match &*signer.key.current() {
                SigningKey::Ecdsa(key) => key.public_key().as_ref().to_vec(),
                SigningKey::Ed25519(key) => key.public_key().as_ref().to_vec(),
                SigningKey::Rsa(..) => panic!("not made here"),
            };
            let decode = |part: &str| BASE64_URL_SAFE_NO_PAD.decode(part).unwrap();
            let public = UnparsedPublicKey::new(verifies, public);
            public.verify(message.as_bytes(), &decode(signature)).unwrap();
            let (header, claims) = message.split_once('.').unwrap();
            let json = |part| serde_json::from_slice::<serde_json::Value>(&decode(part)).unwrap();
            let header = json(header);
            assert_eq!((&header["alg"], &header["kid"]), (&algorithm.name().into(), &"k1".into()));
            let claims = json(claims);
            for (name, value) in
                [("iss", "shop"), ("sub", "shop"), ("aud", "https://issuer.example")]
            {
                assert_eq!(claims[name], value, "{name}");
            }
            assert_eq!(claims["exp"].as_u64().unwrap(), claims["iat"].as_u64().unwrap() + LIFETIME);
            let other = signer.assertion("shop", now).unwrap();
            assert_ne!(other.expose_secret(), text, "each call has its own");
        }
    }

    #[tokio::test]
    async fn a_changed_key_signs_and_a_broken_one_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let key_file = folder.path().join("key.pem");
        // Each time, the file has a time of change that it never had.
        let write = |text: &str, second: u64| {
            std::fs::write(&key_file, text).unwrap();
            let at = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
            std::fs::File::options().append(true).open(&key_file).unwrap().set_modified(at)
        };
        write(&pem(&rcgen::PKCS_ED25519), 1).unwrap();
        let audience = "https://issuer.example".to_owned();
        let algorithm = JwtAlgorithm::EdDsa;
        let settings =
            JwtSettings { key_file: key_file.clone(), key_id: None, algorithm, audience };
        let signer = Signer::load(&settings).unwrap();
        // The same key signs the same text in the same way.
        let first = signer.sign(b"text").unwrap();
        write(&pem(&rcgen::PKCS_ED25519), 2).unwrap();
        signer.refresh().await;
        let second = signer.sign(b"text").unwrap();
        assert_ne!(first, second);
        write("half of a key", 3).unwrap();
        signer.refresh().await;
        assert_eq!(signer.sign(b"text").unwrap(), second, "the old one stays in force");
    }

    #[test]
    fn a_key_that_cannot_sign_is_refused() {
        let wrong = signer(JwtAlgorithm::Rs256, &pem(&rcgen::PKCS_ED25519)).unwrap_err();
        assert!(
            matches!(wrong, ClientError::Key(KeyError::Algorithm { algorithm: "RS256", .. })),
            "{wrong}"
        );
        assert!(matches!(
            signer(JwtAlgorithm::EdDsa, "x").unwrap_err(),
            ClientError::Key(KeyError::File(_))
        ));
    }
}
