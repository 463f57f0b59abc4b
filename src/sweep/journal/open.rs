//! Finds or makes the journal, and keeps everybody else out of it.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, BufReader, Seek as _, SeekFrom, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use thiserror::Error;

use super::{
    past::Past,
    record::{Header, Record},
    recover::{RecoverError, Recovered, recover},
};

/// The journal names clients and users: it is its owner's alone.
const MODE: u32 = 0o600;

/// A journal that is ours to append to.
#[derive(Debug)]
pub struct Opened {
    /// At its end, and locked for as long as it is open.
    pub file: File,
    /// Its bytes, all of them on disk.
    pub length: u64,
    /// What it knows.
    pub past: Past,
    /// Whether it was there before.
    pub resumed: bool,
}

/// Why a journal cannot be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The system's fault.
    #[error("cannot be opened; --journal gives it another place")]
    Open(#[source] io::Error),
    /// The system's fault: nothing was called yet.
    #[error("cannot be written")]
    Write(#[source] io::Error),
    /// Another sweep has it.
    #[error("another sweep is at work on it")]
    Locked,
    /// It cannot be read back.
    #[error(transparent)]
    Recover(#[from] RecoverError),
    /// What it says was revoked was revoked elsewhere.
    #[error(
        "it is of calls to {journal}, not to {now}; use another --journal for another endpoint"
    )]
    OtherEndpoint {
        /// The URL that it names.
        journal: String,
        /// The configured one.
        now: String,
    },
    /// The input is not the one that it was begun with.
    #[error(
        "the input has changed since the sweep began, so its lines may not be the ones that the journal \
         speaks of; with --force, what is known to be revoked is not called again, and all other lines \
         are taken up"
    )]
    OtherInput,
    /// Standard input cannot be known again.
    #[error(
        "it was there before, and nobody can say whether standard input is the same; with --force, what \
         is known to be revoked is not called again, and all other lines are taken up"
    )]
    UnknownInput,
    /// A setting that decides what the lines mean is another one.
    #[error(
        "{name} was {before} when the sweep began and is {now}, so the lines would be other jobs; give the \
         former value, or --force"
    )]
    OtherSetting {
        /// The setting.
        name: String,
        /// Its value in the journal, or "not set".
        before: String,
        /// Its value now, or "not set".
        now: String,
    },
}

impl OpenError {
    /// Whether it can be mended on the command line.
    #[must_use]
    pub const fn is_usage(&self) -> bool {
        match self {
            Self::OtherEndpoint { .. }
            | Self::OtherInput
            | Self::UnknownInput
            | Self::OtherSetting { .. }
            | Self::Recover(RecoverError::Stranger | RecoverError::Version(_)) => true,
            Self::Open(_) | Self::Write(_) | Self::Locked | Self::Recover(_) => false,
        }
    }
}

/// Opens the journal at `path` for the sweep that `header` describes, or makes it. With `force`, a
/// journal of another input is gone on with.
///
/// # Errors
///
/// [`OpenError`]; then nothing of the journal was changed.
pub fn open(path: &Path, header: &Header, force: bool) -> Result<Opened, OpenError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(MODE);
    let file = options.open(path).map_err(OpenError::Open)?;
    file.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => OpenError::Locked,
        TryLockError::Error(error) => OpenError::Open(error),
    })?;
    // Behind the lock: whoever made the file a moment ago has written its header.
    let Recovered { past, whole, torn } = recover(BufReader::new(&file))?;
    if let Some(past) = &past {
        check(past.header(), header, force)?;
    }
    let mut opened = match past {
        Some(past) => Opened { file, length: whole, past, resumed: true },
        None => Opened { file, length: 0, past: Past::new(header.clone()), resumed: false },
    };
    opened.prepare(header, torn).map_err(OpenError::Write)?;
    if !opened.resumed {
        sync_folder(path).map_err(OpenError::Write)?;
    }
    Ok(opened)
}

/// What [`open`] would know, without touching the journal; `None` if there is none.
///
/// # Errors
///
/// [`OpenError`], as [`open`].
pub fn inspect(path: &Path, header: &Header, force: bool) -> Result<Option<Past>, OpenError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(OpenError::Open(error)),
    };
    let Some(mut past) = recover(BufReader::new(file))?.past else { return Ok(None) };
    check(past.header(), header, force)?;
    if begins_again(past.header(), header) {
        past.begin_again(header.clone());
    }
    Ok(Some(past))
}

/// Whether the lines of the journal are not those of this sweep. Standard input is never the same.
fn begins_again(journal: &Header, now: &Header) -> bool {
    journal != now || now.input.is_none()
}

/// Whether a sweep may go on with a journal.
fn check(journal: &Header, now: &Header, force: bool) -> Result<(), OpenError> {
    if journal.endpoint != now.endpoint {
        let (journal, now) = (journal.endpoint.clone(), now.endpoint.clone());
        return Err(OpenError::OtherEndpoint { journal, now });
    }
    if force {
        return Ok(());
    }
    if now.input.is_none() {
        return Err(OpenError::UnknownInput);
    }
    if journal.input != now.input {
        return Err(OpenError::OtherInput);
    }
    let names = journal.settings.keys().chain(now.settings.keys());
    for name in names {
        let (before, now) = (journal.settings.get(name), now.settings.get(name));
        if before != now {
            let told = |value: Option<&String>| value.map_or("not set".to_owned(), Clone::clone);
            let (before, now) = (told(before), told(now));
            return Err(OpenError::OtherSetting { name: name.clone(), before, now });
        }
    }
    Ok(())
}

impl Opened {
    /// Cuts off a torn end, and writes the header where it is missing or another one.
    fn prepare(&mut self, header: &Header, torn: bool) -> io::Result<()> {
        if torn {
            self.file.set_len(self.length)?;
        }
        self.file.seek(SeekFrom::Start(self.length))?;
        let begins_again = begins_again(self.past.header(), header);
        if !self.resumed || begins_again {
            let mut line = Vec::new();
            if self.resumed {
                Record::Synced(self.length).write(&mut line);
                self.past.begin_again(header.clone());
            }
            Record::Header(header.clone()).write(&mut line);
            self.file.write_all(&line)?;
            self.length += line.len() as u64;
        }
        // Also with nothing to write: the end of a journal whose machine lost power may be in the
        // cache alone, and the next batch will say that it is on disk.
        self.file.sync_all()
    }
}

/// A new file is lost in a power cut unless its folder is on disk as well.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests;
