//! Tests of endpoint profiles and of client authentication.

use super::*;
use crate::endpoint::{AuthMethod, BasicEncoding};

/// The lines of the faults of a file.
fn faults(file: &str) -> Vec<String> {
    load(file).err().map(|faults| lines(&faults)).unwrap_or_default()
}

#[test]
fn a_profile_brings_its_url_its_method_and_its_longest_token() {
    let config = load("[endpoint]\nprofile = \"google\"").unwrap();
    assert_eq!(config.endpoint.url.as_str(), "https://oauth2.googleapis.com/revoke");
    assert_eq!(config.endpoint.auth.method, AuthMethod::None);
    assert_eq!(config.pipeline.defaults.token_max, 2048);
    assert!(!config.pipeline.policy.rejects_repeats);
    let file = "[endpoint]\nprofile = \"rfc7009\"\nurl = \"https://auth.example/revoke\"\n\
                gone = \"dead_letter\"\n[endpoint.auth]\nbasic_encoding = \"raw\"";
    let config = load(file).unwrap();
    assert_eq!(config.endpoint.url.as_str(), "https://auth.example/revoke");
    assert_eq!(config.endpoint.auth.method, AuthMethod::Basic);
    assert_eq!(config.endpoint.auth.basic_encoding, BasicEncoding::Raw);
    assert_eq!(config.pipeline.policy.gone, crate::domain::GonePolicy::DeadLetter);
}

/// Where nothing was revoked yet, it is the stricter of two guards: that one bounds how many jobs may be condemned.
#[test]
fn the_guard_of_a_profile_holds_unless_another_is_set() {
    let guards = |profile: &str, flow: &str| {
        let url = if profile == "rfc7009" { "url = \"https://auth.example/revoke\"" } else { "" };
        let file = format!("[endpoint]\nprofile = \"{profile}\"\n{url}\n[flow]\n{flow}");
        let pause = load(&file).unwrap().flow.pause;
        (pause.after_rejections, pause.first_rejections)
    };
    assert_eq!(guards("alignet", ""), (None, 50));
    assert_eq!(guards("alignet", "pause.after_rejections = 7"), (Some(7), 50));
    for profile in ["rfc7009", "slack"] {
        assert_eq!(guards(profile, ""), (Some(20), 20));
        assert_eq!(guards(profile, "pause.after_rejections = 7"), (Some(7), 7));
        assert_eq!(guards(profile, "pause.after_rejections = 900"), (Some(900), 50));
        assert_eq!(guards(profile, "guard.first_rejections = 0"), (Some(20), 0));
    }
}

#[test]
fn a_client_without_a_secret_needs_none() {
    let load = |file: &str, variables: &[(&str, &str)]| {
        let folder = Folder::new();
        Config::load(Needs::ALL, &[folder.write("worker.toml", file)], super::variables(variables))
    };
    assert!(load("[endpoint]\nprofile = \"google\"", &[]).is_ok());
    let twitch = "[endpoint]\nprofile = \"twitch\"";
    let fault = load(twitch, &[]).unwrap_err().to_string();
    assert!(fault.starts_with("credentials.client_id: is missing"), "{fault}");
    let config = load(twitch, &[("REVOKER_CREDENTIALS__CLIENT_ID", "app")]).unwrap();
    assert_eq!(config.endpoint.auth.client_id.as_deref(), Some("app"));
}

/// Some servers use a signed text as a secret.
#[test]
fn a_secret_may_be_longer_than_that_of_the_default_profile() {
    let secret = "s".repeat(400);
    let variables = [("REVOKER_CREDENTIALS__CLIENT_SECRET", secret.as_str())];
    let rfc7009 = "[endpoint]\nprofile = \"rfc7009\"\nurl = \"https://auth.example/revoke\"";
    let config = load_with(rfc7009, &variables).unwrap();
    assert!(crate::endpoint::Credentials::load(&config.credentials).is_ok());
    let fault = load_with("", &variables).unwrap_err().to_string();
    assert!(fault.contains("has more than 100 characters"), "{fault}");
}

/// The defaults name an encoding and an algorithm, which only some methods of authentication use.
#[test]
fn a_copy_of_the_defaults_is_accepted() {
    assert_eq!(faults(DEFAULTS), [""; 0]);
    let other = DEFAULTS.replacen("algorithm = \"RS256\"", "algorithm = \"ES256\"", 1);
    assert!(faults(&other)[0].contains("is of the method private_key_jwt"), "{other}");
}

