//! Checks of tokens by introspection.

use super::*;
use crate::{
    domain::{VerifyPolicy, VerifyWhen},
    endpoint::{AuthMethod, BasicEncoding, SecretSource},
};

const RFC7009: &str = "[endpoint]\nprofile = \"rfc7009\"\nurl = \"https://auth.example/revoke\"\n";

/// The first lines of a valid section.
const SECTION: &str = "[verify]\nurl = \"https://auth.example/introspect\"\n";

const CHECKER: &str = "[verify.auth]\nclient_id = \"watcher\"\nclient_secret = \"hunter2\"\n";

#[test]
fn by_default_no_token_is_checked() {
    let config = load("").unwrap();
    assert_eq!(config.pipeline.verify, VerifyPolicy::default());
    assert!(config.verify.is_none());
}

#[test]
fn the_client_that_checks_is_one_of_its_own() {
    let file = format!(
        "{RFC7009}timeout = \"7s\"\n{SECTION}when = \"before_and_after\"\ndelay = \"2s\"\n\
         attempts = 3\ntrusts_inactive = true\n{CHECKER}basic_encoding = \"raw\""
    );
    let config = load(&file).unwrap();
    let policy = VerifyPolicy {
        when: VerifyWhen::BeforeAndAfter,
        trusts_inactive: true,
        delay: Duration::from_secs(2),
        attempts: 3,
    };
    assert_eq!(config.pipeline.verify, policy);
    let verify = config.verify.unwrap();
    assert_eq!(&*verify.client_id, "watcher");
    assert!(matches!(verify.credentials.clients["watcher"], SecretSource::Value(_)));
    assert_eq!(verify.endpoint.url.as_str(), "https://auth.example/introspect");
    assert_eq!(verify.endpoint.timeout, config.endpoint.timeout);
    assert_eq!(verify.endpoint.auth.method, AuthMethod::Basic);
    assert_eq!(verify.endpoint.auth.basic_encoding, BasicEncoding::Raw);
    assert_eq!(config.endpoint.auth.basic_encoding, BasicEncoding::Form);
    assert_eq!(config.warnings, [""; 0]);
}

#[test]
fn missing_and_contradictory_settings_are_named() {
    let checker = |more: &str| format!("{SECTION}when = \"after\"\n{CHECKER}{more}");
    for (file, expected) in [
        ("[verify]\nwhen = \"after\"".to_owned(), "verify.when (worker.toml:2): needs verify.url"),
        (
            "[verify]\nwhen = \"always\"".to_owned(),
            "verify.when (worker.toml:2): is not an allowed value",
        ),
        (format!("{SECTION}when = \"after\""), "verify.auth.client_id: is missing"),
        (
            format!("{SECTION}[verify.auth]\nclient_id = \"watcher\""),
            "verify.auth.client_secret: is missing",
        ),
        (
            checker("method = \"none\""),
            "verify.auth.method (worker.toml:7): is no proof of a client",
        ),
        (
            checker("method = \"self\""),
            "verify.auth.method (worker.toml:7): is no proof of a client",
        ),
        (
            checker("method = \"fields\""),
            "verify.auth.method (worker.toml:7): does not fit the profile introspection",
        ),
        (
            checker("method = \"bearer\""),
            "verify.auth.method (worker.toml:7): needs verify.auth.token_url",
        ),
        (
            checker("method = \"private_key_jwt\""),
            "verify.auth.method (worker.toml:7): needs verify.auth.key_file",
        ),
        (
            checker("method = \"mtls\""),
            "verify.auth.client_secret (worker.toml:6): is not of the method mtls",
        ),
        (
            checker("scope = \"x\""),
            "verify.auth.scope (worker.toml:7): is of the method bearer, and the method is basic",
        ),
        (
            "[verify]\nurl = \"http://auth.example/\"".to_owned(),
            "verify.url (worker.toml:2): is plain HTTP",
        ),
        ("[verify]\ndelay = \"61s\"".to_owned(), "verify.delay (worker.toml:2): is "),
        ("[verify]\nattempts = 1".to_owned(), "verify.attempts (worker.toml:2): is "),
        ("[verify]\nattempts = 6".to_owned(), "verify.attempts (worker.toml:2): is "),
        ("[verify]\nattempt = 2".to_owned(), "verify.attempt (worker.toml:2): is an unknown key"),
    ] {
        let found = load(&file).err().map(|faults| lines(&faults)).unwrap_or_default();
        assert!(found.iter().any(|fault| fault.starts_with(expected)), "{file}: {found:?}");
    }
}

#[test]
fn a_command_that_makes_no_calls_needs_no_secret_of_the_checks() {
    let folder = Folder::new();
    let file = format!("{SECTION}when = \"after\"\n[verify.auth]\nclient_id = \"watcher\"");
    let files = [folder.write("worker.toml", file)];
    Config::load(Needs::NONE, &files, Vec::<(String, String)>::new()).unwrap();
}

#[test]
fn a_setting_without_effect_is_a_warning() {
    let later = "[endpoint]\nprofile_file = ";
    let folder = Folder::new();
    let profile = crate::endpoint::BUILTIN[1].1.replace("name = \"rfc7009\"", "name = \"later\"");
    let profile = profile.replace("proof = \"acknowledged\"", "proof = \"accepted\"");
    let profile = profile.replace("is = \"acknowledged\"", "is = \"accepted\"");
    let path = folder.write("later.toml", profile);
    for (file, expected) in [
        (format!("{SECTION}{CHECKER}"), "is not used, because verify.when is \"never\""),
        (
            format!("{SECTION}when = \"ambiguous\"\n{CHECKER}"),
            "settles nothing without verify.trusts_inactive",
        ),
        (
            format!(
                "{later}{path:?}\nurl = \"https://auth.example/\"\n{SECTION}when = \"after\"\n{CHECKER}"
            ),
            "is zero, while the profile later revokes later",
        ),
        (
            format!("{SECTION}when = \"after\"\ndelay = \"6s\"\n{CHECKER}"),
            "lets a stop finish no check",
        ),
    ] {
        let warnings = load(&file).unwrap_or_else(|faults| panic!("{faults}")).warnings;
        assert!(warnings.iter().any(|warning| warning.contains(expected)), "{file}: {warnings:?}");
    }
}
