//! The keys that sign the history of parked jobs and dead letters. They may change while the worker runs.
//!
//! A file holds one key per line. The first signs, and all of them verify. So a new key can be given to all
//! workers before one signs with it. An old key must stay until the last job that it signed is back.

use std::{
    fmt,
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use ring::hmac;
use secrecy::{ExposeSecret, SecretString, zeroize::Zeroizing};
use thiserror::Error;

/// The shortest key in characters: 16 random bytes in hex.
const MIN_KEY_CHARS: usize = 32;

/// The longest key in characters.
const MAX_KEY_CHARS: usize = 1024;

/// The most keys of one file. Each is tried on a message with a history.
const MAX_KEYS: usize = 8;

/// The most bytes read from a file, so that an endless file does not fill the memory.
const MAX_FILE_BYTES: usize = MAX_KEYS * (MAX_KEY_CHARS + 2);

/// The error of a file without usable keys. No text repeats a key.
#[derive(Debug, Error)]
pub enum HistoryKeyFault {
    /// It cannot be read.
    #[error("cannot be read ({})", .0.kind())]
    Unreadable(#[source] io::Error),
    /// It holds no key.
    #[error("holds no key")]
    Empty,
    /// It is too large or holds too many keys.
    #[error("holds more than {MAX_KEYS} keys of at most {MAX_KEY_CHARS} characters")]
    TooMany,
    /// A key is too easy to guess.
    #[error("has a key of fewer than {MIN_KEY_CHARS} characters in line {0}")]
    TooShort(usize),
    /// A key contains a blank, a byte order mark or binary data, which an editor could change unseen.
    #[error("has something in line {0} that is no letter, digit or punctuation mark of ASCII")]
    NotPrintable(usize),
}

struct HistoryKey {
    text: SecretString,
    mac: hmac::Key,
}

type Keys = Arc<[HistoryKey]>;

/// The keys in use.
pub struct HistoryKeys {
    path: Option<PathBuf>,
    /// Outside of the lock, because every delivery reads it. It never changes: an emptied file keeps the former keys.
    are_given: bool,
    /// Replaced as a whole. Never locked while the file is read.
    keys: RwLock<Keys>,
}

impl fmt::Debug for HistoryKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HistoryKeys").field("path", &self.path).finish_non_exhaustive()
    }
}

impl HistoryKeys {
    /// No keys: nothing is signed.
    #[must_use]
    pub fn none() -> Self {
        Self { path: None, are_given: false, keys: RwLock::new(Arc::from([])) }
    }

    /// Reads the keys of a file. Without a path there are none. Blocks on the file system.
    ///
    /// # Errors
    ///
    /// [`HistoryKeyFault`].
    pub fn load(path: Option<&Path>) -> Result<Self, HistoryKeyFault> {
        let Some(path) = path else { return Ok(Self::none()) };
        let keys = RwLock::new(read(path)?);
        Ok(Self { path: Some(path.to_owned()), are_given: true, keys })
    }

    /// Parses keys from a text, for tests.
    ///
    /// # Errors
    ///
    /// [`HistoryKeyFault`].
    pub fn from_text(text: &[u8]) -> Result<Self, HistoryKeyFault> {
        Ok(Self { path: None, are_given: true, keys: RwLock::new(parse(text)?) })
    }

    /// Checks that a text holds usable keys.
    ///
    /// # Errors
    ///
    /// [`HistoryKeyFault`].
    pub fn check(text: &[u8]) -> Result<(), HistoryKeyFault> {
        parse(text).map(drop)
    }

    /// The file of the keys.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Whether there are keys.
    #[must_use]
    pub const fn are_given(&self) -> bool {
        self.are_given
    }

    /// Reads the file again. Returns the number of keys if they changed. Blocks on the file system.
    ///
    /// # Errors
    ///
    /// [`HistoryKeyFault`]; the former keys stay.
    pub fn reload(&self) -> Result<Option<usize>, HistoryKeyFault> {
        let Some(path) = &self.path else { return Ok(None) };
        let keys = read(path)?;
        if same(&keys, &self.keys()) {
            return Ok(None);
        }
        let count = keys.len();
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
        Ok(Some(count))
    }

    /// The MAC over `message` with the first key; `None` without keys.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Option<hmac::Tag> {
        self.keys().first().map(|key| hmac::sign(&key.mac, message))
    }

    /// Whether `tag` is the MAC over `message` with any key.
    #[must_use]
    pub fn verify(&self, message: &[u8], tag: &[u8]) -> bool {
        self.keys().iter().any(|key| hmac::verify(&key.mac, message, tag).is_ok())
    }

    fn keys(&self) -> Keys {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }
}

fn same(one: &[HistoryKey], other: &[HistoryKey]) -> bool {
    one.iter()
        .map(|key| key.text.expose_secret())
        .eq(other.iter().map(|key| key.text.expose_secret()))
}

fn read(path: &Path) -> Result<Keys, HistoryKeyFault> {
    let mut content = Zeroizing::new(Vec::with_capacity(MAX_FILE_BYTES + 1));
    File::open(path)
        .and_then(|file| file.take(MAX_FILE_BYTES as u64 + 1).read_to_end(&mut content))
        .map_err(HistoryKeyFault::Unreadable)?;
    parse(&content)
}

/// Parses one key per line. Empty lines are ignored.
fn parse(text: &[u8]) -> Result<Keys, HistoryKeyFault> {
    if text.len() > MAX_FILE_BYTES {
        return Err(HistoryKeyFault::TooMany);
    }
    let mut keys = Vec::new();
    for (line, number) in text.split(|byte| *byte == b'\n').zip(1..) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if !line.is_empty() {
            keys.push(key(line, number)?);
        }
    }
    match keys.len() {
        0 => Err(HistoryKeyFault::Empty),
        1..=MAX_KEYS => Ok(keys.into()),
        _ => Err(HistoryKeyFault::TooMany),
    }
}

fn key(line: &[u8], number: usize) -> Result<HistoryKey, HistoryKeyFault> {
    let text = std::str::from_utf8(line).ok().filter(|text| {
        // Editors do not show, and may change, other characters.
        text.bytes().all(|byte| byte.is_ascii_graphic())
    });
    let text = text.ok_or(HistoryKeyFault::NotPrintable(number))?;
    match text.len() {
        0..MIN_KEY_CHARS => Err(HistoryKeyFault::TooShort(number)),
        MIN_KEY_CHARS..=MAX_KEY_CHARS => Ok(HistoryKey {
            text: SecretString::from(text),
            mac: hmac::Key::new(hmac::HMAC_SHA256, line),
        }),
        _ => Err(HistoryKeyFault::TooMany),
    }
}

#[cfg(test)]
mod tests;
