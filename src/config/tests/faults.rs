//! Tests of refused settings and the texts of their faults.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;

/// Loads one setting (`section.key` and its value in TOML), and expects exactly one fault: for this key, on its line,
/// with this text.
fn assert_refused(key: &str, value: &str, words: &str) {
    let faults = match load(&format!("# a comment\n{key} = {value}\n")) {
        Ok(config) => panic!("{key} = {value} was accepted: {config:?}"),
        Err(faults) => lines(&faults),
    };
    assert_eq!(faults.len(), 1, "{key} = {value}: {faults:#?}");
    assert!(faults[0].starts_with(&format!("{key} (worker.toml:2): ")), "{}", faults[0]);
    assert!(faults[0].contains(words), "{key} = {value}: {}", faults[0]);
}

#[test]
fn a_scope_that_is_no_word_and_an_age_of_nothing_are_refused() {
    assert_refused("flow.rate_scope", "'cluster'", "is not an allowed value");
    assert_refused("endpoint.connection_max_age", "'0s'", "is out of bounds");
}

#[test]
fn a_name_that_no_queue_can_have_is_refused() {
    for (key, value, words) in [
        ("broker.queue", "''", "is empty"),
        ("broker.queue", "'amq.revocations'", "begins with \"amq.\""),
        ("broker.queue", "\"a\\u0007b\"", "control character"),
        ("broker.queue", "\"\\uFEFFa\"", "holds a byte order mark"),
    ] {
        assert_refused(key, value, words);
    }
}

#[test]
fn a_queue_of_events_that_would_take_or_give_jobs_is_refused() {
    for (key, value, words) in [
        ("outcomes.queue", "'amq.outcomes'", "begins with \"amq.\""),
        ("outcomes.queue", "'revocations'", "would be taken for a job"),
        (
            "outcomes.queue",
            "'revocations.dead'",
            "choose another name, like \"revocations.outcomes\"",
        ),
        ("outcomes.queue", "'revocations.retry.bulk.7h'", "would be taken for a job"),
        ("outcomes.token_hash", "'md5'", "is not an allowed value"),
        ("log.successes", "'yes'", "is a string, not a boolean"),
    ] {
        assert_refused(key, value, words);
    }
}

