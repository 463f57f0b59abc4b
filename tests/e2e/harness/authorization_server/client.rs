//! The clients that every server knows.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64_URL};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use serde_json::{Value, json};
use url::Url;

use super::{
    super::canary,
    requests::{Basic, Proof},
};

/// How long an assertion lasts, in seconds.
const ASSERTION_LASTS: u64 = 60;

/// A client of the servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// Its id.
    pub id: &'static str,
    /// The method of authentication.
    pub method: Method,
    /// Its secret; empty if it has none.
    pub secret: String,
}

/// The method of client authentication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// The `Authorization` header.
    Basic,
    /// Fields of the form.
    Post,
    /// None.
    None,
    /// A signed assertion.
    PrivateKeyJwt,
}

impl Method {
    /// Its name in the configuration, of the worker and of the servers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Basic => "basic",
            Self::Post => "post",
            Self::None => "none",
            Self::PrivateKeyJwt => "private_key_jwt",
        }
    }
}

impl Client {
    /// With Basic.
    pub fn basic() -> Self {
        Self::with("basic-client", Method::Basic)
    }

    /// Another client with Basic.
    pub fn other() -> Self {
        Self::with("other-client", Method::Basic)
    }

    /// With Basic and a secret with special characters of URLs and of Basic.
    pub fn odd() -> Self {
        let secret = format!("{}: %/+", canary::SECRET);
        Self { secret, ..Self::with("odd-client", Method::Basic) }
    }

    /// With fields of the form.
    pub fn post() -> Self {
        Self::with("post-client", Method::Post)
    }

    /// Without a secret.
    pub fn public() -> Self {
        Self { secret: String::new(), ..Self::with("public-client", Method::None) }
    }

    /// Another client without a secret.
    pub fn other_public() -> Self {
        Self { id: "other-public-client", ..Self::public() }
    }

    /// With a signed assertion.
    pub fn signing() -> Self {
        Self { secret: String::new(), ..Self::with("signing-client", Method::PrivateKeyJwt) }
    }

    /// A resource server, which only asks for the state of tokens.
    pub fn watcher() -> Self {
        Self::with("watching-client", Method::Basic)
    }

    /// All clients.
    pub fn all() -> [Self; 8] {
        [
            Self::basic(),
            Self::other(),
            Self::odd(),
            Self::post(),
            Self::public(),
            Self::other_public(),
            Self::signing(),
            Self::watcher(),
        ]
    }

    /// The same with a wrong secret.
    pub fn with_wrong_secret(&self) -> Self {
        Self { secret: format!("{}-of-staging", self.secret), ..self.clone() }
    }

    /// A client that no server knows.
    pub fn unknown() -> Self {
        Self::with("unknown-client", Method::Basic)
    }

    fn with(id: &'static str, method: Method) -> Self {
        Self { id, method, secret: canary::SECRET.to_owned() }
    }

    /// The client's registration for the servers.
    pub(super) fn registration(&self) -> Value {
        let mut registration = json!({ "id": self.id, "method": self.method.name() });
        if !self.secret.is_empty() {
            registration["secret"] = json!(self.secret);
        }
        if self.method == Method::PrivateKeyJwt {
            registration["key"] = Key::ours().jwk();
        }
        registration
    }

    /// The authentication of a request for `url`.
    pub(super) fn proof(&self, basic: Basic, url: &Url) -> Proof {
        match self.method {
            Method::Basic => Proof::header(basic.header(self.id, &self.secret)),
            Method::Post => {
                Proof::fields([("client_id", self.id), ("client_secret", &self.secret)])
            }
            Method::None => Proof::fields([("client_id", self.id)]),
            Method::PrivateKeyJwt => Proof::assertion(&self.assertion(url.as_str())),
        }
    }

    /// A new assertion for an audience.
    pub fn assertion(&self, audience: &str) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let id: [u8; 16] = ring::rand::generate(&SystemRandom::new()).unwrap().expose();
        Key::ours().sign(&json!({
            "iss": self.id,
            "sub": self.id,
            "aud": audience,
            "iat": now,
            "exp": now + ASSERTION_LASTS,
            "jti": BASE64_URL.encode(id),
        }))
    }

    /// The file of the key that signs assertions.
    pub fn key_file() -> PathBuf {
        Key::ours().file.clone()
    }
}

/// The key pair of the client that signs.
struct Key {
    file: PathBuf,
    pair: EcdsaKeyPair,
}

impl Key {
    /// One for each run of the tests.
    fn ours() -> &'static Self {
        static OURS: OnceLock<Key> = OnceLock::new();
        OURS.get_or_init(|| {
            let made = rcgen::KeyPair::generate().unwrap();
            let (algorithm, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
            let pair = EcdsaKeyPair::from_pkcs8(algorithm, &made.serialize_der(), &random);
            let file = Path::new(env!("CARGO_TARGET_TMPDIR"));
            let file = file.join(format!("signing-key-{}.pem", std::process::id()));
            fs::write(&file, made.serialize_pem()).unwrap();
            Self { file, pair: pair.unwrap() }
        })
    }

    fn jwk(&self) -> Value {
        // An uncompressed point: a byte that says so, then both coordinates.
        let (x, y) = self.pair.public_key().as_ref()[1..].split_at(32);
        json!({ "kty": "EC", "crv": "P-256", "x": BASE64_URL.encode(x), "y": BASE64_URL.encode(y) })
    }

    fn sign(&self, claims: &Value) -> String {
        let header = json!({ "alg": "ES256", "typ": "JWT" });
        let part = |value: &Value| BASE64_URL.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(claims));
        let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", BASE64_URL.encode(signature))
    }
}
