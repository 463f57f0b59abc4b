//! Every setting with its form, its default and its documentation.
//!
//! The forms come from a load of the defaults alone, which reads every key. So the catalogue has the keys that a load
//! knows, and no others.

use super::{
    Config, DEFAULTS, Needs, clients::TABLE, documentation::Documentation, form::Form,
    key::ConfigKey, layer::ConfigLayer, reader::ConfigReader, value::ConfigValue,
};

/// The client of the examples in the defaults. It stands for every client.
const ANY_CLIENT: &str = "another-merchant";

/// Every setting and section.
pub(super) struct Catalogue {
    /// In the order of the keys, so that a table comes before its entries.
    pub(super) settings: Vec<Setting>,
    pub(super) documentation: Documentation,
}

pub(super) struct Setting {
    pub(super) key: ConfigKey,
    pub(super) form: Form,
    pub(super) default: Option<ConfigValue>,
}

impl Catalogue {
    pub(super) fn new() -> Self {
        // A client's keys are known only where a client is.
        let client = ConfigKey::from(TABLE).child(ANY_CLIENT);
        let client = ConfigLayer::defaults(&format!("{client} = {{}}"));
        let mut reader = ConfigReader::new([ConfigLayer::defaults(DEFAULTS), client]);
        Config::read(&mut reader, Needs::NONE);
        let forms: Vec<(ConfigKey, Form)> =
            reader.known().iter().map(|(key, form)| (key.clone(), form.clone())).collect();
        let mut defaults = ConfigLayer::defaults(DEFAULTS).entries;
        let setting = |(key, form): (ConfigKey, Form)| {
            let default = defaults.remove(&key).map(|entry| entry.value);
            Setting { key, form, default }
        };
        Self {
            settings: forms.into_iter().map(setting).collect(),
            documentation: Documentation::read(DEFAULTS),
        }
    }
}
