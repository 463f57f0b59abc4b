//! Tests of the file to start from, and of the settings in force.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;
use crate::endpoint::{BUILTIN, builtin};

#[test]
fn a_file_to_start_from_loads_once_its_blanks_are_filled() {
    for (name, _) in BUILTIN {
        let text = starter(&builtin(name).unwrap());
        assert!(text.lines().all(|line| line.chars().count() <= 120), "{name}");
        let folder = Folder::new();
        let blanks: Vec<usize> = text
            .lines()
            .enumerate()
            .filter(|(_, line)| line.ends_with(" = \"\""))
            .map(|(at, _)| at + 1)
            .collect();
        let load = |text: &str| {
            Config::load(Needs::ALL, &[folder.write("revoker.toml", text)], variables(&[]))
        };
        let config = if blanks.is_empty() {
            load(&text)
        } else {
            let faults = lines(&load(&text).unwrap_err());
            assert_eq!(faults.len(), blanks.len(), "{name}: {faults:#?}");
            for (fault, line) in faults.iter().zip(&blanks) {
                let place = format!("(revoker.toml:{line}): is empty");
                assert!(fault.contains(&place) || blanks.len() > 1, "{name}: {fault}");
                assert!(fault.contains("is empty"), "{name}: {fault}");
            }
            folder.write("secret", "s3cret");
            let filled = text
                .replace("\nurl = \"\"", "\nurl = \"https://auth.example/revoke\"")
                .replace("client_id = \"\"", "client_id = \"shop\"")
                .replace("_file = \"\"", &format!("_file = '{}'", folder.path("secret")));
            load(&filled)
        };
        let config = config.unwrap_or_else(|faults| panic!("{name}: {faults}"));
        assert_eq!(config.warnings, [""; 0], "{name}");
        assert_eq!(config.endpoint.profile.name, name);
    }
}

/// The settings in force by their keys.
fn in_force(
    file: &str,
    environment: &[(&str, &str)],
) -> (BTreeMap<String, SettingInForce>, String) {
    let folder = Folder::new();
    let path = folder.write("worker.toml", file);
    let in_force = SettingsInForce::load(&[path], variables(environment));
    let faults = in_force.faults.map(|faults| lines(&faults).join("\n")).unwrap_or_default();
    (in_force.settings.into_iter().map(|one| (one.key.clone(), one)).collect(), faults)
}

#[test]
fn every_setting_is_shown_with_its_value_and_its_origin() {
    let (shown, faults) = in_force(
        "[broker]\nqueue = \"jobs\"\n[retry]\npark = [\"1s\"]\n[credentials.clients.shop]\nclient_secret = \"hunter2\"\n",
        &[("REVOKER_FLOW__CONCURRENCY__MAX", "8"), ("REVOKER_RETRY__PARK", "1s, 2s")],
    );
    assert_eq!(faults, "");
    let of = |key: &str| (shown[key].value.clone().unwrap_or_default(), shown[key].origin.clone());
    assert_eq!(of("broker.prefetch"), (json!(512), SettingOrigin::Default));
    let (value, SettingOrigin::File { line, file }) = of("broker.queue") else { panic!() };
    assert_eq!((value, line), (json!("jobs"), 2));
    assert!(file.ends_with("worker.toml"));
    let variable = |name: &str| SettingOrigin::Variable { variable: name.to_owned() };
    let max = (json!(8), variable("REVOKER_FLOW__CONCURRENCY__MAX"));
    assert_eq!(of("flow.concurrency.max"), max);
    assert_eq!(of("retry.park"), (json!(["1s", "2s"]), variable("REVOKER_RETRY__PARK")));
    assert_eq!(of("flow.rate"), (Value::Null, SettingOrigin::None));
    let derived = |from: &str| SettingOrigin::Derived { from: from.to_owned() };
    let url = json!("https://auth.wip.alignet.io/revoke");
    assert_eq!(of("endpoint.url"), (url, derived("endpoint.environment")));
    assert_eq!(of("endpoint.auth.method"), (json!("fields"), derived("the profile")));
    assert_eq!(of("credentials.clients.shop.client_secret").0, json!("***"));
    assert_eq!(of("broker.url").0, json!("amqp://guest:***@127.0.0.1:5672/%2f"));
    let documented = catalogue::Catalogue::new().documentation.keys.len();
    assert_eq!(shown.len(), documented, "one client in place of the example");
}

#[test]
fn no_secret_is_shown_wherever_it_stands() {
    const CANARY: &str = "hunter2-canary";
    let folder = Folder::new();
    folder.write("url", format!("amqps://u:{CANARY}@rabbit.example/jobs"));
    folder.write("secret", CANARY);
    let by_file = format!(
        "broker.url_file = '{}'\nendpoint.proxy_file = '{}'\ncredentials.client_id = 'c'\n\
         credentials.client_secret_file = '{}'",
        folder.path("url"),
        folder.path("secret"),
        folder.path("secret")
    );
    let (shown, _) = in_force(&by_file, &[]);
    assert_eq!(shown["broker.url"].value, Some(json!("amqps://u:***@rabbit.example/jobs")));
    let from = SettingOrigin::Derived { from: "the file of broker.url_file".to_owned() };
    assert_eq!(shown["broker.url"].origin, from);
    assert_eq!(shown["credentials.client_secret"].value, Some(json!("***")));
    assert_eq!(
        shown["credentials.client_secret_file"].value,
        Some(json!(folder.path("secret"))),
        "the path of a file that exists"
    );

    for file in [
        format!("credentials.client_secret_file = '{CANARY}'"),
        format!("broker.url = '{CANARY}'"),
        format!("broker.url = 'amqp://u:{CANARY}@a.example, amqp://u:{CANARY}/x@b'"),
        format!("endpoint.url = 'https://u:{CANARY}@a.example'"),
        format!("endpoint.url = 'https://a.example/?key={CANARY}'"),
        format!("endpoint.proxy = 'http://u:{CANARY}@proxy:3128'"),
        format!("credentials.client_secrett = '{CANARY}'"),
        format!("credentials.client_secret = '{CANARY}'\nbroker.heartbeat = '{CANARY}'"),
        format!("verify.auth.client_secret = '{CANARY}'\nflow.rate = '{CANARY}'"),
        format!("broker.url = '{CANARY}\nbroker.queue = 'q'"),
    ] {
        let (shown, faults) = in_force(&file, &[]);
        assert!(!format!("{shown:?}{faults}").contains(CANARY), "{file}\n{faults}");
        assert!(shown.len() > 60, "all others are shown: {file}");
    }
}

#[test]
fn a_setting_beside_a_fault_is_shown() {
    let (shown, faults) = in_force("[broker]\nqueue = 'jobs'\nprefetch = 'many'\n", &[]);
    assert!(faults.starts_with("broker.prefetch (worker.toml:3): is a string"), "{faults}");
    assert_eq!(shown["broker.queue"].value, Some(json!("jobs")));
    assert_eq!((&shown["broker.prefetch"].value, shown["broker.prefetch"].faulty), (&None, true));
}