#[test]
fn wrong_values_are_refused_with_their_line() {
    for (key, value, words) in [
        ("broker.url", "5", "is a number, not a string"),
        ("broker.url", "''", "is empty"),
        ("broker.url", "'http://rabbit'", "neither amqp:// nor amqps://"),
        ("broker.url", "'amqp://a.example,,amqp://b.example'", "empty URL (URL 2 of the list)"),
        ("broker.url", "\"\\uFEFFamqp://rabbit\"", "holds a byte order mark"),
        ("broker.url", "\"'amqp://a.example,amqp://b.example'\"", "is in quotes"),
        ("broker.connect_timeout", "'2m'", "choose a value from 1ms to 1m"),
        ("broker.confirm_timeout", "'10m'", "choose a value from 1s to 1m"),
        ("broker.declare", "'yes'", "is not an allowed value; choose true, false or \"missing\""),
        ("process.core_dumps", "'yes'", "is a string, not a boolean; write it like true or false"),
        ("broker.prefetch", "0", "choose a value from 1 to 65535"),
        ("broker.prefetch", "65536", "choose a value from 1 to 65535"),
        ("broker.prefetch", "-1", "choose a value from 1 to 65535"),
        ("broker.prefetch", "'512'", "is a string, not a whole number"),
        ("broker.prefetch", "99999999999999999999", "is a number beyond 64 bits"),
        ("broker.url", "'amqp://rabbit?frame_max=1'", "choose a number from 4096 to 1048576"),
        ("broker.in_flight_bytes", "'512KiB'", "choose a value from 1.0 MiB to 64.0 GiB"),
        ("broker.in_flight_bytes", "'many'", "write a number and its unit, like \"64MiB\""),
        ("broker.in_flight_bytes", "67108864", "is not a number of bytes"),
        ("broker.heartbeat", "'1500ms'", "whole number of seconds"),
        ("broker.heartbeat", "10", "is not a duration; write a number and its unit"),
        ("broker.ca_file", "'/nowhere/ca.pem'", "names a file that does not exist"),
        ("broker.ca_file", "'/'", "names a file that is a directory"),
        ("broker.ca_file", "'/dev/null'", "names a file that holds no certificate"),
        ("broker.client_key_file", "'/dev/zero'", "names a file that has more than"),
        ("broker.history_key_file", "'/nowhere/keys'", "names a file that does not exist"),
        ("broker.history_key_file", "'/dev/null'", "names a file that holds no key; write one"),
        ("endpoint.presume_revoked_after_ambiguity", "true", "needs broker.history_key_file"),
        (
            "endpoint.environment",
            "'staging'",
            "choose \"development\", \"pre-production\", \"production\"",
        ),
        ("endpoint.url", "'revoke'", "is not a URL"),
        ("endpoint.url", "'ftp://host/revoke'", "is neither http:// nor https://"),
        ("endpoint.url", "'https://'", "is not a URL with a host"),
        ("endpoint.url", "'https://user@host/revoke'", "holds a user name or password"),
        ("endpoint.url", "'https://:pw@host/revoke'", "holds a user name or password"),
        ("endpoint.url", "'https://ho st/'", "holds a blank"),
        ("endpoint.url", "'https://host/revoke#part'", "holds a fragment"),
        ("endpoint.url", "\"'https://host/revoke'\"", "is in quotes"),
        ("endpoint.url", "\"\\u200Bhttps://host/revoke\"", "holds an invisible character"),
        ("endpoint.proxy", "\"\\uFEFFhttp://proxy:3128\"", "holds a byte order mark"),
        ("endpoint.timeout", "'15000s'", "choose a value from 1ms to 10m"),
        ("endpoint.timeout", "'15M'", "is in months, because M means months; write m for minutes"),
        ("endpoint.audience", "\"a\\nb\"", "holds a line break"),
        (
            "endpoint.url",
            "'http://auth.example/revoke'",
            "plain HTTP to a host other than this one",
        ),
        ("endpoint.url", "'http://127.0.0.1.example/'", "plain HTTP to a host other than this one"),
        ("endpoint.api_version", "1618440906", "is a number, not a string"),
        ("endpoint.api_version", "'né'", "is invalid in a header"),
        ("endpoint.audience", "''", "is empty"),
        ("endpoint.proxy", "'socks5://proxy:1080'", "is neither http:// nor https://"),
        ("endpoint.connect_timeout", "'16s'", ""),
        ("endpoint.timeout", "'4s'", "shorter than that of its connecting"),
        ("retry.multiplier", "0.99", "choose a value from 1 to 100"),
        ("retry.multiplier", "inf", "choose a value from 1 to 100"),
        ("retry.multiplier", "nan", "choose a value from 1 to 100"),
        ("retry.jitter", "1.01", "choose a value from 0 to 1"),
        ("retry.initial", "'16s'", "the first wait is above the longest"),
        ("retry.max", "'249ms'", ""),
        ("retry.max", "'11m'", "choose a value from 1ms to 10m"),
        ("retry.retry_after_max", "'1h'", "choose a value from 1ms to 10m"),
        ("retry.give_up_after", "'59s'", "a job would be given up before it is ever parked"),
        ("retry.park", "['10s', '1M']", "item 2 is in months"),
        ("retry.park", "[]", "is empty"),
        ("retry.park", "'10s'", "is a string, not a list"),
        ("retry.park", "['10s', '5s']", "does not grow"),
        ("retry.park", "['10s', '10000ms']", "does not grow"),
        ("retry.park", "['10s', 'later']", "item 2 is not a duration"),
        ("retry.park", "['100ms 5us']", "finer than a millisecond"),
        ("flow.concurrency.min", "0", "choose a value from 1 to 65535"),
        ("flow.concurrency.min", "257", "the floor is above the ceiling"),
        ("flow.concurrency.max", "65536", "choose a value from 1 to 65535"),
        ("flow.concurrency.adaptive", "1", "is a number, not a boolean"),
        ("flow.rate", "0", "choose a value from 0.01 to 1000000"),
        ("flow.rate", "-1.5", "choose a value from 0.01 to 1000000"),
        ("flow.rate", "inf", "choose a value from 0.01 to 1000000"),
        ("flow.rate", "9223372036854775807", "choose a value from 0.01 to 1000000"),
        ("flow.bulk_min_share", "1.5", "choose a value from 0 to 1"),
        ("flow.pause.after_failures", "0", "choose a value from 1 to 4294967295"),
        ("flow.pause.probe_initial", "'31s'", "the first wait is above the longest"),
        ("flow.pause.after_rejections", "0", "choose a value from 1 to 4294967295"),
        ("duplicates.capacity", "-1", "choose a value from 0 to"),
        ("admin.listen", "'localhost:9464'", "is not an IP address with a port"),
        ("admin.listen", "9464", "is a number, not a string"),
        ("log.level", "'INFO'", "choose \"error\", \"warn\", \"info\", \"debug\", \"trace\""),
        ("log.format", "'xml'", "choose \"auto\", \"text\", \"json\""),
        ("log.level", "2020-01-01", "is not an allowed value"),
    ] {
        assert_refused(key, value, words);
    }
    assert_refused("broker.queue", &format!("'{}'", "q".repeat(201)), "more than 200 bytes");
}

