//! Reads the configuration files and the files that they name.

use std::{
    io::{self, ErrorKind},
    path::Path,
};

use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer, pem::PemObject};
use secrecy::SecretString;

use super::faults::Problem;
use crate::endpoint::{MAX_FILE_BYTES, read_file};

/// A path for output, on one line, with control characters escaped.
pub(super) fn shown(path: &Path) -> String {
    path.to_string_lossy().escape_debug().to_string()
}

/// Reads a whole file of at most [`MAX_FILE_BYTES`].
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Problem> {
    read_file(path).map_err(|error| unreadable(&error))
}

/// Reads a file that holds one secret, without one trailing newline.
pub(super) fn read_secret(path: &Path) -> Result<SecretString, Problem> {
    let text = String::from_utf8(read(path)?)
        .map_err(|_| Problem::new("is not UTF-8", "store the secret as plain text"))?;
    let secret = text
        .strip_suffix('\n')
        .map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
    if secret.is_empty() {
        return Err(Problem::new("is empty", "store the secret in it"));
    }
    Ok(SecretString::from(secret))
}

/// Checks that a file contains at least one certificate.
pub(super) fn certificates(pem: &[u8]) -> Result<(), Problem> {
    match CertificateDer::pem_slice_iter(pem).next() {
        Some(Ok(_)) => Ok(()),
        _ => Err(Problem::new("holds no certificate", "give certificates in the PEM form")),
    }
}

pub(super) fn private_key(pem: &[u8]) -> Result<(), Problem> {
    PrivatePkcs8KeyDer::from_pem_slice(pem).map(|_| ()).map_err(|_| {
        Problem::new(
            "holds no unencrypted PKCS#8 private key",
            "convert the key with `openssl pkcs8 -topk8 -nocrypt`",
        )
    })
}

fn unreadable(error: &io::Error) -> Problem {
    match error.kind() {
        ErrorKind::NotFound => Problem::new("does not exist", "correct the path or create it"),
        ErrorKind::PermissionDenied => {
            Problem::new("may not be read by this user", "grant the permission to read it")
        }
        ErrorKind::FileTooLarge => Problem::new(
            format!("has more than {MAX_FILE_BYTES} bytes"),
            "check that the path is the right one",
        ),
        ErrorKind::IsADirectory => Problem::new("is a directory", "give the path of a file"),
        _ => Problem::new(format!("cannot be read: {error}"), "check the path"),
    }
}
