//! Tests that all documented defaults are in force.

use std::collections::BTreeSet;

use secrecy::ExposeSecret;
use tracing::Level;

use super::*;
use crate::{
    broker::Declare,
    config::{documentation::key_name, key::ConfigKey},
    domain::TokenHash,
    flow::RateScope,
};

/// `config/default.toml` with its commented keys uncommented.
fn uncommented() -> String {
    let line = |line: &'static str| match line.strip_prefix("# ") {
        Some(commented) if key_name(commented).is_some() => commented,
        _ => line,
    };
    DEFAULTS.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_key_is_documented_and_no_other() {
    let layer = ConfigLayer::defaults(&uncommented());
    assert_eq!(layer.faults, []);
    let documented: BTreeSet<ConfigKey> = layer.entries.keys().cloned().collect();
    let mut reader = ConfigReader::new([layer]);
    Config::read(&mut reader, Needs::NONE);
    let known = reader.known();
    // A key with keys below it is a table, not a setting.
    let above = |key: &ConfigKey| known.keys().any(|other| other != key && other.is_within(key));
    let known: BTreeSet<ConfigKey> = known.keys().filter(|key| !above(key)).cloned().collect();
    assert_eq!(documented, known);
}

#[test]
fn a_commented_setting_is_a_valid_example() {
    // The named files do not exist here, and some settings have two forms.
    let folder = Folder::new();
    let faults = Config::load(
        Needs::NONE,
        &[folder.write("all.toml", uncommented())],
        Vec::<(String, String)>::new(),
    )
    .unwrap_err();
    for fault in faults.iter() {
        let line = fault.to_string();
        let expected = [
            "names a file that does not exist",
            "is given twice in one place",
            "is given beside endpoint.profile",
            "does not fit the profile alignet",
            ", and the method is basic",
        ];
        assert!(expected.iter().any(|expected| line.contains(expected)), "{line}");
    }
}

#[test]
fn the_defaults_are_those_that_users_rely_on() {
    let config = load("").unwrap();
    let seconds = Duration::from_secs;

    let broker = &config.broker;
    let urls: Vec<_> = broker.urls.iter().map(ExposeSecret::expose_secret).collect();
    assert_eq!(urls, ["amqp://guest:guest@127.0.0.1:5672/%2f"]);
    assert_eq!(
        (broker.queue.as_str(), broker.declare, broker.prefetch),
        ("revocations", Declare::All, 512)
    );
    assert_eq!(broker.in_flight_bytes, 64 * 1024 * 1024);
    assert_eq!(broker.heartbeat, seconds(10));
    assert_eq!(broker.connect_timeout, seconds(10));
    assert_eq!(broker.confirm_timeout, seconds(10));
    assert_eq!(broker.ca_file, None);
    assert_eq!(broker.outcomes, None);
    let records = &config.pipeline.records;
    assert_eq!((records.events, records.log, records.token_hash), (false, false, TokenHash::Short));

    let endpoint = &config.endpoint;
    assert_eq!(endpoint.url.as_str(), "https://auth.wip.alignet.io/revoke");
    assert_eq!(endpoint.api_version, "1618440906");
    assert_eq!((endpoint.connect_timeout, endpoint.timeout), (seconds(5), seconds(15)));
    assert_eq!(endpoint.connection_max_age, seconds(60));
    assert_eq!((endpoint.http2, endpoint.locale.as_str()), (false, "es_PE"));
    assert!(endpoint.proxy.is_none() && endpoint.ca_file.is_none());
    assert_eq!(endpoint.max_concurrency, 256);

    let retry = &config.pipeline.policy.retry;
    assert_eq!(retry.schedule.initial, Duration::from_millis(250));
    assert_eq!(retry.schedule.max, seconds(15));
    assert_eq!((retry.schedule.multiplier, retry.schedule.jitter), (2.0, 0.5));
    assert_eq!(retry.hold, seconds(60));
    assert_eq!(retry.park, [10, 60, 300, 900, 3600].map(seconds));
    assert_eq!(broker.park, retry.park);
    assert_eq!((retry.give_up_after, retry.retry_after_max), (seconds(86_400), seconds(300)));
    assert!(!config.pipeline.policy.presume_revoked_after_ambiguity);

    let flow = &config.flow;
    assert_eq!((flow.concurrency_min, flow.concurrency_max, flow.adaptive), (1, 256, true));
    assert_eq!((flow.rate, flow.bulk_min_share), (None, 0.05));
    assert_eq!(flow.rate_scope, RateScope::Replica);
    assert_eq!(flow.pause.after_failures, 20);
    assert_eq!((flow.pause.probe_initial, flow.pause.probe_max), (seconds(1), seconds(30)));
    assert_eq!((flow.pause.after_rejections, flow.pause.first_rejections), (None, 50));

    assert_eq!(config.pipeline.remember, seconds(600));
    assert_eq!(config.pipeline.remember_capacity, 100_000);
    assert_eq!(&*config.pipeline.defaults.audience, "https://api.dev.alignet.io");
    assert_eq!(config.pipeline.defaults.client_id.as_deref(), Some("merchant"));
    assert_eq!(config.admin.listen.to_string(), "127.0.0.1:9464");
    assert_eq!((config.log.level, config.log.format), (Level::INFO, LogFormat::Auto));
    assert_eq!(config.shutdown.grace, seconds(20));
    assert!(!config.process.core_dumps);
    assert_eq!(config.warnings, [""; 0]);
}

#[test]
fn the_environments_preset_url_and_audience() {
    for (name, url, audience) in [
        ("development", "https://auth.wip.alignet.io/revoke", "https://api.dev.alignet.io"),
        ("pre-production", "https://auth.pp.alignet.io/revoke", "https://api.dev.alignet.io"),
        ("production", "https://auth.alignet.io/revoke", "https://api.alignet.io"),
    ] {
        let config = load(&format!("[endpoint]\nenvironment = \"{name}\"")).unwrap();
        assert_eq!(config.endpoint.url.as_str(), url);
        assert_eq!(&*config.pipeline.defaults.audience, audience);
    }
}

#[test]
fn the_files_of_the_environments_load() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("config");
    for (name, host) in [
        ("development", "auth.wip.alignet.io"),
        ("pre-production", "auth.pp.alignet.io"),
        ("production", "auth.alignet.io"),
    ] {
        let file = folder.join(format!("{name}.toml"));
        let config =
            Config::load(Needs::ALL, &[file], CLIENT).unwrap_or_else(|faults| panic!("{faults}"));
        assert_eq!(config.endpoint.url.host_str(), Some(host));
        assert_eq!(config.warnings, [""; 0], "{name}");
    }
}
