//! Settings that contradict each other.

use super::*;

#[test]
fn contradictory_settings_are_reported_at_the_key_that_is_set() {
    for (file, begin) in [
        (
            "endpoint.connect_timeout = '20s'",
            "endpoint.connect_timeout (worker.toml:1): does not fit",
        ),
        ("endpoint.timeout = '2s'", "endpoint.timeout (worker.toml:1): does not fit"),
        (
            "flow.concurrency.max = 5\nflow.concurrency.min = 6",
            "flow.concurrency.min (worker.toml:2)",
        ),
        ("retry.max = '100ms'", "retry.max (worker.toml:1): does not fit"),
        ("retry.give_up_after = '30s'", "retry.give_up_after (worker.toml:1): does not fit"),
        (
            "retry.give_up_after = '2m'\nretry.hold = '3m'",
            "retry.give_up_after (worker.toml:1): does not fit",
        ),
    ] {
        let faults = lines(&load(file).unwrap_err());
        assert_eq!(faults.len(), 1, "{faults:#?}");
        assert!(faults[0].starts_with(begin), "{}", faults[0]);
    }
}

#[test]
fn presuming_needs_a_key_where_jobs_come_from_a_broker() {
    let presuming = "endpoint.presume_revoked_after_ambiguity = true\n";
    let folder = Folder::new();
    folder.write("keys", "0123456789abcdef0123456789abcdef\n");
    folder.write("short", "0123456789abcdef0123456789abcde\n");
    let with =
        |name: &str| format!("{presuming}broker.history_key_file = '{}'\n", folder.path(name));

    let config = load(&with("keys")).unwrap();
    assert!(config.pipeline.policy.presume_revoked_after_ambiguity);
    assert!(config.broker.history_key_file.is_some());
    let refused = lines(&load(presuming).unwrap_err());
    assert_eq!(refused.len(), 1, "{refused:#?}");
    assert!(refused[0].contains("make a key with `openssl rand -hex 32`"), "{}", refused[0]);
    let faulty = lines(&load(&with("short")).unwrap_err());
    assert_eq!(faulty.len(), 1, "{faulty:#?}");
    assert!(faulty[0].starts_with("broker.history_key_file (worker.toml:2): "), "{}", faulty[0]);
    assert!(faulty[0].contains("fewer than 32 characters in line 1"), "{}", faulty[0]);

    // A sweep has a journal, and a tool makes no presumption: neither opens the file.
    let files =
        [folder.write("alone.toml", presuming), folder.write("absent.toml", with("absent"))];
    for file in files {
        let file = &[file];
        assert!(Config::load(Needs::CALLS, file, variables(&CLIENT)).is_ok());
        assert!(Config::load(Needs::NONE, file, variables(&[])).is_ok());
    }
}