/// Every duration with its least and greatest value in milliseconds, and the other settings needed to reach them.
const DURATIONS: [(&str, u64, u64, &str); 15] = [
    ("broker.heartbeat", 1_000, 3_600_000, ""),
    ("broker.connect_timeout", 1, 60_000, ""),
    ("broker.confirm_timeout", 1_000, 60_000, ""),
    ("endpoint.connect_timeout", 1, 60_000, "endpoint.timeout = '10m'"),
    ("endpoint.timeout", 1, IN_FLIGHT, "endpoint.connect_timeout = '1ms'"),
    ("retry.initial", 1, IN_FLIGHT, "retry.max = '10m'"),
    ("retry.max", 1, IN_FLIGHT, "retry.initial = '1ms'"),
    ("retry.hold", 1, IN_FLIGHT, ""),
    ("retry.give_up_after", 1, YEAR, "retry.hold = '1ms'"),
    ("retry.retry_after_max", 1, IN_FLIGHT, ""),
    ("flow.pause.probe_initial", 1, YEAR, "flow.pause.probe_max = '1year'"),
    ("flow.pause.probe_max", 1, YEAR, "flow.pause.probe_initial = '1ms'"),
    ("duplicates.remember", 0, YEAR, ""),
    ("shutdown.grace", 1, YEAR, ""),
    ("retry.park", 100, 24 * 86_400_000, ""),
];

/// The time that a job may be in flight, in milliseconds.
const IN_FLIGHT: u64 = 600_000;
const YEAR: u64 = 31_557_600_000;

#[test]
fn durations_are_accepted_within_their_bounds_alone() {
    for (key, least, greatest, beside) in DURATIONS {
        let load = |millis: u64| {
            let value = format!("'{millis}ms'");
            let value = if key == "retry.park" { format!("[{value}]") } else { value };
            load(&format!("{key} = {value}\n{beside}"))
        };
        for within in [least, greatest] {
            assert!(load(within).is_ok(), "{key} = {within}ms: {:?}", load(within));
        }
        for beyond in least.checked_sub(1).into_iter().chain([greatest + 1]) {
            let faults = lines(&load(beyond).unwrap_err());
            assert_eq!(faults.len(), 1, "{key} = {beyond}ms: {faults:#?}");
            assert!(faults[0].contains("is out of bounds; choose a value from "), "{}", faults[0]);
        }
    }
}

