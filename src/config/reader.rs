//! Reads settings from layers, key by key.
//!
//! A reader never stops at a fault. It records the fault and returns a placeholder, so that one load reports all
//! faults. It also records the keys that are read. A key that is never read is unknown. We turned down serde's derived
//! readers, because they stop at the first fault and quote values.

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

/// The layers of a load, and the results so far.
pub(super) struct ConfigReader {
    /// A later layer overrides an earlier one.
    layers: Vec<ConfigLayer>,
    known: BTreeSet<ConfigKey>,
    faulty: BTreeSet<ConfigKey>,
    faults: Vec<ConfigFault>,
    warnings: Vec<String>,
    /// Whether a source could not be read. Then missing settings and contradictions are unknown, and such faults are
    /// not reported.
    partial: bool,
}

impl ConfigReader {
    /// A reader of layers. Later layers override earlier ones.
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

    /// Reads an optional setting. Returns `None` if it is absent or faulty.
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

    /// Reads a setting with a default. `placeholder` replaces a faulty one. The load fails anyway, so the placeholder
    /// is never used.
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

    /// Reads the path of a file, and checks its content with `check`.
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

    /// Requires a condition on several settings. If one of them is faulty by itself, no further fault is recorded.
    pub(super) fn require(&mut self, keys: &[&str], holds: bool, problem: impl Fn() -> Problem) {
        if let Some(key) = self.breaks(keys, holds) {
            self.refuse(&key, problem());
        }
    }

    /// The key to blame for a violated condition; `None` if it holds or one of the keys is faulty by itself.
    fn breaks(&self, keys: &[&str], holds: bool) -> Option<ConfigKey> {
        let keys: Vec<ConfigKey> = keys.iter().copied().map(ConfigKey::from).collect();
        if holds || self.partial || keys.iter().any(|key| self.faulty.contains(key)) {
            return None;
        }
        // The fault names a key that the operator has set, not a default that conflicts with it.
        let chosen =
            |key: &&ConfigKey| self.find(key).is_some_and(|e| e.origin != ValueOrigin::Default);
        keys.iter().find(chosen).or(keys.first()).cloned()
    }

    /// Records a fault of a key, whether it is set or not.
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

    /// Records a warning about one setting, in the form of a fault.
    pub(super) fn odd(&mut self, key: impl Into<ConfigKey>, problem: Problem) {
        let fault = self.fault(&key.into(), problem);
        self.warnings.push(fault.to_string());
    }

    /// Records a warning about several settings, unless one of them is faulty.
    pub(super) fn expect(&mut self, keys: &[&str], holds: bool, problem: impl Fn() -> Problem) {
        if let Some(key) = self.breaks(keys, holds) {
            self.odd(&key, problem());
        }
    }

    /// Records a warning about suspicious characters in a text.
    pub(super) fn look_for_strays(&mut self, key: impl Into<ConfigKey>, text: &str) {
        if let Some(stray) = Stray::of(text).filter(|stray| !stray.is_wrong()) {
            self.odd(key, Problem::new(stray.to_string(), stray.remedy()));
        }
    }

    /// Whether a source could not be read, so that missing settings are unknown.
    pub(super) const fn is_partial(&self) -> bool {
        self.partial
    }

    /// Whether a fault of this key, or of one below it, was recorded.
    pub(super) fn has_fault_within(&self, key: &ConfigKey) -> bool {
        self.faulty.iter().any(|faulty| faulty.is_within(key))
    }

    /// Marks a key as known without reading it.
    pub(super) fn knows(&mut self, key: impl Into<ConfigKey>) {
        self.known.insert(key.into());
    }

    /// The entry of the last layer that sets a key.
    pub(super) fn find(&self, key: &ConfigKey) -> Option<&LayerEntry> {
        self.layers.iter().rev().find_map(|layer| layer.entries.get(key))
    }

    /// The layers, the last one first.
    pub(super) fn layers(&self) -> impl Iterator<Item = &ConfigLayer> {
        self.layers.iter().rev()
    }

    /// All keys that were read.
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

/// Turns a fault of a file into a fault of the key that names it.
pub(super) fn of_file(problem: Problem) -> Problem {
    Problem { what: format!("names a file that {}", problem.what), ..problem }
}
