//! Reads settings out of layers, key by key.
//!
//! A reader never stops at a fault: it records it and returns a placeholder, so that one load reports
//! everything. It also remembers which keys it was asked for; a key that nobody asked for is unknown.
//! Deriving the reading with serde was turned down: it stops at the first fault and quotes values.

use std::{collections::BTreeSet, path::PathBuf};

use crate::domain::Stray;

use super::{
    faults::{ConfigFault, Problem},
    file,
    key::ConfigKey,
    layer::{ConfigLayer, LayerEntry, ValueOrigin},
    unknown,
    value::{self, ConfigValue},
};

/// The layers of a load, and what has come of reading them so far.
pub(super) struct ConfigReader {
    /// The later ones win.
    layers: Vec<ConfigLayer>,
    known: BTreeSet<ConfigKey>,
    faulty: BTreeSet<ConfigKey>,
    faults: Vec<ConfigFault>,
    warnings: Vec<String>,
    /// Whether a source could not be read. Nobody can say then what is missing or how settings go
    /// together, so no such fault is reported.
    partial: bool,
}

impl ConfigReader {
    /// A reader of layers, the later ones winning.
    pub(super) fn new(layers: impl IntoIterator<Item = ConfigLayer>) -> Self {
        let mut layers: Vec<ConfigLayer> = layers.into_iter().collect();
        let faults: Vec<ConfigFault> =
            layers.iter_mut().flat_map(|layer| std::mem::take(&mut layer.faults)).collect();
        Self {
            layers,
            known: BTreeSet::new(),
            faulty: BTreeSet::new(),
            partial: !faults.is_empty(),
            faults,
            warnings: Vec::new(),
        }
    }

    /// A setting that may be left out. `None` as well if it is at fault.
    pub(super) fn optional<T>(
        &mut self,
        key: impl Into<ConfigKey>,
        parse: impl Fn(&ConfigValue) -> Result<T, Problem>,
    ) -> Option<T> {
        let key = key.into();
        self.known.insert(key.clone());
        let parsed = parse(&self.find(&key)?.value);
        parsed.map_err(|problem| self.refuse(&key, problem)).ok()
    }

    /// A setting that has a default. `placeholder` takes the place of a faulty one; nobody will see it,
    /// for the load fails.
    pub(super) fn required_or<T>(
        &mut self,
        key: &str,
        parse: impl Fn(&ConfigValue) -> Result<T, Problem>,
        placeholder: T,
    ) -> T {
        let value = self.optional(key, parse);
        self.require(&[key], value.is_some(), || Problem::new("is missing", "set it"));
        value.unwrap_or(placeholder)
    }

    /// [`ConfigReader::required_or`] with the type's own default as the placeholder.
    pub(super) fn required<T: Default>(
        &mut self,
        key: &str,
        parse: impl Fn(&ConfigValue) -> Result<T, Problem>,
    ) -> T {
        self.required_or(key, parse, T::default())
    }

    /// The path of a file whose content passes `check`.
    pub(super) fn file(
        &mut self,
        key: &str,
        check: impl Fn(&[u8]) -> Result<(), Problem>,
    ) -> Option<PathBuf> {
        let path = self.optional(key, value::path)?;
        match file::read(&path).and_then(|content| check(&content)) {
            Ok(()) => Some(path),
            Err(problem) => {
                self.refuse(key, of_file(problem));
                None
            }
        }
    }

    /// Demands something of settings taken together. Nothing is said where one of them is at fault by
    /// itself: the demand would only repeat it.
    pub(super) fn require(&mut self, keys: &[&str], holds: bool, problem: impl Fn() -> Problem) {
        if let Some(key) = self.breaks(keys, holds) {
            self.refuse(&key, problem());
        }
    }

    /// The key that breaks a demand on some keys, if it is broken and none of them is at fault by itself.
    fn breaks(&self, keys: &[&str], holds: bool) -> Option<ConfigKey> {
        let keys: Vec<ConfigKey> = keys.iter().copied().map(ConfigKey::from).collect();
        if holds || self.partial || keys.iter().any(|key| self.faulty.contains(key)) {
            return None;
        }
        // The one that somebody has set is the one to look at, not the default that it collides with.
        let chosen =
            |key: &&ConfigKey| self.find(key).is_some_and(|e| e.origin != ValueOrigin::Default);
        keys.iter().find(chosen).or(keys.first()).cloned()
    }

    /// Notes a fault of a key that may or may not be set.
    pub(super) fn refuse(&mut self, key: impl Into<ConfigKey>, problem: Problem) {
        let key = key.into();
        let fault = self.fault(&key, problem);
        self.faults.push(fault);
        self.faulty.insert(key);
    }

    fn fault(&self, key: &ConfigKey, problem: Problem) -> ConfigFault {
        let set = self.find(key).filter(|entry| entry.origin != ValueOrigin::Default);
        let place = set.map(|entry| entry.origin.to_string());
        ConfigFault::new(Some(key.to_string()), place, problem)
    }

    /// Records a warning about a valid but unusual setting.
    pub(super) fn warn(&mut self, warning: impl Into<String>) {
        self.warnings.push(warning.into());
    }

    /// Notes that a setting works but is odd, in the words of a fault.
    pub(super) fn odd(&mut self, key: impl Into<ConfigKey>, problem: Problem) {
        let fault = self.fault(&key.into(), problem);
        self.warnings.push(fault.to_string());
    }

    /// Notes that settings taken together are odd. Nothing is said where one of them is at fault.
    pub(super) fn expect(&mut self, keys: &[&str], holds: bool, problem: impl Fn() -> Problem) {
        if let Some(key) = self.breaks(keys, holds) {
            self.odd(&key, problem());
        }
    }

    /// Notes characters that do not belong to a text, where these are merely odd.
    pub(super) fn look_for_strays(&mut self, key: impl Into<ConfigKey>, text: &str) {
        if let Some(stray) = Stray::of(text).filter(|stray| !stray.is_wrong()) {
            self.odd(key, Problem::new(stray.to_string(), stray.remedy()));
        }
    }

    /// Whether a source could not be read, so that nothing can be said of what is absent.
    pub(super) const fn is_partial(&self) -> bool {
        self.partial
    }

    /// Whether a fault of this key or of one below it was noted.
    pub(super) fn has_fault_within(&self, key: &ConfigKey) -> bool {
        self.faulty.iter().any(|faulty| faulty.is_within(key))
    }

    /// Takes a key for known without reading it.
    pub(super) fn knows(&mut self, key: impl Into<ConfigKey>) {
        self.known.insert(key.into());
    }

    /// What the last layer that sets a key says.
    pub(super) fn find(&self, key: &ConfigKey) -> Option<&LayerEntry> {
        self.layers.iter().rev().find_map(|layer| layer.entries.get(key))
    }

    /// The layers, the winning ones first.
    pub(super) fn layers(&self) -> impl Iterator<Item = &ConfigLayer> {
        self.layers.iter().rev()
    }

    /// All keys that were asked for.
    #[cfg(test)]
    pub(super) const fn known(&self) -> &BTreeSet<ConfigKey> {
        &self.known
    }

    /// Ends the reading: adds the unknown keys to the faults, and returns faults and warnings.
    pub(super) fn finish(mut self) -> (Vec<ConfigFault>, Vec<String>) {
        for layer in &self.layers {
            self.faults.extend(unknown::faults(layer, &self.known, &self.faulty));
        }
        (self.faults, self.warnings)
    }
}

/// What is wrong with a file, said of the key that names it.
pub(super) fn of_file(problem: Problem) -> Problem {
    Problem { what: format!("names a file that {}", problem.what), ..problem }
}
