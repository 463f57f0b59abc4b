//! The table `credentials.clients`: client ids, each with a secret.
//!
//! It cannot be set by the environment: ids are case sensitive and may contain any character. Variable names cannot
//! express that.

use std::collections::{BTreeMap, BTreeSet};

use secrecy::ExposeSecret;

use crate::{
    domain::{MAX_TEXT_CHARS, Stray},
    endpoint::SecretSource,
};

use super::{
    faults::Problem,
    form::{Form, Kind, SecretForm},
    key::ConfigKey,
    layer::ValueOrigin,
    reader::{ConfigReader, of_file},
    secret::Secret,
    value::{self, ConfigValue},
};

/// The key of the table.
pub(super) const TABLE: &str = "credentials.clients";

/// Whether secrets are available where the configuration is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SecretNeed {
    /// They are needed: their files are opened, and there must be some.
    Needed,
    /// They may be absent: no call will be made.
    Unneeded,
}

pub(super) fn read(
    reader: &mut ConfigReader,
    secrets: SecretNeed,
    secret_max: usize,
) -> BTreeMap<String, SecretSource> {
    let top = ConfigKey::from(TABLE);
    reader.optional(&top, table(Form::Entries, "write a section [credentials.clients.\"id\"]"));
    refuse_variables(reader, &top);
    let ids: BTreeSet<String> = reader
        .layers()
        .flat_map(|layer| layer.entries.iter())
        .filter(|(key, entry)| key.is_within(&top) && !is_variable(&entry.origin))
        .filter_map(|(key, _)| key.segments().get(top.segments().len()).cloned())
        .collect();
    ids.into_iter()
        .filter_map(|id| {
            let key = top.child(&id);
            match client_id().parse(&ConfigValue::Text(id.clone())) {
                Ok(id) => reader.look_for_strays(&key, &id),
                Err(problem) => reader.refuse(&key, problem),
            }
            Some((id, client(reader, &key, secrets, secret_max)?))
        })
        .collect()
}

fn refuse_variables(reader: &mut ConfigReader, top: &ConfigKey) {
    let variables: Vec<ConfigKey> = reader
        .layers()
        .flat_map(|layer| layer.entries.iter())
        .filter(|(key, entry)| *key != top && key.is_within(top) && is_variable(&entry.origin))
        .map(|(key, _)| key.clone())
        .collect();
    for key in variables {
        let problem = Problem::new(
            "cannot be set by the environment: client ids are case sensitive",
            "set it in a file, or use credentials.directory or credentials.client_id",
        );
        reader.refuse(key, problem);
    }
}

fn table(form: Form, remedy: &'static str) -> Kind<()> {
    Kind::new(form, move |value| match value {
        ConfigValue::Table => Ok(()),
        _ => Err(Problem::new("is not a table", remedy)),
    })
}

const fn is_variable(origin: &ValueOrigin) -> bool {
    matches!(origin, ValueOrigin::Variable(_))
}

fn client(
    reader: &mut ConfigReader,
    key: &ConfigKey,
    secrets: SecretNeed,
    secret_max: usize,
) -> Option<SecretSource> {
    let secret_key = key.child("client_secret");
    reader.optional(key, table(Form::Table, "write { client_secret_file = \"path\" }"));
    let secret = client_secret(reader, &secret_key, secrets, secret_max);
    if secret.is_none() && !reader.is_partial() && !reader.has_fault_within(key) {
        let remedy = format!("set {secret_key} or {}", secret_key.in_file());
        reader.refuse(key, Problem::new("names a client without a secret", remedy));
    }
    secret.map(|secret| secret.source)
}

/// A client's secret, checked. A path is kept as a path, because its file is read again later.
pub(super) fn client_secret(
    reader: &mut ConfigReader,
    key: impl Into<ConfigKey>,
    secrets: SecretNeed,
    secret_max: usize,
) -> Option<Secret> {
    let secret = reader.secret(key, SecretForm::Hidden)?;
    if secrets == SecretNeed::Unneeded {
        return Some(secret);
    }
    let value = reader.secret_value(&secret)?;
    // Warnings are reported when all secrets are loaded, including those of a folder.
    if let Err(problem) = check(value.expose_secret(), secret_max) {
        let in_file = matches!(secret.source, SecretSource::File(_));
        reader.refuse(&secret.key, if in_file { of_file(problem) } else { problem });
    }
    Some(secret)
}

/// Checks that the endpoint can accept a secret or an id.
fn check(text: &str, max: usize) -> Result<(), Problem> {
    if text.chars().count() > max {
        let what = format!("has more than {max} characters, the endpoint's limit");
        return Err(Problem::new(what, "check that it is the right one"));
    }
    match Stray::of(text).filter(|stray| stray.is_wrong()) {
        Some(stray) => Err(Problem::new(stray.to_string(), stray.remedy())),
        None => Ok(()),
    }
}

/// An id that the endpoint accepts.
pub(super) fn client_id() -> Kind<String> {
    Kind::new(Form::Text, |value| {
        let id = value::string(value)?;
        check(id, MAX_TEXT_CHARS).map(|()| id.to_owned())
    })
}
