//! Secrets: every key `x` of a secret can be given as `x_file`, the path of a file that holds it.

use secrecy::SecretString;

use crate::endpoint::SecretSource;

use super::{
    faults::Problem,
    file,
    form::{Form, Kind, SecretForm},
    key::ConfigKey,
    reader::{ConfigReader, of_file},
    shown::HIDDEN,
    value,
};

/// A secret in its configured form.
pub(super) struct Secret {
    /// The key that sets it: `x` or `x_file`.
    pub(super) key: ConfigKey,
    pub(super) source: SecretSource,
}

impl ConfigReader {
    /// Reads a secret from the last layer that sets `x` or `x_file`. The file is not opened.
    pub(super) fn secret(&mut self, key: impl Into<ConfigKey>, form: SecretForm) -> Option<Secret> {
        let plain = key.into();
        let in_file = plain.in_file();
        self.knows(&plain, Form::Secret(form));
        self.knows(&in_file, Form::Path);
        let (has_plain, has_file) = self.layers().find_map(|layer| {
            let has = |key| layer.entries.contains_key(key);
            Some((has(&plain), has(&in_file))).filter(|(plain, file)| *plain || *file)
        })?;
        if has_plain && has_file {
            let what = format!("is given twice in one place, as itself and as {in_file}");
            self.refuse(&plain, Problem::new(what, "keep one of the two"));
            return None;
        }
        let (key, source) = if has_file {
            self.derive(&plain, Some(HIDDEN.to_owned()), format!("the file of {in_file}"));
            let path = self.optional(&in_file, value::path()).map(SecretSource::File);
            (in_file, path)
        } else {
            self.derive(&in_file, None, plain.to_string());
            let secret =
                Kind::new(Form::Secret(form), |value| value::string(value).map(SecretString::from));
            let secret = self.optional(&plain, secret).map(SecretSource::Value);
            (plain, secret)
        };
        source.map(|source| Secret { key, source })
    }

    /// The value of a secret, read from its file if necessary.
    pub(super) fn secret_value(&mut self, secret: &Secret) -> Option<SecretString> {
        match &secret.source {
            SecretSource::Value(value) => Some(value.clone()),
            SecretSource::File(path) => file::read_secret(path)
                .map_err(|problem| self.refuse(&secret.key, of_file(problem)))
                .ok(),
        }
    }
}
