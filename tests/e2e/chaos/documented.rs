//! The settings as documented in `config/default.toml`, so that tests also cover new keys.

use toml::{Table, Value};

/// The file that documents every key.
const DEFAULTS: &str = include_str!("../../../config/default.toml");

/// A documented setting.
#[derive(Debug, Clone)]
pub struct Setting {
    /// The key, such as `broker.url`.
    pub key: String,
    /// Its default, or its example if it has none.
    pub value: Value,
    /// Whether it is in force as documented.
    pub is_default: bool,
}

impl Setting {
    /// Every setting, those that are commented out among them.
    pub fn all() -> Vec<Self> {
        let defaults = settings(DEFAULTS);
        let is_default = |key: &str| defaults.iter().any(|(default, _)| default == key);
        settings(&uncommented())
            .into_iter()
            .map(|(key, value)| Self { is_default: is_default(&key), key, value })
            .collect()
    }

    /// The line of a file that gives it another value.
    pub fn line(&self, value: &Value) -> String {
        format!("{} = {value}\n", self.key)
    }

    /// Whether it is a duration, or a list of them.
    pub fn is_duration(&self) -> bool {
        let is_one = |value: &Value| value.as_str().is_some_and(humantime_like);
        match &self.value {
            Value::Array(items) => items.iter().all(is_one),
            value => is_one(value),
        }
    }
}

/// Digits and then letters, as every duration in the file is written.
fn humantime_like(text: &str) -> bool {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    unit.len() < text.len() && matches!(unit, "ms" | "s" | "m" | "h" | "d")
}

fn settings(toml: &str) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    flatten("", toml.parse::<Table>().expect("TOML"), &mut found);
    found
}

fn flatten(above: &str, table: Table, found: &mut Vec<(String, Value)>) {
    for (name, value) in table {
        let key = if above.is_empty() { name } else { format!("{above}.{name}") };
        match value {
            Value::Table(table) => flatten(&key, table, found),
            value => found.push((key, value)),
        }
    }
}

/// The file with its commented settings uncommented.
fn uncommented() -> String {
    let is_setting = |line: &&str| {
        line.split_once(" = ").is_some_and(|(name, _)| {
            name.chars().all(|c| c.is_ascii_lowercase() || matches!(c, '_' | '-' | '.'))
        })
    };
    let line = |line| str::strip_prefix(line, "# ").filter(is_setting).unwrap_or(line);
    DEFAULTS.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// The parser finds settings with a default, without one, and of every level.
#[test]
fn every_setting_is_found() {
    let all = Setting::all();
    for (key, is_default) in [
        ("broker.url", true),
        ("broker.url_file", false),
        ("flow.pause.after_rejections", false),
        ("retry.park", true),
        ("credentials.clients.another-merchant.client_secret", false),
    ] {
        let setting = all.iter().find(|setting| setting.key == key);
        assert_eq!(setting.map(|setting| setting.is_default), Some(is_default), "{key}");
    }
    let durations =
        |key: &str| all.iter().find(|setting| setting.key == key).unwrap().is_duration();
    assert!(durations("retry.hold") && durations("retry.park"));
    assert!(!durations("broker.url") && !durations("broker.prefetch"));
}
