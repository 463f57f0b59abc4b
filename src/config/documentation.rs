//! The documentation of every setting, read from the file of defaults.
//!
//! A comment above a key documents that key, and the keys that follow without a blank line or a further comment. A key
//! without a comment of its own has that of its section. A commented key has no default.

use std::collections::BTreeMap;

use super::key::ConfigKey;

/// The documentation of sections and keys.
#[derive(Debug, Default)]
pub(super) struct Documentation {
    pub(super) sections: BTreeMap<ConfigKey, String>,
    /// The keys in the order of the file, each with its text.
    pub(super) keys: Vec<(ConfigKey, String)>,
}

impl Documentation {
    pub(super) fn read(defaults: &str) -> Self {
        let mut documentation = Self::default();
        let mut section = ConfigKey::root();
        let mut text: Vec<&str> = Vec::new();
        // Whether `text` already documents a key.
        let mut used = false;
        for line in defaults.lines() {
            if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
                section = ConfigKey::from(name);
                documentation.sections.insert(section.clone(), text.join(" "));
                text.clear();
            } else if let Some(name) = key_name(line.strip_prefix("# ").unwrap_or(line)) {
                let key = name.split('.').fold(section.clone(), |key, name| key.child(name));
                documentation.keys.push((key, documentation.text(&text, &section)));
                used = true;
            } else if let Some(comment) = line.strip_prefix("# ") {
                if used {
                    text.clear();
                }
                text.push(comment);
                used = false;
            } else {
                text.clear();
                used = false;
            }
        }
        documentation
    }

    fn text(&self, text: &[&str], section: &ConfigKey) -> String {
        if text.is_empty() {
            self.sections.get(section).cloned().unwrap_or_default()
        } else {
            text.join(" ")
        }
    }
}

/// The key of a line `key = value`.
pub(super) fn key_name(line: &str) -> Option<&str> {
    let (name, _) = line.split_once(" = ")?;
    let is_name = name
        .chars()
        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-' | '.'));
    is_name.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_the_comment_above_it_or_that_of_its_section() {
        let documentation = Documentation::read(
            "# The head.\n\n# A section.\n[a.b]\nfirst = 1\n# Of two\n# keys.\nsecond = 2\n# third = 3\n\
             # Of one.\nfourth = 4\n\n[c]\n# d.e = \"x\"\n",
        );
        let keys: Vec<(String, &str)> =
            documentation.keys.iter().map(|(key, text)| (key.to_string(), &**text)).collect();
        let expected = [
            ("a.b.first", "A section."),
            ("a.b.second", "Of two keys."),
            ("a.b.third", "Of two keys."),
            ("a.b.fourth", "Of one."),
            ("c.d.e", ""),
        ];
        assert_eq!(keys, expected.map(|(key, text)| (key.to_owned(), text)));
        assert_eq!(documentation.sections[&ConfigKey::from("a.b")], "A section.");
    }
}
