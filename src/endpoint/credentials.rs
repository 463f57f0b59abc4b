//! The client secrets, which may change while the worker runs.

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
};

use secrecy::{ExposeSecret, SecretString};

use super::settings::{CredentialSettings, SecretSource};
use crate::domain::{ClientKey, Stray};

mod fault;
mod file;

pub use fault::{CredentialFault, FaultKind};

type Secrets = HashMap<String, Arc<SecretString>>;

/// The secrets, and the number of every client that ever had one.
#[derive(Default)]
struct Known {
    secrets: Secrets,
    keys: HashMap<String, ClientKey>,
}

/// The client secrets in force.
pub struct Credentials {
    settings: CredentialSettings,
    /// Replaced as a whole. It is locked for a lookup or a replacement, never while files are read.
    known: RwLock<Known>,
    odd: Vec<CredentialFault>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

/// The changes of a reload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reloaded {
    /// Clients with a secret now.
    pub clients: usize,
    /// Clients whose secret is new or changed.
    pub renewed: Vec<ClientKey>,
    /// Clients whose secret was withdrawn.
    pub withdrawn: Vec<ClientKey>,
}

impl Known {
    /// Takes new secrets; their clients keep their numbers.
    fn replace(&mut self, secrets: Secrets) {
        let mut ids: Vec<&String> = secrets.keys().collect();
        ids.sort_unstable();
        for id in ids {
            let next = u32::try_from(self.keys.len()).unwrap_or(u32::MAX);
            self.keys.entry(id.clone()).or_insert(ClientKey(next));
        }
        self.secrets = secrets;
    }
}

impl Credentials {
    /// Reads every secret. Blocks on the file system.
    ///
    /// # Errors
    ///
    /// Every fault. A folder or a secret cannot be read. Or a secret is empty, too long, not text, or has
    /// characters that no secret can have.
    pub fn load(settings: &CredentialSettings) -> Result<Self, Vec<CredentialFault>> {
        let Found { secrets, faults } = Found::read(settings);
        let (wrong, odd): (Vec<_>, Vec<_>) =
            faults.into_iter().partition(CredentialFault::is_wrong);
        if wrong.is_empty() {
            let mut known = Known::default();
            known.replace(secrets);
            Ok(Self { settings: settings.clone(), known: RwLock::new(known), odd })
        } else {
            Err(wrong)
        }
    }

    /// The warnings about secrets and client ids from the first load.
    #[must_use]
    pub fn oddities(&self) -> &[CredentialFault] {
        &self.odd
    }

    /// The secret of a client, if one is known.
    #[must_use]
    pub fn secret(&self, client_id: &str) -> Option<Arc<SecretString>> {
        self.known().secrets.get(client_id).cloned()
    }

    /// The number of a client with a secret.
    #[must_use]
    pub fn key(&self, client_id: &str) -> Option<ClientKey> {
        let known = self.known();
        known.keys.get(client_id).filter(|_| known.secrets.contains_key(client_id)).copied()
    }

    /// The client of that number, by its id.
    #[must_use]
    pub fn client_id(&self, key: ClientKey) -> Option<String> {
        self.known().keys.iter().find(|(_, known)| **known == key).map(|(id, _)| id.clone())
    }

    /// The ids of the clients with a secret, sorted.
    #[must_use]
    pub fn ids(&self) -> Vec<String> {
        let mut ids: Vec<String> = self.known().secrets.keys().map(ToString::to_string).collect();
        ids.sort_unstable();
        ids
    }

    /// How many clients have a secret.
    #[must_use]
    pub fn clients(&self) -> usize {
        self.known().secrets.len()
    }

