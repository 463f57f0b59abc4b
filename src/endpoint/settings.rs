//! The settings of the endpoint's client; `config` reads and checks them.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use secrecy::SecretString;
use url::Url;

use super::{
    client_certificate::CertificateFiles,
    jwt::JwtSettings,
    profile::{AuthMethod, Profile},
};
use crate::domain::MAX_TEXT_CHARS;

/// The settings of the endpoint's calls.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The revoke endpoint. HTTPS, or plain HTTP to loopback if that is allowed.
    pub url: Url,
    /// The format of requests and the rules for answers.
    pub profile: Arc<Profile>,
    /// The settings of client authentication.
    pub auth: AuthSettings,
    /// Replaces the profile's hint of the token's type.
    pub token_type_hint: Option<String>,
    /// The header `ALG-API-VERSION` of the default profile.
    pub api_version: String,
    /// The time limit of DNS, TCP and TLS together.
    pub connect_timeout: Duration,
    /// The time limit of one whole call, connecting included.
    pub timeout: Duration,
    /// A connection older than this takes no more calls.
    pub connection_max_age: Duration,
    /// Certificate authorities (PEM) to trust in place of the system's.
    pub ca_file: Option<PathBuf>,
    /// A proxy's URL, which may hold a password. None is taken from the environment.
    pub proxy: Option<SecretString>,
    /// Whether HTTP/2 is offered. One reset of a shared connection makes all of its calls ambiguous.
    pub http2: bool,
    /// Which of the endpoint's messages to keep, for instance `es_PE`.
    pub locale: String,
    /// The most calls at a time: the idle pool is sized to it.
    pub max_concurrency: usize,
}

/// The settings of client authentication.
#[derive(Debug, Clone)]
pub struct AuthSettings {
    /// The method of the profile, or another one.
    pub method: AuthMethod,
    /// The encoding of id and secret, for [`AuthMethod::Basic`].
    pub basic_encoding: BasicEncoding,
    /// The one client that needs no secret, if calls name a client.
    pub client_id: Option<String>,
    /// The token endpoint of [`AuthMethod::Bearer`].
    pub token_url: Option<Url>,
    /// The scope of the requested tokens.
    pub scope: Option<String>,
    /// The settings of [`AuthMethod::PrivateKeyJwt`].
    pub jwt: Option<JwtSettings>,
    /// The client's own certificate, for [`AuthMethod::Mtls`] and for any server that asks for one.
    pub client_certificate: Option<CertificateFiles>,
}

impl AuthSettings {
    /// Authentication by this method, with defaults for all other settings.
    #[must_use]
    pub const fn by(method: AuthMethod) -> Self {
        Self {
            method,
            basic_encoding: BasicEncoding::Form,
            client_id: None,
            token_url: None,
            scope: None,
            jwt: None,
            client_certificate: None,
        }
    }
}

/// How id and secret are encoded before they are joined and written in base64. Real servers refuse one or the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BasicEncoding {
    /// Encoded as form values: RFC 6749, section 2.3.1.
    Form,
    /// No encoding.
    Raw,
}

/// The sources of client secrets. For a client in both sources, the table takes precedence over the directory.
#[derive(Debug, Clone)]
pub struct CredentialSettings {
    /// Client id to secret, the default client included.
    pub clients: BTreeMap<String, SecretSource>,
    /// A folder with one file per client id, its content the secret.
    pub directory: Option<PathBuf>,
    /// The longest secret, in characters.
    pub secret_max: usize,
}

impl Default for CredentialSettings {
    fn default() -> Self {
        Self { clients: BTreeMap::new(), directory: None, secret_max: MAX_TEXT_CHARS }
    }
}

/// One secret: given, or in a file.
#[derive(Debug, Clone)]
pub enum SecretSource {
    /// Given in the configuration or the environment.
    Value(SecretString),
    /// The path of a file that holds it; one trailing newline is dropped.
    File(PathBuf),
}