#[test]
fn numbers_are_accepted_up_to_their_bounds() {
    for (key, values) in [
        ("broker.prefetch", &["1", "65535", "0x10"][..]),
        ("flow.concurrency.max", &["1", "65_535"]),
        ("flow.bulk_min_share", &["0", "0.0", "1"]),
        ("flow.rate", &["0.01", "50", "1e6"]),
        ("retry.multiplier", &["1", "1.0", "100"]),
        ("retry.jitter", &["0", "1.0"]),
        ("flow.pause.after_rejections", &["1", "4294967295"]),
        ("duplicates.capacity", &["0"]),
    ] {
        for value in values {
            let loaded = load(&format!("{key} = {value}"));
            assert!(loaded.is_ok(), "{key} = {value}: {loaded:?}");
        }
    }
}

#[test]
fn unknown_keys_name_the_nearest_known_one() {
    let faults = load_with(
        "[broker]\nquue = 'q'\n\n[endpont]\ntimeout = '5s'\n[flow.pause.extra]\n[\"lo\\ng\"]\nlevel = 'x'",
        &[("REVOKER_BROKER__URI", "amqp://x"), ("REVOKER_log__level", "info"), ("REVOKER", "no key")],
    )
    .unwrap_err();
    assert_eq!(
        lines(&faults),
        [
            "broker.quue (worker.toml:2): is an unknown key; the nearest known one is broker.queue",
            "endpont.timeout (worker.toml:5): is an unknown key; the nearest known one is endpoint.timeout",
            "flow.pause.extra (worker.toml:6): is an unknown key; the nearest known one is flow.pause.probe_max",
            "\"lo\\ng\".level (worker.toml:8): is an unknown key; the nearest known one is log.level",
            "REVOKER_log__level: is an unknown variable; the nearest known one is REVOKER_LOG__LEVEL",
            "REVOKER_BROKER__URI: is an unknown variable; the nearest known one is REVOKER_BROKER__URL",
        ]
    );
}

#[test]
fn one_load_reports_every_fault() {
    let faults = load_with(
        "[broker]\nprefetch = 0\nhartbeat = '1s'\n[retry]\njitter = 7\nhold = 'soon'\n[log]\nlevel = 3\n",
        &[("REVOKER_FLOW__RATE", "fast"), ("REVOKER_SHUTDOWN__GRACE", "")],
    )
    .unwrap_err();
    let lines = lines(&faults);
    for begin in [
        "broker.prefetch (worker.toml:2): ",
        "broker.hartbeat (worker.toml:3): ",
        "retry.jitter (worker.toml:5): ",
        "retry.hold (worker.toml:6): ",
        "log.level (worker.toml:8): ",
        "flow.rate (REVOKER_FLOW__RATE): is not a number; write it like 0.5",
        "shutdown.grace (REVOKER_SHUTDOWN__GRACE): is not a duration",
    ] {
        assert!(lines.iter().any(|line| line.starts_with(begin)), "{begin}: {lines:#?}");
    }
    assert_eq!(lines.len(), 7, "{lines:#?}");
    assert_eq!(faults.to_string().lines().count(), 7);
    let first = faults.iter().find(|fault| fault.key() == Some("flow.rate")).unwrap();
    assert_eq!(first.place(), Some("REVOKER_FLOW__RATE"));
}

#[test]
fn a_fault_of_one_setting_is_not_repeated_by_its_neighbours() {
    let faults = load("flow.concurrency.max = 'many'\nflow.concurrency.min = 60000").unwrap_err();
    assert_eq!(lines(&faults).len(), 1, "{faults}");
}

