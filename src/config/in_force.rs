//! What is in force: each setting with its value and its origin, for people. Secrets are hidden.

use std::{ffi::OsString, path::PathBuf};

use serde::Serialize;
use serde_json::Value;

use super::{
    Config, ConfigFaults, Needs, catalogue::Catalogue, clients::TABLE, file, form::Form,
    key::ConfigKey, layer::ValueOrigin, reader::ConfigReader, shown,
};

/// All settings, and what is wrong with them.
#[derive(Debug, Clone)]
pub struct SettingsInForce {
    /// In the order of the defaults.
    pub settings: Vec<SettingInForce>,
    /// What is wrong; `None` if nothing is.
    pub faults: Option<ConfigFaults>,
    /// One sentence each.
    pub warnings: Vec<String>,
}

/// One setting.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SettingInForce {
    /// As TOML writes it: `broker.url`.
    pub key: String,
    /// `None` if it is not set, or faulty. A secret is hidden.
    pub value: Option<Value>,
    /// Whether its value is faulty, and so not shown: it may be a secret in the wrong place.
    pub faulty: bool,
    #[serde(flatten)]
    /// Where the value comes from.
    pub origin: SettingOrigin,
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "origin", rename_all = "snake_case")]
pub enum SettingOrigin {
    /// It is not set, and has no default.
    None,
    /// The built-in default.
    Default,
    /// A configuration file.
    File {
        /// Its path, on one line.
        file: String,
        /// Counted from 1.
        line: usize,
    },
    /// An environment variable.
    Variable {
        /// Its name.
        variable: String,
    },
    /// Another setting or the profile.
    Derived {
        /// Its key, or "the profile".
        from: String,
    },
}

impl SettingInForce {
    /// Whether a file or a variable sets it.
    #[must_use]
    pub const fn is_set(&self) -> bool {
        matches!(self.origin, SettingOrigin::File { .. } | SettingOrigin::Variable { .. })
    }
}

impl SettingsInForce {
    /// Reads all settings as [`Config::load`] does, and goes on at faults. Of secrets, only the broker's URL is read.
    pub fn load<N, V>(files: &[PathBuf], environment: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: Into<OsString>,
        V: Into<OsString>,
    {
        let mut reader = super::reader(files, environment);
        Config::read(&mut reader, Needs::NONE);
        let settings = keys(&reader).into_iter().map(|(key, form)| in_force(&reader, &key, &form));
        let settings = settings.collect();
        let (faults, warnings) = reader.finish();
        let faults = (!faults.is_empty()).then(|| ConfigFaults::new(faults));
        Self { settings, faults, warnings }
    }
}

/// The keys with their forms, in the order of the defaults. Those of clients are in the place of their table.
fn keys(reader: &ConfigReader) -> Vec<(ConfigKey, Form)> {
    let documentation = Catalogue::new().documentation;
    let place = |key: &ConfigKey| {
        let clients = ConfigKey::from(TABLE);
        let same = |(other, _): &(ConfigKey, String)| {
            other == key || key.is_within(&clients) && other.is_within(&clients)
        };
        documentation.keys.iter().position(same).unwrap_or(usize::MAX)
    };
    let known =
        reader.known().iter().filter(|(_, form)| !matches!(form, Form::Table | Form::Entries));
    let mut keys: Vec<_> = known.map(|(key, form)| (key.clone(), form.clone())).collect();
    keys.sort_by_key(|(key, _)| place(key));
    keys
}

fn in_force(reader: &ConfigReader, key: &ConfigKey, form: &Form) -> SettingInForce {
    let found = reader.find(key);
    let faulty = reader.is_faulty(key) && found.is_some();
    let (value, origin) = match (reader.derived(key), found) {
        (Some(derived), _) => match &derived.value {
            Some(value) => {
                (Some(typed(form, value)), SettingOrigin::Derived { from: derived.from.clone() })
            }
            None => (None, SettingOrigin::None),
        },
        (None, Some(entry)) => (Some(shown::json(form, &entry.value)), origin(&entry.origin)),
        (None, None) => (None, SettingOrigin::None),
    };
    SettingInForce { key: key.to_string(), value: value.filter(|_| !faulty), faulty, origin }
}

fn typed(form: &Form, text: &str) -> Value {
    match form {
        Form::Count(_) => serde_json::from_str(text).unwrap_or_else(|_| text.into()),
        _ => text.into(),
    }
}

fn origin(origin: &ValueOrigin) -> SettingOrigin {
    match origin {
        ValueOrigin::Default => SettingOrigin::Default,
        ValueOrigin::File(path, line) => {
            SettingOrigin::File { file: file::shown(path), line: *line }
        }
        ValueOrigin::Variable(name) => SettingOrigin::Variable { variable: name.clone() },
    }
}
