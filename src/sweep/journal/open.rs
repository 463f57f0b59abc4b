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
use crate::input;

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
    /// The form before this one counted line feeds alone.
    #[error(
        "an earlier version wrote it, which did not count the carriage returns that end lines in this \
         input: several lines had one number, and nobody can say which of them have ended; with --force, \
         what is known to be revoked is not called again, and all other lines are taken up"
    )]
    OtherNumbers,
    /// The input cannot be read.
    #[error("the input")]
    Input(#[from] input::OpenError),
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
            | Self::OtherNumbers
            | Self::Input(_)
            | Self::Recover(RecoverError::Stranger | RecoverError::Version(_)) => true,
            Self::Open(_) | Self::Write(_) | Self::Locked | Self::Recover(_) => false,
        }
    }
}

/// A sweep that may go on with a journal.
pub struct Sweep<'a> {
    /// What is swept, and where to.
    pub header: &'a Header,
    /// Whether to go on with a journal that was begun with another input.
    pub force: bool,
    /// Tells whether a carriage return ends a line of the input by itself. It reads all of it, and is
    /// asked only if a journal is there that did not count such lines.
    pub has_lone_returns: &'a dyn Fn() -> Result<bool, input::OpenError>,
}

/// Opens the journal at `path` for a sweep, or makes it.
///
/// # Errors
///
/// [`OpenError`]; then nothing of the journal was changed.
pub fn open(path: &Path, sweep: &Sweep<'_>) -> Result<Opened, OpenError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(MODE);
    let file = options.open(path).map_err(OpenError::Open)?;
    file.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => OpenError::Locked,
        TryLockError::Error(error) => OpenError::Open(error),
    })?;
    // Behind the lock: whoever made the file a moment ago has written its header.
    let Recovered { past, whole, torn } = recover(BufReader::new(&file))?;
    let Sweep { header, .. } = *sweep;
    let (going, mut opened) = if let Some(past) = past {
        let going = sweep.check(past.header())?;
        (going, Opened { file, length: whole, past, resumed: true })
    } else {
        let past = Past::new(header.clone());
        (Going::On, Opened { file, length: 0, past, resumed: false })
    };
    opened.prepare(header, going, torn).map_err(OpenError::Write)?;
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
pub fn inspect(path: &Path, sweep: &Sweep<'_>) -> Result<Option<Past>, OpenError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(OpenError::Open(error)),
    };
    let Some(mut past) = recover(BufReader::new(file))?.past else { return Ok(None) };
    if sweep.check(past.header())? == Going::Anew {
        past.begin_again(sweep.header.clone());
    }
    Ok(Some(past))
}

/// How a sweep goes on with a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Going {
    /// Its lines are those of the input.
    On,
    /// Its lines are those of another input, or their numbers are counted in another way.
    Anew,
}

impl Sweep<'_> {
    /// Tells how the sweep goes on with a journal that begins like this, if it may.
    fn check(&self, journal: &Header) -> Result<Going, OpenError> {
        let now = self.header;
        if journal.endpoint != now.endpoint {
            let (journal, now) = (journal.endpoint.clone(), now.endpoint.clone());
            return Err(OpenError::OtherEndpoint { journal, now });
        }
        // Standard input is never the same.
        let known = now.input.is_some() && journal.is_of_the_same_sweep(now);
        if !known && !self.force {
            return Err(other(journal, now));
        }
        if !known {
            return Ok(Going::Anew);
        }
        if !journal.counts_line_feeds() || !(self.has_lone_returns)()? {
            return Ok(Going::On);
        }
        if self.force { Ok(Going::Anew) } else { Err(OpenError::OtherNumbers) }
    }
}

/// Why a journal is not of this sweep, whose endpoint it has.
fn other(journal: &Header, now: &Header) -> OpenError {
    if now.input.is_none() {
        return OpenError::UnknownInput;
    }
    if journal.input != now.input {
        return OpenError::OtherInput;
    }
    let names = journal.settings.keys().chain(now.settings.keys());
    let mut names = names.filter(|name| journal.settings.get(*name) != now.settings.get(*name));
    let name = names.next().cloned().unwrap_or_default();
    let told = |header: &Header| header.settings.get(&name).map_or("not set".into(), Clone::clone);
    OpenError::OtherSetting { before: told(journal), now: told(now), name }
}

impl Opened {
    /// Cuts off a torn end, and writes the header where it is missing or another one.
    fn prepare(&mut self, header: &Header, going: Going, torn: bool) -> io::Result<()> {
        if torn {
            self.file.set_len(self.length)?;
        }
        self.file.seek(SeekFrom::Start(self.length))?;
        if !self.resumed || going == Going::Anew {
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