/// Kubernetes sets variables with our prefix for a service called `revoker`. They are one fault, which names the
/// necessary setting. Other variables keep their faults, and no value is shown.
#[test]
fn links_of_kubernetes_are_one_fault_that_names_the_switch() {
    let links = [
        ("REVOKER_PORT", "tcp://10.0.0.1:9464"),
        ("REVOKER_PORT_9464_TCP", "tcp://10.0.0.1:9464"),
        ("REVOKER_PORT_9464_TCP_ADDR", "10.0.0.1"),
        ("REVOKER_PORT_9464_TCP_PORT", "9464"),
        ("REVOKER_PORT_9464_TCP_PROTO", "tcp"),
        ("REVOKER_SERVICE_HOST", "10.0.0.1"),
        ("REVOKER_SERVICE_PORT", "9464"),
        ("REVOKER_SERVICE_PORT_METRICS", "9464"),
    ];
    let all = lines(&load_with("", &links).unwrap_err());
    assert_eq!(
        all,
        ["REVOKER_PORT: is one of 8 variables that Kubernetes sets as links to a service; set \
          enableServiceLinks: false in the spec of the pod, or give the service another name"]
    );
    let one = lines(&load_with("", &links[5..6]).unwrap_err());
    assert!(
        one[0].starts_with("REVOKER_SERVICE_HOST: is a variable that Kubernetes sets"),
        "{one:?}"
    );
    let mixed = [&links[..], &[("REVOKER_BROKER__URI", "amqp://x")]].concat();
    let mixed = lines(&load_with("", &mixed).unwrap_err());
    assert_eq!(mixed.len(), 2, "{mixed:#?}");
    assert!(mixed[0].starts_with("REVOKER_BROKER__URI: is an unknown variable"), "{mixed:#?}");
    let ours = lines(&load_with("", &[("REVOKER_PORT", "9464")]).unwrap_err());
    assert!(ours[0].starts_with("REVOKER_PORT: is an unknown variable"), "{ours:?}");
}

/// Lines that set existing keys to valid or invalid values, and variables after them.
fn near_file() -> impl Strategy<Value = String> {
    let key = prop::sample::select(vec![
        "broker.url",
        "broker.queue",
        "broker.prefetch",
        "broker.heartbeat",
        "endpoint.url",
        "endpoint.proxy",
        "endpoint.timeout",
        "retry.park",
        "retry.max",
        "flow.rate",
        "flow.concurrency.max",
        "credentials.client_secret",
        "credentials.clients.a",
        "log.level",
    ]);
    let value = prop::sample::select(vec![
        "'SECRET'",
        "'amqps://u:SECRET@rabbit'",
        "'https://u:SECRET@host/'",
        "'https://host/'",
        "'5s'",
        "['5s', '1m']",
        "['SECRET']",
        "0",
        "1",
        "7",
        "1e9",
        "{ client_secret = 'SECRET' }",
        "true",
    ]);
    proptest::collection::vec((key, value, any::<bool>()), 0..5).prop_map(|settings| {
        let (mut file, mut variables) = (String::new(), String::new());
        for (key, value, in_file) in settings {
            if in_file {
                let _ = writeln!(file, "{key} = {value}");
            } else {
                let name = key.to_ascii_uppercase().replace('.', "__");
                let value = value.trim_matches('\'');
                let _ = writeln!(variables, "REVOKER_{name}={value}");
            }
        }
        format!("{file}\n---\n{variables}")
    })
}

proptest! {
    // Each case is a whole load, so more cases would take long.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_file_keeps_to_the_invariants(text in prop_oneof!["(?s).{0,200}", near_file()]) {
        invariants::hold(text.as_bytes());
    }

    #[test]
    fn no_value_makes_the_reading_panic(
        key in prop::sample::select(vec![
            "BROKER__URL", "BROKER__HEARTBEAT", "ENDPOINT__URL", "ENDPOINT__PROXY", "RETRY__PARK",
            "FLOW__RATE", "RETRY__MULTIPLIER", "BROKER__PREFETCH", "ADMIN__LISTEN", "RETRY__HOLD",
        ]),
        value in "[ -~é]{0,40}|amqps?://[ -~]{0,40}|https?://[ -~]{0,40}|[0-9.]{1,30}(ms|s|years|e9)?",
    ) {
        let _ = load_with("", &[(&format!("REVOKER_{key}"), &value)]);
    }
}
