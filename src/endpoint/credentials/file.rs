//! Secrets in files.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use secrecy::{ExposeSecret, SecretString};

use super::{CredentialFault, FaultKind};
use crate::domain::Stray;

/// The secret in a file, less one trailing newline, of at most `max` characters.
pub(super) fn read(path: &Path, max: usize) -> Result<SecretString, FaultKind> {
    // The longest secret in the widest characters, a newline, and one more byte to detect a longer file. So an
    // endless file does not fill the memory.
    let most = max.saturating_mul(4).saturating_add(3);
    let mut content = Vec::new();
    File::open(path)
        .and_then(|file| file.take(most as u64).read_to_end(&mut content))
        .map_err(FaultKind::Unreadable)?;
    if content.len() == most {
        return Err(FaultKind::TooLong(max));
    }
    let mut text = String::from_utf8(content).map_err(|_| FaultKind::NotUtf8)?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    check(SecretString::from(text), max)
}

/// Checks that the endpoint can accept the secret.
pub(super) fn check(secret: SecretString, max: usize) -> Result<SecretString, FaultKind> {
    match secret.expose_secret().chars().count() {
        0 => Err(FaultKind::Empty),
        chars if chars > max => Err(FaultKind::TooLong(max)),
        _ => match Stray::of(secret.expose_secret()) {
            Some(stray) if stray.is_wrong() => Err(FaultKind::Stray(stray)),
            _ => Ok(secret),
        },
    }
}

/// The files of a folder, with the client ids that are their names. Names with a leading dot and folders are skipped:
/// Kubernetes mounts keep both beside the links to the secrets.
pub(super) fn list(folder: &Path) -> Result<Vec<(PathBuf, Option<String>)>, CredentialFault> {
    let fault = |error: io::Error| CredentialFault::of_path(folder, FaultKind::Unreadable(error));
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(fault)? {
        let entry = entry.map_err(fault)?;
        let (name, path) = (entry.file_name(), entry.path());
        if name.as_encoded_bytes().starts_with(b".") || path.is_dir() {
            continue;
        }
        files.push((path, name.into_string().ok()));
    }
    // A folder has no defined order, so sorting makes the order of faults stable.
    files.sort();
    Ok(files)
}
