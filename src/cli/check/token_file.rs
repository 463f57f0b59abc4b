//! Reads a file with one token.

use std::{fs::File, io::Read as _, path::Path};

use secrecy::SecretString;

/// The longest token file, in bytes.
const LONGEST: u64 = 64 * 1024;

/// Reads the token, without one trailing newline. The error continues a sentence about the file.
pub(super) fn read(path: &Path) -> Result<SecretString, String> {
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(LONGEST).read_to_string(&mut text))
        .map_err(|error| format!("cannot be read ({})", error.kind()))?;
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err("is empty".to_owned()),
        token => Ok(token.into()),
    }
}
