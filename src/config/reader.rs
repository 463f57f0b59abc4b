//! Reads settings from layers, key by key.
//!
//! A reader never stops at a fault. It records the fault and returns a placeholder, so that one load reports all
//! faults. It also records the keys that are read. A key that is never read is unknown. We turned down serde's derived
//! readers, because they stop at the first fault and quote values.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use crate::domain::Stray;

use super::{
    faults::{ConfigFault, Problem},
    file,
    form::{Form, Kind},
    key::ConfigKey,
    layer::{ConfigLayer, LayerEntry, ValueOrigin},
    unknown, value,
};

/// A value in force that no layer sets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Derived {
    /// As it may be shown; `None` if the setting counts as not set.
    pub(super) value: Option<String>,
    /// What it comes from: another setting, or the profile.
    pub(super) from: String,
}

/// The layers of a load, and the results so far.
pub(super) struct ConfigReader {
    /// A later layer overrides an earlier one.
    layers: Vec<ConfigLayer>,
    /// The keys that were read, each with the form of its value.
    known: BTreeMap<ConfigKey, Form>,
    faulty: BTreeSet<ConfigKey>,
    /// Settings whose value in force is not the one that a layer sets.
    derived: BTreeMap<ConfigKey, Derived>,
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
            known: BTreeMap::new(),
            faulty: BTreeSet::new(),
            derived: BTreeMap::new(),
            partial: !faults.is_empty(),
            faults,
            warnings: Vec::new(),
        }
    }

    /// Reads an optional setting. Returns `None` if it is absent or faulty.
    #[allow(clippy::needless_pass_by_value, reason = "a kind is made for one reading")]
    pub(super) fn optional<T: 'static>(
        &mut self,
        key: impl Into<ConfigKey>,
        kind: Kind<T>,
    ) -> Option<T> {
        let key = key.into();
        self.knows(&key, kind.form().clone());
        let parsed = kind.parse(&self.find(&key)?.value);
        parsed.map_err(|problem| self.refuse(&key, problem)).ok()
    }

    /// Reads a setting with a default. `placeholder` replaces a faulty one. The load fails anyway, so the placeholder
    /// is never used.
    pub(super) fn required_or<T: 'static>(
        &mut self,
        key: &str,
        kind: Kind<T>,
        placeholder: T,
    ) -> T {
        let value = self.optional(key, kind);
        self.require(&[key], value.is_some(), || Problem::new("is missing", "set it"));
        value.unwrap_or(placeholder)
    }

    /// [`ConfigReader::required_or`] with the type's own default as the placeholder.
    pub(super) fn required<T: Default + 'static>(&mut self, key: &str, kind: Kind<T>) -> T {
        self.required_or(key, kind, T::default())
    }

    /// Reads the path of a file, and checks its content with `check`.
    pub(super) fn file(
        &mut self,
        key: &str,
        check: impl Fn(&[u8]) -> Result<(), Problem>,
    ) -> Option<PathBuf> {
        let path = self.optional(key, value::path())?;
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

    /// Marks a key as known, with the form of its value, without reading it.
    pub(super) fn knows(&mut self, key: impl Into<ConfigKey>, form: Form) {
        self.known.insert(key.into(), form);
    }

    /// The entry of the last layer that sets a key.
    pub(super) fn find(&self, key: &ConfigKey) -> Option<&LayerEntry> {
        self.layers.iter().rev().find_map(|layer| layer.entries.get(key))
    }

    /// Records that a setting has a value which no layer sets, for people who want to see what is in force.
    pub(super) fn derive(
        &mut self,
        key: impl Into<ConfigKey>,
        value: Option<String>,
        from: impl Into<String>,
    ) {
        self.derived.insert(key.into(), Derived { value, from: from.into() });
    }

    /// The value in force of a setting, if no layer sets it.
    pub(super) fn derived(&self, key: &ConfigKey) -> Option<&Derived> {
        self.derived.get(key)
    }

    /// Whether a fault of this key was recorded.
    pub(super) fn is_faulty(&self, key: &ConfigKey) -> bool {
        self.faulty.contains(key)
    }

    /// The layers, the last one first.
    pub(super) fn layers(&self) -> impl Iterator<Item = &ConfigLayer> {
        self.layers.iter().rev()
    }

    /// All keys that were read, each with its form.
    pub(super) const fn known(&self) -> &BTreeMap<ConfigKey, Form> {
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
