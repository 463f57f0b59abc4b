//! The section `credentials`: the clients of the calls.

use std::{collections::BTreeMap, fs, path::Path};

use crate::endpoint::{CredentialSettings, SecretSource};

use super::{
    clients::{self, SecretNeed, TABLE, client_id, client_secret},
    faults::Problem,
    file,
    key::ConfigKey,
    reader::ConfigReader,
    secret::Secret,
    value,
};

const CLIENT_ID: &str = "credentials.client_id";
const CLIENT_SECRET: &str = "credentials.client_secret";
const DIRECTORY: &str = "credentials.directory";

pub(super) struct CredentialsSection {
    pub(super) settings: CredentialSettings,
    /// The default client.
    pub(super) client_id: Option<String>,
}

pub(super) fn read(
    reader: &mut ConfigReader,
    secrets: SecretNeed,
    secret_max: usize,
) -> CredentialsSection {
    let client_id = reader.optional(CLIENT_ID, client_id());
    if let Some(id) = &client_id {
        reader.look_for_strays(CLIENT_ID, id);
    }
    let default = client_secret(reader, CLIENT_SECRET, secrets, secret_max);
    let directory = reader.optional(DIRECTORY, value::path());
    let mut clients = clients::read(reader, secrets, secret_max);
    if let Some(secret) = default {
        add_default(reader, &mut clients, client_id.as_deref(), secret);
    }
    let settings = CredentialSettings { clients, directory, secret_max };
    if secrets == SecretNeed::Needed {
        check_presence(reader, &settings, client_id.as_deref());
    }
    CredentialsSection { settings, client_id }
}

fn add_default(
    reader: &mut ConfigReader,
    clients: &mut BTreeMap<String, SecretSource>,
    client_id: Option<&str>,
    secret: Secret,
) {
    if let Some(id) = client_id {
        if clients.insert(id.to_owned(), secret.source).is_some() {
            let what = format!("is given for a client that is in {TABLE} as well");
            reader.refuse(&secret.key, Problem::new(what, "keep one of the two"));
        }
    } else if !reader.is_partial() && !reader.has_fault_within(&ConfigKey::from(CLIENT_ID)) {
        let problem =
            Problem::new("is given without a client id", format!("set {CLIENT_ID} as well"));
        reader.refuse(&secret.key, problem);
    }
}

/// Without a secret no call can be made, so its absence is reported at the start.
fn check_presence(
    reader: &mut ConfigReader,
    settings: &CredentialSettings,
    client_id: Option<&str>,
) {
    if let Some(directory) = &settings.directory {
        check_directory(reader, directory, settings.clients.is_empty());
    }
    // A faulty setting is not a missing one.
    let faulty = reader.has_fault_within(&ConfigKey::from("credentials"));
    let none = settings.clients.is_empty() && settings.directory.is_none();
    if none && client_id.is_none() && !faulty {
        reader.require(&["credentials"], false, || {
            Problem::new(
                "names no client secret, so no call could ever be made",
                format!(
                    "set {CLIENT_ID} with {CLIENT_SECRET} or {CLIENT_SECRET}_file, fill the table \
                     {TABLE}, or set {DIRECTORY}"
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
                    "set {CLIENT_SECRET} or {CLIENT_SECRET}_file, or give the client one in {TABLE} \
                     or {DIRECTORY}"
                ),
            )
        });
    }
}

fn check_directory(reader: &mut ConfigReader, directory: &Path, alone: bool) {
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

/// Whether a folder has a secret for a client. An id that is not a plain file name has no file. So no id leads out of
/// the folder.
fn has_file(directory: &Path, id: &str) -> bool {
    let plain = Path::new(id).file_name().is_some_and(|name| name == id);
    plain && file::read_secret(&directory.join(id)).is_ok()
}
