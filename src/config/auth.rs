//! The sections `endpoint.auth` and `verify.auth`: client authentication.

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
    profile::{is_changed, is_set},
    reader::ConfigReader,
    value,
};

/// The names of a section's keys.
pub(super) struct AuthKeys {
    pub(super) method: &'static str,
    pub(super) basic_encoding: &'static str,
    pub(super) token_url: &'static str,
    pub(super) scope: &'static str,
    pub(super) key_file: &'static str,
    pub(super) key_id: &'static str,
    pub(super) algorithm: &'static str,
    pub(super) audience: &'static str,
    pub(super) certificate: &'static str,
    pub(super) certificate_key: &'static str,
}

macro_rules! auth_keys {
    ($section:literal) => {
        AuthKeys {
            method: concat!($section, ".method"),
            basic_encoding: concat!($section, ".basic_encoding"),
            token_url: concat!($section, ".token_url"),
            scope: concat!($section, ".scope"),
            key_file: concat!($section, ".key_file"),
            key_id: concat!($section, ".key_id"),
            algorithm: concat!($section, ".algorithm"),
            audience: concat!($section, ".audience"),
            certificate: concat!($section, ".client_certificate_file"),
            certificate_key: concat!($section, ".client_key_file"),
        }
    };
}

/// The keys of the client that revokes.
pub(super) const ENDPOINT: AuthKeys = auth_keys!("endpoint.auth");

/// The keys of the client that checks tokens.
pub(super) const VERIFY: AuthKeys = auth_keys!("verify.auth");

const ENCODINGS: [(&str, BasicEncoding); 2] =
    [("form", BasicEncoding::Form), ("raw", BasicEncoding::Raw)];

/// Reads the method by which a client authenticates to `url`. `secrets` says whether its files are needed here.
pub(super) fn read(
    reader: &mut ConfigReader,
    keys: &AuthKeys,
    profile: &Profile,
    url: &Url,
    secrets: SecretNeed,
) -> AuthSettings {
    let method = reader.optional(keys.method, value::choice(AuthMethod::ALL));
    if method.is_none() {
        reader.derive(keys.method, Some(profile.auth().as_str().to_owned()), "the profile");
    }
    let method = method.unwrap_or_else(|| profile.auth());
    fits_profile(reader, keys, profile, method);
    let basic_encoding =
        reader.required_or(keys.basic_encoding, value::choice(&ENCODINGS), BasicEncoding::Form);
    let settings = AuthSettings {
        method,
        basic_encoding,
        // Read with the credentials.
        client_id: None,
        token_url: token_url(reader, keys),
        scope: reader.optional(keys.scope, value::text()),
        jwt: jwt(reader, keys, url, secrets),
        client_certificate: certificate(reader, keys, secrets),
    };
    for (of, key) in [
        (AuthMethod::Bearer, keys.token_url),
        (AuthMethod::PrivateKeyJwt, keys.key_file),
        (AuthMethod::Mtls, keys.certificate),
    ] {
        let holds = method != of || is_set(reader, key);
        reader.require(&[keys.method, key], holds, || {
            Problem::new(format!("needs {key}"), format!("set {key}, or choose another method"))
        });
    }
    fits_method(reader, keys, method);
    settings
}

/// Refuses settings of other methods.
fn fits_method(reader: &mut ConfigReader, keys: &AuthKeys, method: AuthMethod) {
    let signs = [keys.key_file, keys.key_id, keys.algorithm, keys.audience];
    let of_methods = [
        (&[keys.basic_encoding][..], [AuthMethod::Basic, AuthMethod::Bearer]),
        (&[keys.token_url, keys.scope][..], [AuthMethod::Bearer; 2]),
        (&signs[..], [AuthMethod::PrivateKeyJwt; 2]),
    ];
    for (of_method, methods) in of_methods {
        for key in of_method {
            let fits = methods.contains(&method) || !is_changed(reader, key);
            reader.require(&[key, keys.method], fits, || {
                let names = (methods[0].as_str(), method.as_str());
                let what = format!("is of the method {}, and the method is {}", names.0, names.1);
                Problem::new(what, "remove it")
            });
        }
    }
}

fn fits_profile(reader: &mut ConfigReader, keys: &AuthKeys, profile: &Profile, method: AuthMethod) {
    let name = &profile.name;
    let is_own = method == profile.auth();
    reader.require(&[keys.method], !profile.is_alignet() || is_own, || {
        Problem::new(format!("does not fit the profile {name}, which has its own"), "remove it")
    });
    let has_secret = method != AuthMethod::Fields || is_own;
    reader.require(&[keys.method], has_secret, || {
        let what = format!("does not fit the profile {name}: no field of it is the secret");
        Problem::new(what, "choose \"post\"")
    });
    reader.require(&[keys.method], profile.names_token(method), || {
        let what = format!("does not fit the profile {name}: its calls would not name the token");
        Problem::new(what, "remove it")
    });
}

fn token_url(reader: &mut ConfigReader, keys: &AuthKeys) -> Option<Url> {
    let url = reader.optional(keys.token_url, address())?;
    let fits = url.scheme() == "https" || is_loopback(&url);
    reader.require(&[keys.token_url], fits, || {
        Problem::new("is plain HTTP to a host other than this one", "use https://")
    });
    Some(url)
}

fn jwt(
    reader: &mut ConfigReader,
    keys: &AuthKeys,
    url: &Url,
    secrets: SecretNeed,
) -> Option<JwtSettings> {
    let key_file = key(reader, keys.key_file, secrets);
    let key_id = reader.optional(keys.key_id, value::text());
    let algorithm =
        reader.required_or(keys.algorithm, value::choice(&JwtAlgorithm::ALL), JwtAlgorithm::Rs256);
    let audience = reader.optional(keys.audience, value::text());
    let audience = audience.unwrap_or_else(|| url.to_string());
    key_file.map(|key_file| JwtSettings { key_file, key_id, algorithm, audience })
}

/// The path of a private key. A command without calls may be unable to read it.
fn key(reader: &mut ConfigReader, key: &str, secrets: SecretNeed) -> Option<PathBuf> {
    match secrets {
        SecretNeed::Needed => reader.file(key, file::private_key),
        SecretNeed::Unneeded => reader.optional(key, value::path()),
    }
}

fn certificate(
    reader: &mut ConfigReader,
    keys: &AuthKeys,
    secrets: SecretNeed,
) -> Option<CertificateFiles> {
    let certificate = reader.file(keys.certificate, file::certificates);
    let key = key(reader, keys.certificate_key, secrets);
    let both = [keys.certificate, keys.certificate_key];
    let pair = is_set(reader, both[0]) == is_set(reader, both[1]);
    reader.require(&both, pair, || {
        Problem::new(
            "is only half of a client certificate",
            format!("set both of {} and {}, or neither", both[0], both[1]),
        )
    });
    certificate.zip(key).map(|(certificate, key)| CertificateFiles { certificate, key })
}

/// Sets the one client that needs no secret, if calls name a client.
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
