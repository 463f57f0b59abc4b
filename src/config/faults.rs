//! The faults of a configuration, collected in one pass.

use std::fmt;

/// A fault of a value and its remedy, without the place. It never repeats the value: a secret in the wrong key must not
/// reach a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    /// Continues a sentence that began with the key: "is not a duration".
    pub(super) what: String,
    /// An instruction: "write it with a unit".
    pub(super) remedy: String,
}

impl Problem {
    pub(super) fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what: what.into(), remedy: remedy.into() }
    }
}

/// One fault of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ConfigFault {
    key: Option<String>,
    place: Option<String>,
    what: String,
    remedy: String,
}

impl ConfigFault {
    pub(super) fn new(key: Option<String>, place: Option<String>, problem: Problem) -> Self {
        Self { key, place, what: problem.what, remedy: problem.remedy }
    }
}

#[cfg(test)]
impl ConfigFault {
    /// Returns the key, for instance `broker.url`, if the fault concerns one key.
    pub(super) fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// Returns the place of the value: `file:line`, or an environment variable.
    pub(super) fn place(&self) -> Option<&str> {
        self.place.as_deref()
    }
}

impl fmt::Display for ConfigFault {
    /// Writes one line: key, place, fault, remedy.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.key, &self.place) {
            (Some(key), Some(place)) => write!(f, "{key} ({place}): ")?,
            (Some(only), None) | (None, Some(only)) => write!(f, "{only}: ")?,
            (None, None) => {}
        }
        write!(f, "{}; {}", self.what, self.remedy)
    }
}

/// All faults of a configuration. It is displayed as one line per fault, and contains no value of any key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFaults(Vec<ConfigFault>);

impl ConfigFaults {
    pub(super) const fn new(faults: Vec<ConfigFault>) -> Self {
        Self(faults)
    }

    /// Returns the faults in the order of the sections. Unknown keys come last.
    #[cfg(test)]
    pub(super) fn iter(&self) -> impl Iterator<Item = &ConfigFault> {
        self.0.iter()
    }
}

impl fmt::Display for ConfigFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            fault.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigFaults {}
