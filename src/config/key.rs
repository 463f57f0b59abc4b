//! The name of one setting.

use std::fmt;

/// The prefix of the environment variables.
pub(super) const PREFIX: &str = "REVOKER_";

/// Separates two levels of a key in a variable's name. A single underscore is not enough, because keys contain
/// underscores.
const LEVEL: &str = "__";

/// The key of a setting, such as `broker.url`.
///
/// Kept as segments, because a client id is a segment too and may contain dots.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ConfigKey(Vec<String>);

impl ConfigKey {
    /// The top of a document.
    pub(super) const fn root() -> Self {
        Self(Vec::new())
    }

    /// The key that an environment variable sets; `None` for a variable without our prefix.
    ///
    /// A name that is not in upper case sets no key. It is returned as an unknown key of one segment, so
    /// that it is reported.
    pub(super) fn from_variable(name: &str) -> Option<Self> {
        let path = name.strip_prefix(PREFIX)?;
        let key = Self(path.split(LEVEL).map(str::to_ascii_lowercase).collect());
        Some(if key.variable() == name { key } else { Self(vec![name.to_owned()]) })
    }

    /// The name of the variable that sets this key.
    pub(super) fn variable(&self) -> String {
        format!("{PREFIX}{}", self.0.join(LEVEL).to_ascii_uppercase())
    }

    /// The key one level below.
    pub(super) fn child(&self, segment: &str) -> Self {
        let mut segments = self.0.clone();
        segments.push(segment.to_owned());
        Self(segments)
    }

    /// The key that names the file with this key's value: `broker.url_file` for `broker.url`.
    pub(super) fn in_file(&self) -> Self {
        let mut segments = self.0.clone();
        if let Some(last) = segments.last_mut() {
            last.push_str("_file");
        }
        Self(segments)
    }

    /// Its parts, outermost first.
    pub(super) fn segments(&self) -> &[String] {
        &self.0
    }

    /// Its parts but the last.
    pub(super) fn section(&self) -> &[String] {
        self.0.split_last().map_or(&[], |(_, above)| above)
    }

    /// Whether it is `above` or lies below it.
    pub(super) fn is_within(&self, above: &Self) -> bool {
        self.0.starts_with(&above.0)
    }
}

impl From<&str> for ConfigKey {
    fn from(path: &str) -> Self {
        Self(path.split('.').map(str::to_owned).collect())
    }
}

impl From<&Self> for ConfigKey {
    fn from(key: &Self) -> Self {
        key.clone()
    }
}

impl fmt::Display for ConfigKey {
    /// Writes the key in TOML syntax, with control characters escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (level, segment) in self.0.iter().enumerate() {
            if level > 0 {
                f.write_str(".")?;
            }
            let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
            if !segment.is_empty() && segment.chars().all(bare) {
                f.write_str(segment)?;
            } else {
                write!(f, "{segment:?}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_and_its_variable_name_each_other() {
        for (key, variable) in [
            ("broker.url", "REVOKER_BROKER__URL"),
            ("broker.ca_file", "REVOKER_BROKER__CA_FILE"),
            ("flow.pause.after_failures", "REVOKER_FLOW__PAUSE__AFTER_FAILURES"),
        ] {
            assert_eq!(ConfigKey::from(key).variable(), variable);
            assert_eq!(ConfigKey::from_variable(variable), Some(ConfigKey::from(key)));
        }
    }

    #[test]
    fn only_upper_case_names_set_keys() {
        assert_eq!(ConfigKey::from_variable("PATH"), None);
        assert_eq!(ConfigKey::from_variable("revoker_broker__url"), None);
        assert_ne!(
            ConfigKey::from_variable("REVOKER_broker__url"),
            Some(ConfigKey::from("broker.url"))
        );
    }

    #[test]
    fn shown_as_toml_writes_it() {
        let client = ConfigKey::from("credentials.clients").child("a.b\n").child("client_secret");
        assert_eq!(client.to_string(), r#"credentials.clients."a.b\n".client_secret"#);
        assert_eq!(ConfigKey::from("broker").child("").to_string(), r#"broker."""#);
    }
}