#[test]
fn settings_that_do_not_fit_a_profile_are_faults_that_name_it() {
    let rfc7009 = "[endpoint]\nprofile = \"rfc7009\"\nurl = \"https://auth.example/revoke\"\n";
    for (file, expected) in [
        (
            "[endpoint]\nprofile = \"rfc7009\"".to_owned(),
            "endpoint.url: is missing: the profile rfc7009",
        ),
        (
            "[endpoint]\nprofile = \"oauth\"".to_owned(),
            "endpoint.profile (worker.toml:2): is no built-in profile",
        ),
        (
            format!("{rfc7009}environment = \"production\""),
            "endpoint.environment (worker.toml:4): is a setting of the profile alignet, and the profile is rfc7009",
        ),
        (
            format!("{rfc7009}audience = \"a\""),
            "endpoint.audience (worker.toml:4): is a setting of the profile alignet",
        ),
        (format!("{rfc7009}locale = \"es_PE\""), "endpoint.locale (worker.toml:4): is a setting"),
        (
            format!("{rfc7009}api_version = \"1\""),
            "endpoint.api_version (worker.toml:4): is a setting",
        ),
        (
            format!("{rfc7009}presume_revoked_after_ambiguity = true"),
            "endpoint.presume_revoked_after_ambiguity (worker.toml:4): does not fit the profile rfc7009",
        ),
        (
            format!("{rfc7009}[endpoint.auth]\nmethod = \"fields\""),
            "endpoint.auth.method (worker.toml:5): does not fit the profile rfc7009",
        ),
        (
            format!("{rfc7009}[endpoint.auth]\nmethod = \"bearer\""),
            "endpoint.auth.method (worker.toml:5): needs endpoint.auth.token_url",
        ),
        (
            format!("{rfc7009}[endpoint.auth]\nmethod = \"private_key_jwt\""),
            "endpoint.auth.method (worker.toml:5): needs endpoint.auth.key_file",
        ),
        (
            format!("{rfc7009}[endpoint.auth]\nmethod = \"mtls\""),
            "endpoint.auth.method (worker.toml:5): needs endpoint.auth.client_certificate_file",
        ),
        (
            format!("{rfc7009}[endpoint.auth]\nscope = \"x\""),
            "endpoint.auth.scope (worker.toml:5): is of the method bearer, and the method is basic",
        ),
        (
            format!(
                "{rfc7009}[endpoint.auth]\ntoken_url = \"http://auth.example/\"\nmethod = \"bearer\""
            ),
            "endpoint.auth.token_url (worker.toml:5): is plain HTTP",
        ),
        (
            "[endpoint.auth]\nmethod = \"basic\"".to_owned(),
            "endpoint.auth.method (worker.toml:2): does not fit the profile alignet",
        ),
        (
            "[endpoint]\ntoken_type_hint = \"x\"".to_owned(),
            "endpoint.token_type_hint (worker.toml:2): does not fit the profile alignet",
        ),
        (
            "[endpoint]\nprofile = \"slack\"\n[endpoint.auth]\nmethod = \"post\"".to_owned(),
            "endpoint.auth.method (worker.toml:4): does not fit the profile slack",
        ),
        (
            "[endpoint]\nprofile = \"slack\"\n[endpoint.auth]\nmethod = \"none\"".to_owned(),
            "endpoint.auth.method (worker.toml:4): does not fit the profile slack: its calls would not name the token",
        ),
    ] {
        let found = faults(&file);
        assert!(found.iter().any(|fault| fault.starts_with(expected)), "{file}: {found:?}");
    }
}

#[test]
fn a_profile_in_a_file_is_checked_and_its_faults_are_named_with_their_lines() {
    let folder = Folder::new();
    let load = |profile: &str| {
        let path = folder.write("profile.toml", profile);
        load(&format!("[endpoint]\nprofile_file = {path:?}\nurl = \"https://auth.example/\""))
    };
    let sound = crate::endpoint::BUILTIN[1].1;
    let renamed = sound.replace("name = \"rfc7009\"", "name = \"ours\"");
    assert_eq!(load(&renamed).unwrap().endpoint.profile.name, "ours");
    let fault = |profile: &str| load(profile).unwrap_err().to_string();
    assert!(fault(sound).contains("the name is of a built-in profile"));
    let faulty = renamed.replacen("\"$token\"", "\"x$token\"", 1);
    let line = faulty.lines().position(|line| line.contains("x$token")).unwrap() + 1;
    let found = fault(&faulty);
    assert!(found.contains(&format!("profile.toml:{line}: a field has a $")), "{found}");
    let both = format!(
        "[endpoint]\nprofile = \"rfc7009\"\nprofile_file = \"{}\"",
        folder.path("profile.toml")
    );
    assert!(faults(&both).iter().any(|fault| fault.contains("is given beside endpoint.profile")));
}