    fn known(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether any secret comes from a file, and may therefore change while the worker runs.
    #[must_use]
    pub fn watches_files(&self) -> bool {
        let from_file = |source| matches!(source, &SecretSource::File(_));
        self.settings.directory.is_some() || self.settings.clients.values().any(from_file)
    }

    /// Reads every secret again. Returns the changes, and every fault and warning. Blocks on the file system.
    /// Calls in progress keep the secret that they began with.
    ///
    /// If some secrets cannot be read, the others are still replaced, and these keep their old value. A file
    /// that is just being replaced must not turn its jobs into dead letters.
    pub fn reload(&self) -> (Reloaded, Vec<CredentialFault>) {
        let mut found = Found::read(&self.settings);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let secrets = &known.secrets;
        found.keep_unreadable(secrets);
        let is_new = |(id, new): &(&String, &Arc<SecretString>)| !same(secrets.get(*id), new);
        let renewed: Vec<String> =
            found.secrets.iter().filter(is_new).map(|(id, _)| id.clone()).collect();
        let is_gone = |id: &&String| !found.secrets.contains_key(*id);
        let withdrawn: Vec<String> = secrets.keys().filter(is_gone).cloned().collect();
        known.replace(found.secrets);
        let keys = |ids: &[String]| {
            let mut keys: Vec<_> =
                ids.iter().filter_map(|id| known.keys.get(id)).copied().collect();
            keys.sort_unstable();
            keys
        };
        let (renewed, withdrawn) = (keys(&renewed), keys(&withdrawn));
        (Reloaded { clients: known.secrets.len(), renewed, withdrawn }, found.faults)
    }
}

fn same(old: Option<&Arc<SecretString>>, new: &SecretString) -> bool {
    old.is_some_and(|old| old.expose_secret() == new.expose_secret())
}

/// The result of reading all sources once.
#[derive(Default)]
struct Found {
    secrets: Secrets,
    /// Faults and warnings.
    faults: Vec<CredentialFault>,
}

impl Found {
    fn read(settings: &CredentialSettings) -> Self {
        let mut found = Self::default();
        for (client_id, source) in &settings.clients {
            let (path, secret) = match source {
                SecretSource::Value(secret) => {
                    (None, file::check(secret.clone(), settings.secret_max))
                }
                SecretSource::File(path) => {
                    (Some(path.as_path()), file::read(path, settings.secret_max))
                }
            };
            found.take(client_id, path, secret);
        }
        if let Some(folder) = &settings.directory {
            found.read_folder(settings, folder);
        }
        found
    }

    fn read_folder(&mut self, settings: &CredentialSettings, folder: &Path) {
        let files = match file::list(folder) {
            Ok(files) => files,
            Err(fault) => return self.faults.push(fault),
        };
        for (path, client_id) in files {
            match client_id {
                // The table takes precedence over the directory.
                Some(id) if settings.clients.contains_key(&id) => {}
                Some(id) => match Stray::of(&id) {
                    Some(stray) if stray.is_wrong() => {
                        self.note(&id, Some(&path), FaultKind::Name(stray));
                    }
                    stray => {
                        self.take(&id, Some(&path), file::read(&path, settings.secret_max));
                        if let Some(stray) = stray {
                            self.note(&id, Some(&path), FaultKind::Name(stray));
                        }
                    }
                },
                None => self.faults.push(CredentialFault::of_path(&path, FaultKind::NameNotUtf8)),
            }
        }
    }

    fn take(&mut self, id: &str, path: Option<&Path>, secret: Result<SecretString, FaultKind>) {
        match secret {
            Ok(secret) => {
                if let Some(stray) = Stray::of(secret.expose_secret()) {
                    self.note(id, path, FaultKind::Stray(stray));
                }
                self.secrets.insert(id.to_owned(), Arc::new(secret));
            }
            Err(kind) => self.note(id, path, kind),
        }
    }

    fn note(&mut self, id: &str, path: Option<&Path>, kind: FaultKind) {
        let (client_id, path) = (Some(id.to_owned()), path.map(Path::to_owned));
        self.faults.push(CredentialFault { client_id, path, kind });
    }

    /// Keeps the old secrets of unreadable sources: of one client, or of all clients of a folder.
    fn keep_unreadable(&mut self, old: &Secrets) {
        let everyone = self.faults.iter().any(|fault| fault.client_id.is_none());
        for (id, secret) in old {
            let faulty = || self.faults.iter().any(|fault| fault.client_id.as_ref() == Some(id));
            if !self.secrets.contains_key(id) && (everyone || faulty()) {
                self.secrets.insert(id.clone(), Arc::clone(secret));
            }
        }
    }
}

#[cfg(test)]
mod tests;
