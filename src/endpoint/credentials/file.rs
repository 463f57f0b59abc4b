//! Secrets in files.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use secrecy::{ExposeSecret, SecretString};

use super::{CredentialFault, FaultKind};
use crate::domain::{MAX_TEXT_CHARS, Stray};

/// Bytes of a file that are read: the longest secret in the widest characters, a newline, and one more
/// byte to detect a longer file. So an endless file does not fill the memory.
const MAX_FILE_BYTES: usize = MAX_TEXT_CHARS * 4 + 3;

/// The secret in a file, less one trailing newline.
pub(super) fn read(path: &Path) -> Result<SecretString, FaultKind> {
    let mut content = Vec::with_capacity(MAX_FILE_BYTES);
    File::open(path)
        .and_then(|file| file.take(MAX_FILE_BYTES as u64).read_to_end(&mut content))
        .map_err(FaultKind::Unreadable)?;
    if content.len() == MAX_FILE_BYTES {
        return Err(FaultKind::TooLong);
    }
    let mut text = String::from_utf8(content).map_err(|_| FaultKind::NotUtf8)?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    check(SecretString::from(text))
}

/// Whether the endpoint can take it.
pub(super) fn check(secret: SecretString) -> Result<SecretString, FaultKind> {
    match secret.expose_secret().chars().count() {
        0 => Err(FaultKind::Empty),
        chars if chars > MAX_TEXT_CHARS => Err(FaultKind::TooLong),
        _ => match Stray::of(secret.expose_secret()) {
            Some(stray) if stray.is_wrong() => Err(FaultKind::Stray(stray)),
            _ => Ok(secret),
        },
    }
}

/// The files of a folder with the client ids that they are named by. What begins with a dot is passed
/// over, and so are folders: Kubernetes mounts keep both beside the links to the secrets.
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
    // The order of a folder is the file system's; that of the faults should not be.
    files.sort();
    Ok(files)
}
