//! Tests of warnings and their texts.

use rcgen::{CertifiedKey, generate_simple_self_signed};

use super::*;

#[test]
fn a_valid_but_unusual_setting_is_a_warning() {
    for (file, words) in [
        (
            "retry.give_up_after = '61s'\nretry.park = ['2m']",
            "retry.give_up_after (worker.toml:1): is unusual",
        ),
        ("retry.park = ['2days']", "retry.park (worker.toml:1): is unusual"),
        (
            "endpoint.timeout = '15ms'\nendpoint.connect_timeout = '15ms'",
            "endpoint.timeout (worker.toml:1): is short",
        ),
        (
            "endpoint.connect_timeout = '999ms'",
            "endpoint.connect_timeout (worker.toml:1): is short",
        ),
        ("broker.connect_timeout = '999ms'", "broker.connect_timeout (worker.toml:1): is short"),
        ("endpoint.timeout = '30s'", "endpoint.timeout (worker.toml:1): does not fit: a call"),
        ("shutdown.grace = '14s'", "shutdown.grace (worker.toml:1): does not fit: a call"),
        (
            "shutdown.grace = '20000s'",
            "shutdown.grace (worker.toml:1): is longer than a job may be in flight",
        ),
        ("flow.rate_scope = 'fleet'", "flow.rate_scope (worker.toml:1): shares no rate"),
        ("flow.pause.probe_max = '30000s'", "flow.pause.probe_max (worker.toml:1): is long"),
        (
            "flow.bulk_min_share = 0.9",
            "flow.bulk_min_share (worker.toml:1): puts sweeps before logouts",
        ),
        ("broker.heartbeat = '1h'", "broker.heartbeat (worker.toml:1): is long"),
        (
            "broker.queue = 'revocations '",
            "broker.queue (worker.toml:1): begins or ends with a blank",
        ),
        (
            "endpoint.audience = '\"https://api.example\"'",
            "endpoint.audience (worker.toml:1): is in quotes",
        ),
        (
            "endpoint.locale = ' es_PE'",
            "endpoint.locale (worker.toml:1): begins or ends with a blank",
        ),
        (
            "endpoint.url = 'https://auth.alignet.io/revoke'",
            "endpoint.url (worker.toml:1): is the endpoint of production",
        ),
        ("broker.url = 'amqp://u:p@a.example, amqp://u:p@b.example'", "unencrypted"),
        ("broker.prefetch = 511", "less than twice"),
        ("endpoint.url = 'http://auth.example/'\nendpoint.allow_plain_http = true", "unencrypted"),
    ] {
        let warnings = load(file).unwrap().warnings;
        assert_eq!(warnings.len(), 1, "{warnings:#?}");
        assert!(file_names(&warnings[0]).contains(words), "{}", warnings[0]);
    }
    for quiet in [
        "broker.url = 'amqps://rabbit.example,amqp://localhost'",
        "endpoint.url = 'http://127.0.0.1:8080/revoke'",
        "endpoint.url = 'http://[::1]:8080/revoke'",
        "endpoint.url = 'http://localhost:8080/revoke'",
        "broker.prefetch = 512",
        "broker.connect_timeout = '1s'\nendpoint.connect_timeout = '1s'",
        "retry.give_up_after = '1m'",
        "endpoint.timeout = '20s'",
        "shutdown.grace = '10m'",
        "flow.rate_scope = 'fleet'\nflow.rate = 5",
        "flow.pause.probe_max = '1h'",
        "flow.bulk_min_share = 0.5",
        "endpoint.url = 'https://auth.pp.alignet.io/revoke'",
        "endpoint.url = 'https://auth.alignet.io/revoke'\nendpoint.environment = 'production'",
        "endpoint.url = 'https://auth.alignet.io/revoke'\nendpoint.audience = 'https://api.alignet.io'",
    ] {
        assert_eq!(load(quiet).unwrap().warnings, [""; 0], "{quiet}");
    }
}

/// A certificate that no connection uses, because none is encrypted.
#[test]
fn certificates_without_tls_are_a_warning() {
    let CertifiedKey { cert, .. } =
        generate_simple_self_signed(["rabbit.example".to_owned()]).unwrap();
    let folder = Folder::new();
    folder.write("ca.pem", cert.pem());
    let ca = folder.path("ca.pem");
    let local = "endpoint.url = 'http://127.0.0.1:1/'";
    for (file, begin) in [
        (format!("broker.ca_file = '{ca}'"), "broker.ca_file (worker.toml:1): is not used"),
        (
            format!("{local}\nendpoint.ca_file = '{ca}'"),
            "endpoint.ca_file (worker.toml:2): is not used",
        ),
    ] {
        let warnings = load(&file).unwrap().warnings;
        assert_eq!(warnings.len(), 1, "{warnings:#?}");
        assert!(file_names(&warnings[0]).starts_with(begin), "{}", warnings[0]);
    }
    let used = format!(
        "broker.url = 'amqps://rabbit'\nbroker.ca_file = '{ca}'\nendpoint.ca_file = '{ca}'"
    );
    assert_eq!(load(&used).unwrap().warnings, [""; 0]);
}
