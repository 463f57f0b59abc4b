//! What is wrong with a configuration, all of it at once.

use std::fmt;

/// What is wrong with a value and what to do, without its place. Never repeats the value: whoever pastes
/// a secret into the wrong key must not find it in a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    /// Continues a sentence that began with the key: "is not a duration".
    pub(super) what: String,
    /// An order: "write it with a unit".
    pub(super) remedy: String,
}

impl Problem {
    pub(super) fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what: what.into(), remedy: remedy.into() }
    }
}

/// One thing that is wrong.
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
    /// Returns the key, for instance `broker.url`, if the fault is of one key.
    pub(super) fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// Returns where the value is set: `file:line`, or an environment variable.
    pub(super) fn place(&self) -> Option<&str> {
        self.place.as_deref()
    }
}

impl fmt::Display for ConfigFault {
    /// One line: key, place, what is wrong, what to do.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.key, &self.place) {
            (Some(key), Some(place)) => write!(f, "{key} ({place}): ")?,
            (Some(only), None) | (None, Some(only)) => write!(f, "{only}: ")?,
            (None, None) => {}
        }
        write!(f, "{}; {}", self.what, self.remedy)
    }
}

/// Everything that is wrong with a configuration. Shown as one line per fault; holds no value of any
/// key.
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
