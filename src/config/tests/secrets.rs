//! Tests that faults show no values, and that loaded settings show no secrets.

use proptest::prelude::*;

use super::*;
use crate::config::{invariants::is_secret, key::ConfigKey};

/// Every known key, as the defaults document them.
fn keys() -> Vec<ConfigKey> {
    let mut reader = ConfigReader::new([ConfigLayer::defaults(DEFAULTS)]);
    Config::read(&mut reader, Needs::NONE);
    let keys = reader.known().keys().filter(|key| **key != ConfigKey::from("credentials.clients"));
    keys.cloned().chain([ConfigKey::from("credentials.clients.some.client_secret")]).collect()
}

/// Forms of a line that contains a pasted secret.
const SHAPES: [&str; 12] = [
    "{}",
    " {} ",
    "{}\u{7}",
    "{}s",
    "amqp://u:{}@rabbit",
    "amqp://u:{}/@rabbit",
    "amqp://{}",
    "https://{}",
    "https://u:{}@host/",
    "http://host/?{}",
    "ftp://{}",
    "\"{}",
];

proptest! {
    // Each case loads every key twice.
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn no_fault_repeats_a_value(
        canary in "canary[A-Za-z0-9]{12}", shape in prop::sample::select(&SHAPES[..]), quoted in any::<bool>(),
    ) {
        let value = shape.replace("{}", &canary);
        for key in keys() {
            let file = if quoted {
                format!("{key} = {}\n", toml::Value::String(value.clone()))
            } else {
                format!("{key} = {value}\n")
            };
            let shown = match load(&file) {
                Err(faults) => format!("{faults}\n{faults:?}"),
                Ok(config) if is_secret(&key.to_string()) => format!("{config:?}"),
                Ok(config) => config.warnings.concat(),
            };
            prop_assert!(!shown.contains(&canary), "{file}: {shown}");

            if key.is_within(&ConfigKey::from("credentials.clients")) {
                continue;
            }
            let shown = match load_with("", &[(&key.variable(), &value)]) {
                Err(faults) => format!("{faults}\n{faults:?}"),
                Ok(config) if is_secret(&key.to_string()) => format!("{config:?}"),
                Ok(config) => config.warnings.concat(),
            };
            prop_assert!(!shown.contains(&canary), "{key}={value}: {shown}");
        }
    }

    #[test]
    fn no_broken_file_is_quoted(canary in "canary[a-z0-9]{12}", at in 0usize..120, cut in 0usize..40) {
        let good = format!(
            "[credentials]\nclient_id = 'a'\nclient_secret = '{canary}'\n[broker]\n\
             url = \"amqp://u:{canary}@rabbit\"\n[retry]\npark = ['1s', '{canary}']\n"
        );
        let broken: String =
            good.chars().enumerate().filter(|(i, _)| !(at..at + cut).contains(i)).map(|(_, c)| c).collect();
        if let Err(faults) = load_with(&broken, &[]) {
            let known = canary_keys(&faults, &canary);
            let shown = format!("{faults}\n{faults:?}");
            prop_assert!(known || !shown.contains(&canary), "{broken}\n{shown}");
        }
    }
}

/// Whether a cut has made the canary a key: keys are shown.
fn canary_keys(faults: &ConfigFaults, canary: &str) -> bool {
    faults.iter().any(|fault| fault.key().is_some_and(|key| key.contains(canary)))
}

#[test]
fn loaded_settings_show_no_secret() {
    let folder = Folder::new();
    folder.write("secret", "canary-3\n");
    let config = load(&format!(
        "[broker]\nurl = 'amqp://u:canary-1@rabbit.example'\n\
         [endpoint]\nproxy = 'http://u:canary-2@proxy.example'\n\
         [credentials.clients]\na = {{ client_secret_file = '{}' }}\nb = {{ client_secret = 'canary-4' }}\n",
        folder.path("secret")
    ))
    .unwrap();
    assert_eq!(config.credentials.clients.len(), 3);
    let shown = format!("{config:?}{:#?}{}", config, config.warnings.concat());
    assert!(!shown.contains("canary"), "{shown}");
}

#[test]
fn a_secret_file_with_more_than_a_url_is_refused_without_its_content() {
    let folder = Folder::new();
    folder.write("url", "amqp://u:canary@h\n# canary\n");
    let faults = load(&format!("broker.url_file = '{}'", folder.path("url"))).unwrap_err();
    assert_eq!(lines(&faults).len(), 1);
    assert!(faults.to_string().contains("broker.url_file"), "{faults}");
    assert!(!faults.to_string().contains("canary"), "{faults}");
}
