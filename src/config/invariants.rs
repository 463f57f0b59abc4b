//! The invariants of every configuration, valid or not, for property tests and for `fuzz/`.

use std::{collections::BTreeSet, path::Path, sync::Arc};

use super::{
    key::ConfigKey,
    layer::{LayerEntry, ValueOrigin},
    value::ConfigValue,
    *,
};
use crate::broker::Queues;

/// The placeholder for a secret in an input.
const PLACE: &str = "SECRET";

/// The secret that replaces it. It occurs in no text of ours, and URL normalization does not change it.
const CANARY: &str = "zqcanary7wvxk";

/// Separates the file from the environment variables.
const DIVIDER: &str = "\n---\n";

/// A client, because the input may have none.
const CLIENT: &str =
    "credentials.client_id = 'client'\ncredentials.client_secret = 'of the client'";

/// The longest queue name in bytes (AMQP 0-9-1).
const MAX_NAME_BYTES: usize = 255;

/// Loads a configuration, and compares the result with the input.
///
/// # Panics
///
/// If an invariant is violated.
pub fn hold(input: &[u8]) {
    let input = String::from_utf8_lossy(input).replace(PLACE, CANARY);
    // Named files are opened, and reading a device may never end.
    if ["/dev", "/proc", "/sys"].iter().any(|devices| input.contains(devices)) {
        return;
    }
    let (file, variables) = input.split_once(DIVIDER).unwrap_or((&input, ""));
    let file_name: Arc<Path> = Arc::from(Path::new("worker.toml"));
    let variables = variables.lines().filter_map(|line| line.split_once('='));
    let layers = [
        ConfigLayer::defaults(DEFAULTS),
        ConfigLayer::defaults(CLIENT),
        ConfigLayer::parse(file, &|line| ValueOrigin::File(Arc::clone(&file_name), line)),
        ConfigLayer::environment(variables.map(|(name, value)| (name.into(), value.into()))),
    ];
    // Keys are shown in faults, so an input with the canary as a key is skipped.
    let mut keys = layers.iter().flat_map(|layer| layer.entries.keys());
    if keys.any(|key| key.to_string().to_lowercase().contains(CANARY)) {
        return;
    }
    let only_in_secrets = layers.iter().flat_map(|layer| &layer.entries).all(holds_it_rightly);

    let mut reader = ConfigReader::new(layers);
    let config = Config::read(&mut reader, Needs::ALL);
    let (faults, warnings) = reader.finish();
    for line in faults.iter().map(ToString::to_string).chain(warnings) {
        assert!(!line.to_lowercase().contains(CANARY), "a value is shown: {line}");
        assert!(!line.chars().any(char::is_control), "more than a line: {line:?}");
    }
    assert!(!format!("{faults:?}").to_lowercase().contains(CANARY), "a value is shown");
    if faults.is_empty() {
        hold_of_sound(&config);
        let shown = format!("{config:?}").to_lowercase();
        assert!(!only_in_secrets || !shown.contains(CANARY), "a secret is shown: {shown}");
    }
}

/// Keys whose value is a secret, all of it or a part.
pub(super) fn is_secret(key: &str) -> bool {
    ["broker.url", "endpoint.proxy"].contains(&key) || key.ends_with("client_secret")
}

/// Whether an entry contains the canary only in the value of a secret.
fn holds_it_rightly((key, entry): (&ConfigKey, &LayerEntry)) -> bool {
    is_secret(&key.to_string()) || !holds_it(&entry.value)
}

fn holds_it(value: &ConfigValue) -> bool {
    match value {
        ConfigValue::Raw(text) | ConfigValue::Text(text) => text.to_lowercase().contains(CANARY),
        ConfigValue::List(items) => items.iter().any(holds_it),
        ConfigValue::Integer(_)
        | ConfigValue::Float(_)
        | ConfigValue::Flag(_)
        | ConfigValue::Table
        | ConfigValue::Other(_) => false,
    }
}

/// Checks the guarantees that other modules expect of a valid configuration.
fn hold_of_sound(config: &Config) {
    let flow = &config.flow;
    assert!(1 <= flow.concurrency_min && flow.concurrency_min <= flow.concurrency_max);
    assert!(flow.rate.is_none_or(|rate| rate.is_finite() && rate > 0.0));
    assert!((0.0..=1.0).contains(&flow.bulk_min_share));
    assert!(flow.pause.after_failures > 0 && flow.pause.after_rejections != Some(0));
    assert!(Duration::ZERO < flow.pause.probe_initial);
    assert!(flow.pause.probe_initial <= flow.pause.probe_max);
    assert!(config.broker.prefetch > 0 && flow.prefetch(config.broker.prefetch) > 0);

    let retry = &config.pipeline.policy.retry;
    assert!(retry.hold <= retry.give_up_after);
    let steps = [retry.hold, retry.schedule.max, retry.retry_after_max, config.endpoint.timeout];
    assert!(steps.iter().all(|time| *time <= pipeline::MAX_IN_FLIGHT), "{steps:?}");
    assert!(!retry.park.is_empty() && retry.park.is_sorted_by(|one, next| one < next));
    assert_eq!(retry.park, config.broker.park);
    let mut waits = retry.schedule.start();
    assert!((0..50).all(|_| waits.next(1.0) <= retry.schedule.max));

    let queues = Queues::new(&config.broker.queue, &retry.park).all();
    let names: Vec<&str> = queues.iter().map(|(name, _)| name.as_str()).collect();
    assert!(names.iter().all(|name| name.len() <= MAX_NAME_BYTES), "{names:?}");
    let different: BTreeSet<_> = names.iter().collect();
    assert_eq!(different.len(), names.len(), "two queues of one name: {names:?}");

    let presumes = config.pipeline.policy.presume_revoked_after_ambiguity;
    assert!(!presumes || config.broker.history_key_file.is_some(), "presumes on a stranger's word");
    assert!(!config.broker.urls.is_empty());
    assert!(config.endpoint.connect_timeout <= config.endpoint.timeout);
    assert_eq!(config.endpoint.max_concurrency, flow.concurrency_max);
    assert!(matches!(config.endpoint.url.scheme(), "http" | "https"));
    assert!(config.endpoint.url.password().is_none() && config.endpoint.url.username().is_empty());
}
