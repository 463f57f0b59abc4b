//! The section `credentials`: on whose behalf the endpoint is called.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use secrecy::ExposeSecret;

use crate::{
    domain::MAX_TEXT_CHARS,
    endpoint::{CredentialSettings, SecretSource},
};

use super::{
    faults::Problem,
    file,
    key::Key,
    layer::Origin,
    reader::{Reader, of_file},
    secret::Secret,
    value::{self, Value},
};

const CLIENT_ID: &str = "credentials.client_id";
const CLIENT_SECRET: &str = "credentials.client_secret";
const CLIENTS: &str = "credentials.clients";
const DIRECTORY: &str = "credentials.directory";

/// Whether secrets are at hand where the configuration is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Secrets {
    /// They are needed: their files are opened, and there must be some.
    Needed,
    /// They may be absent: no call will be made.
    Unneeded,
}

/// What the section holds.
pub(super) struct Section {
    pub(super) settings: CredentialSettings,
    /// The default client.
    pub(super) client_id: Option<String>,
}

pub(super) fn read(reader: &mut Reader, secrets: Secrets) -> Section {
    let client_id = reader.optional(CLIENT_ID, client_id);
    let default = client_secret(reader, CLIENT_SECRET, secrets);
    let directory = reader.optional(DIRECTORY, value::path);
    let mut clients = table(reader, secrets);

    reader.require(&[CLIENT_SECRET, CLIENT_ID], default.is_none() || client_id.is_some(), || {
        Problem::new("is the secret of nobody", format!("set {CLIENT_ID} as well"))
    });
    if let (Some(id), Some(secret)) = (&client_id, default)
        && clients.insert(id.clone(), secret.source).is_some()
    {
        let what = format!("is given for a client that stands in {CLIENTS} as well");
        reader.refuse(&secret.key, Problem::new(what, "keep one of the two"));
    }
    let settings = CredentialSettings { clients, directory };
    if secrets == Secrets::Needed {
        check_presence(reader, &settings, client_id.as_deref());
    }
    Section { settings, client_id }
}

/// Without a secret no call can ever be made, so its absence is better told at once.
fn check_presence(reader: &mut Reader, settings: &CredentialSettings, client_id: Option<&str>) {
    if let Some(directory) = &settings.directory {
        check_directory(reader, directory, settings.clients.is_empty());
    }
    // What was given and is at fault is not absent.
    let faulty = reader.has_fault_within(&Key::from("credentials"));
    let none = settings.clients.is_empty() && settings.directory.is_none();
    if none && client_id.is_none() && !faulty {
        reader.require(&["credentials"], false, || {
            Problem::new(
                "names no client secret, so no call could ever be made",
                format!(
                    "set {CLIENT_ID} with {CLIENT_SECRET} or {CLIENT_SECRET}_file, fill the table \
                     {CLIENTS}, or set {DIRECTORY}"
                ),
            )
        });
    }
    if let Some(id) = client_id.filter(|_| !faulty) {
        let known = settings.clients.contains_key(id)
            || settings.directory.as_deref().is_some_and(|directory| has_file(directory, id));
        reader.require(&[CLIENT_ID], known, || {
            Problem::new(
                "names a client without a secret",
                format!(
                    "set {CLIENT_SECRET} or {CLIENT_SECRET}_file, or give the client one in {CLIENTS} \
                     or {DIRECTORY}"
                ),
            )
        });
    }
}

fn check_directory(reader: &mut Reader, directory: &Path, alone: bool) {
    match fs::read_dir(directory) {
        Err(_) => reader.refuse(
            DIRECTORY,
            Problem::new(
                "is no folder that this user may read",
                "correct the path or its permissions",
            ),
        ),
        Ok(mut entries) => {
            if alone && entries.next().is_none() {
                reader.warn(format!(
                    "{DIRECTORY} is empty: no job can be done until a secret is there"
                ));
            }
        }
    }
}

/// Whether a folder has a secret for a client. An id that is no plain file name leads nowhere, least of
/// all out of the folder.
fn has_file(directory: &Path, id: &str) -> bool {
    let plain = Path::new(id).file_name().is_some_and(|name| name == id);
    plain && file::read_secret(&directory.join(id)).is_ok()
}

/// The table of clients. It cannot be set by the environment: ids are case sensitive, and names of
/// variables are not free.
fn table(reader: &mut Reader, secrets: Secrets) -> BTreeMap<String, SecretSource> {
    let top = Key::from(CLIENTS);
    reader.optional(&top, |value| match value {
        Value::Table => Ok(()),
        _ => Err(Problem::new("is not a table", "write a section [credentials.clients.\"id\"]")),
    });
    let mut ids = BTreeSet::new();
    let mut variables = Vec::new();
    for layer in reader.layers() {
        for (key, entry) in layer.entries.iter().filter(|(key, _)| key.is_within(&top)) {
            match (&entry.origin, key.segments().get(top.segments().len())) {
                (Origin::Variable(_), Some(_)) => variables.push(key.clone()),
                (_, Some(id)) => drop(ids.insert(id.clone())),
                (_, None) => {}
            }
        }
    }
    for key in variables {
        reader.refuse(
            key,
            Problem::new(
                "cannot be set by the environment: client ids are case sensitive",
                format!("set it in a file, use {DIRECTORY}, or use {CLIENT_ID}"),
            ),
        );
    }
    ids.into_iter()
        .filter_map(|id| {
            let key = top.child(&id);
            if let Err(problem) = client_id(&Value::Text(id.clone())) {
                reader.refuse(&key, problem);
            }
            Some((id, client(reader, &key, secrets)?))
        })
        .collect()
}

fn client(reader: &mut Reader, key: &Key, secrets: Secrets) -> Option<SecretSource> {
    let secret_key = key.child("client_secret");
    reader.optional(key, |value| match value {
        Value::Table => Ok(()),
        _ => Err(Problem::new("is not a table", "write { client_secret_file = \"path\" }")),
    });
    let secret = client_secret(reader, &secret_key, secrets);
    if secret.is_none() && !reader.has_fault_within(key) {
        let remedy = format!("set {secret_key} or {}", secret_key.in_file());
        reader.refuse(key, Problem::new("names a client without a secret", remedy));
    }
    secret.map(|secret| secret.source)
}

/// A client's secret, checked, and kept as it was given: its file is read again later.
fn client_secret(reader: &mut Reader, key: impl Into<Key>, secrets: Secrets) -> Option<Secret> {
    let secret = reader.secret(key)?;
    if secrets == Secrets::Unneeded {
        return Some(secret);
    }
    let value = reader.secret_value(&secret)?;
    if value.expose_secret().chars().count() > MAX_TEXT_CHARS {
        let problem = too_long();
        let in_file = matches!(secret.source, SecretSource::File(_));
        reader.refuse(&secret.key, if in_file { of_file(problem) } else { problem });
    }
    Some(secret)
}

fn client_id(value: &Value) -> Result<String, Problem> {
    let id = value::string(value)?;
    if id.chars().count() > MAX_TEXT_CHARS { Err(too_long()) } else { Ok(id.to_owned()) }
}

fn too_long() -> Problem {
    Problem::new(
        format!("has more than {MAX_TEXT_CHARS} characters, the endpoint's limit"),
        "check that it is the right one",
    )
}
