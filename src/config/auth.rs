//! The section `endpoint.auth`: how a client proves itself.

use std::path::PathBuf;

use url::Url;

use crate::endpoint::{
    AuthMethod, AuthSettings, BasicEncoding, CertificateFiles, JwtAlgorithm, JwtSettings, Profile,
    Settings,
};

use super::{
    Needs,
    clients::SecretNeed,
    endpoint::{address, is_loopback},
    faults::Problem,
    file,
    profile::is_set,
    reader::ConfigReader,
    value,
};

const METHOD: &str = "endpoint.auth.method";
const BASIC_ENCODING: &str = "endpoint.auth.basic_encoding";
const TOKEN_URL: &str = "endpoint.auth.token_url";
const SCOPE: &str = "endpoint.auth.scope";
const KEY_FILE: &str = "endpoint.auth.key_file";
const KEY_ID: &str = "endpoint.auth.key_id";
const ALGORITHM: &str = "endpoint.auth.algorithm";
const JWT_AUDIENCE: &str = "endpoint.auth.audience";
const CERTIFICATE: &str = "endpoint.auth.client_certificate_file";
const CERTIFICATE_KEY: &str = "endpoint.auth.client_key_file";

const ENCODINGS: [(&str, BasicEncoding); 2] =
    [("form", BasicEncoding::Form), ("raw", BasicEncoding::Raw)];

/// Reads how a client proves itself to `url`.
pub(super) fn read(
    reader: &mut ConfigReader,
    profile: &Profile,
    url: &Url,
    secrets: SecretNeed,
) -> AuthSettings {
    let method =
        reader.optional(METHOD, value::choice(&AuthMethod::ALL)).unwrap_or_else(|| profile.auth());
    fits_profile(reader, profile, method);
    let basic_encoding =
        reader.required_or(BASIC_ENCODING, value::choice(&ENCODINGS), BasicEncoding::Form);
    let settings = AuthSettings {
        method,
        basic_encoding,
        // Read with the credentials.
        client_id: None,
        token_url: token_url(reader),
        scope: reader.optional(SCOPE, value::text),
        jwt: jwt(reader, url, secrets),
        client_certificate: certificate(reader, secrets),
    };
    needs(reader, method, AuthMethod::Bearer, TOKEN_URL);
    needs(reader, method, AuthMethod::PrivateKeyJwt, KEY_FILE);
    needs(reader, method, AuthMethod::Mtls, CERTIFICATE);
    let signs = [KEY_FILE, KEY_ID, ALGORITHM, JWT_AUDIENCE];
    let of_methods = [
        (&[BASIC_ENCODING][..], [AuthMethod::Basic, AuthMethod::Bearer]),
        (&[TOKEN_URL, SCOPE][..], [AuthMethod::Bearer; 2]),
        (&signs[..], [AuthMethod::PrivateKeyJwt; 2]),
    ];
    for (keys, methods) in of_methods {
        for key in keys {
            let fits = methods.contains(&method) || !is_set(reader, key);
            reader.require(&[key, METHOD], fits, || {
                let names = (methods[0].as_str(), method.as_str());
                let what = format!("is of the method {}, and the method is {}", names.0, names.1);
                Problem::new(what, "remove it")
            });
        }
    }
    settings
}

fn fits_profile(reader: &mut ConfigReader, profile: &Profile, method: AuthMethod) {
    let name = &profile.name;
    let is_own = method == profile.auth();
    reader.require(&[METHOD], !profile.is_alignet() || is_own, || {
        Problem::new(format!("does not fit the profile {name}, which has its own"), "remove it")
    });
    let has_secret = method != AuthMethod::Fields || is_own;
    reader.require(&[METHOD], has_secret, || {
        let what = format!("does not fit the profile {name}: no field of it is the secret");
        Problem::new(what, "choose \"post\"")
    });
    let adds_fields = matches!(method, AuthMethod::Post | AuthMethod::PrivateKeyJwt);
    reader.require(&[METHOD], !adds_fields || profile.takes_fields(), || {
        let what = format!("does not fit the profile {name}: its calls have no body");
        Problem::new(what, "choose another one")
    });
}

/// Demands what a method cannot do without.
fn needs(reader: &mut ConfigReader, method: AuthMethod, of: AuthMethod, key: &str) {
    let holds = method != of || is_set(reader, key);
    reader.require(&[METHOD, key], holds, || {
        Problem::new(format!("needs {key}"), format!("set {key}, or choose another method"))
    });
}

fn token_url(reader: &mut ConfigReader) -> Option<Url> {
    let url = reader.optional(TOKEN_URL, address)?;
    let fits = url.scheme() == "https" || is_loopback(&url);
    reader.require(&[TOKEN_URL], fits, || {
        Problem::new("is plain HTTP to a host other than this one", "use https://")
    });
    Some(url)
}

fn jwt(reader: &mut ConfigReader, url: &Url, secrets: SecretNeed) -> Option<JwtSettings> {
    let key_file = key(reader, KEY_FILE, secrets);
    let key_id = reader.optional(KEY_ID, value::text);
    let algorithm =
        reader.required_or(ALGORITHM, value::choice(&JwtAlgorithm::ALL), JwtAlgorithm::Rs256);
    let audience = reader.optional(JWT_AUDIENCE, value::text);
    let audience = audience.unwrap_or_else(|| url.to_string());
    key_file.map(|key_file| JwtSettings { key_file, key_id, algorithm, audience })
}

/// The path of a private key. Where no call is made, it may be out of reach.
fn key(reader: &mut ConfigReader, key: &str, secrets: SecretNeed) -> Option<PathBuf> {
    match secrets {
        SecretNeed::Needed => reader.file(key, file::private_key),
        SecretNeed::Unneeded => reader.optional(key, value::path),
    }
}

fn certificate(reader: &mut ConfigReader, secrets: SecretNeed) -> Option<CertificateFiles> {
    let certificate = reader.file(CERTIFICATE, file::certificates);
    let key = key(reader, CERTIFICATE_KEY, secrets);
    let pair = is_set(reader, CERTIFICATE) == is_set(reader, CERTIFICATE_KEY);
    reader.require(&[CERTIFICATE, CERTIFICATE_KEY], pair, || {
        Problem::new(
            "is only half of a client certificate",
            format!("set both of {CERTIFICATE} and {CERTIFICATE_KEY}, or neither"),
        )
    });
    certificate.zip(key).map(|(certificate, key)| CertificateFiles { certificate, key })
}

/// Names the one client that needs no secret, where calls name a client.
pub(super) fn name_client(
    reader: &mut ConfigReader,
    settings: &mut Settings,
    client_id: Option<&str>,
    needs: Needs,
) {
    const CLIENT_ID: &str = "credentials.client_id";
    let method = settings.auth.method;
    if method.needs_secret() {
        return;
    }
    settings.auth.client_id = client_id.map(str::to_owned);
    let unnamed = client_id.is_none() && settings.profile.names_client(method);
    let fits = !unnamed || needs.client_secrets == SecretNeed::Unneeded;
    reader.require(&[CLIENT_ID], fits, || {
        let what = format!("is missing: the method {} names one client", method.as_str());
        Problem::new(what, "set it to the client's id")
    });
}
