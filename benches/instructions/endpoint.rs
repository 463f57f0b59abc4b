//! The endpoint without a socket: requests are written and answers judged, as in the worker.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use revoker::endpoint::{
    ALIGNET, AuthMethod, AuthSettings, CredentialSettings, Credentials, HttpEndpoint, SecretSource,
    Settings, builtin, install_crypto_provider, seams::Unconnected,
};

use super::broker::CLIENT_ID;

/// The vendor's answer to a token that it has revoked.
const REVOKED: &[u8] = br#"{"action":"revoke","success":true,"revoke":{"meta":{"status":{"code":"00","message_ilgn":[{"locale":"es_PE","value":"Proceso exitoso"}]}}}}"#;

const LIMIT: Duration = Duration::from_secs(30);

/// An endpoint of that profile that revokes every token at once.
pub fn unconnected(profile: &str) -> Unconnected {
    install_crypto_provider();
    let (method, answer) = match profile {
        ALIGNET => (AuthMethod::Fields, REVOKED),
        "rfc7009" => (AuthMethod::Basic, &b""[..]),
        other => panic!("no answer of {other} is known here"),
    };
    let settings = Settings {
        url: "http://127.0.0.1:9/revoke".parse().expect("a URL"),
        profile: builtin(profile).expect("a built-in profile"),
        auth: AuthSettings::by(method),
        token_type_hint: None,
        api_version: "1618440906".into(),
        connect_timeout: LIMIT,
        timeout: LIMIT,
        connection_max_age: LIMIT,
        ca_file: None,
        proxy: None,
        http2: false,
        locale: "es_PE".into(),
        max_concurrency: super::CONCURRENCY,
    };
    let secret = SecretSource::Value("b2Zq3cOq8w7xkJf1VdTn5sLrYtGhUeKa".into());
    let clients = BTreeMap::from([(CLIENT_ID.to_owned(), secret)]);
    let credentials = CredentialSettings { clients, ..CredentialSettings::default() };
    let credentials = Arc::new(Credentials::load(&credentials).expect("a secret"));
    Unconnected::new(HttpEndpoint::new(&settings, credentials).expect("sound settings"), answer)
}
