//! Opens or creates the journal, and locks it.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, BufReader, Seek as _, SeekFrom, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use thiserror::Error;

use super::{
    record::{JournalHeader, JournalRecord},
    recover::{RecoverError, Recovered, recover},
    state::JournalState,
};
use crate::input;

/// The journal names clients and users, so only its owner may read it.
const MODE: u32 = 0o600;

/// A journal that this process may append to.
#[derive(Debug)]
pub struct OpenedJournal {
    /// At its end, and locked while it is open.
    pub file: File,
    /// Its size in bytes, all of them on disk.
    pub length: u64,
    pub state: JournalState,
    /// Whether it existed before.
    pub resumed: bool,
}

/// The error of opening a journal.
#[derive(Debug, Error)]
pub enum JournalOpenError {
    #[error("cannot be opened; --journal gives it another place")]
    Open(#[source] io::Error),
    #[error("cannot be written")]
    Write(#[source] io::Error),
    #[error("another sweep is using it")]
    Locked,
    #[error(transparent)]
    Recover(#[from] RecoverError),
    #[error(
        "it records calls to {journal}, not to {now}; use another --journal for another endpoint"
    )]
    OtherEndpoint { journal: String, now: String },
    #[error(
        "the input has changed since the sweep began, so its lines may not match the journal; \
         with --force, tokens that are known to be revoked are not called again, and all other \
         lines are processed"
    )]
    OtherInput,
    #[error(
        "it existed before, and standard input may have changed; with --force, tokens that are \
         known to be revoked are not called again, and all other lines are processed"
    )]
    UnknownInput,
    #[error(
        "{name} was {before} when the sweep began and is {now}, so the lines would be other jobs; give the \
         former value, or --force"
    )]
    OtherSetting {
        name: String,
        /// The value, or "not set".
        before: String,
        /// The value, or "not set".
        now: String,
    },
    /// The former version counted line feeds alone.
    #[error(
        "an earlier version wrote it, which did not count the carriage returns that end lines in \
         this input: several lines had one number, and it is unknown which of them have ended; \
         with --force, tokens that are known to be revoked are not called again, and all other \
         lines are processed"
    )]
    OtherNumbers,
    #[error("the input")]
    Input(#[from] input::InputOpenError),
}

impl JournalOpenError {
    /// Whether another command line can avoid it.
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

/// Decides whether a sweep may resume with a journal.
pub struct ResumeCheck<'a> {
    pub header: &'a JournalHeader,
    /// Whether to resume with a journal of another input.
    pub force: bool,
    /// Whether a carriage return alone ends a line of the input. It reads the whole input, so it is called only for a
    /// journal that did not count such lines.
    pub has_lone_returns: &'a dyn Fn() -> Result<bool, input::InputOpenError>,
}

/// Opens the journal at `path`, or creates it.
///
/// After an error, the journal is as before.
pub fn open(path: &Path, sweep: &ResumeCheck<'_>) -> Result<OpenedJournal, JournalOpenError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(MODE);
    let file = options.open(path).map_err(JournalOpenError::Open)?;
    file.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => JournalOpenError::Locked,
        TryLockError::Error(error) => JournalOpenError::Open(error),
    })?;
    // After the lock: another process that has just created the file has written its header.
    let Recovered { state, whole, torn } = recover(BufReader::new(&file))?;
    let ResumeCheck { header, .. } = *sweep;
    let (going, mut opened) = if let Some(state) = state {
        let going = sweep.check(state.header())?;
        (going, OpenedJournal { file, length: whole, state, resumed: true })
    } else {
        let state = JournalState::new(header.clone());
        (ResumeMode::On, OpenedJournal { file, length: 0, state, resumed: false })
    };
    opened.prepare(header, going, torn).map_err(JournalOpenError::Write)?;
    if !opened.resumed {
        sync_folder(path).map_err(JournalOpenError::Write)?;
    }
    Ok(opened)
}

/// Returns the state that [`open`] would return, without touching the journal; `None` if there is none.
pub fn inspect(
    path: &Path,
    sweep: &ResumeCheck<'_>,
) -> Result<Option<JournalState>, JournalOpenError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(JournalOpenError::Open(error)),
    };
    let Some(mut state) = recover(BufReader::new(file))?.state else { return Ok(None) };
    if sweep.check(state.header())? == ResumeMode::Anew {
        state.begin_again(sweep.header.clone());
    }
    Ok(Some(state))
}

/// The mode of resuming with a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ResumeMode {
    /// The same input: the line numbers of the journal are valid.
    On,
    /// Another input, or other line numbers.
    Anew,
}

impl ResumeCheck<'_> {
    /// Decides the mode of resuming with a journal that has this header.
    fn check(&self, journal: &JournalHeader) -> Result<ResumeMode, JournalOpenError> {
        let now = self.header;
        if journal.endpoint != now.endpoint {
            let (journal, now) = (journal.endpoint.clone(), now.endpoint.clone());
            return Err(JournalOpenError::OtherEndpoint { journal, now });
        }
        // Standard input is never known to be the same.
        let known = now.input.is_some() && journal.is_of_the_same_sweep(now);
        if !known && !self.force {
            return Err(other(journal, now));
        }
        if !known {
            return Ok(ResumeMode::Anew);
        }
        if !journal.counts_line_feeds() || !(self.has_lone_returns)()? {
            return Ok(ResumeMode::On);
        }
        if self.force { Ok(ResumeMode::Anew) } else { Err(JournalOpenError::OtherNumbers) }
    }
}

/// Returns how a journal differs from this sweep, apart from the endpoint.
fn other(journal: &JournalHeader, now: &JournalHeader) -> JournalOpenError {
    if now.input.is_none() {
        return JournalOpenError::UnknownInput;
    }
    if journal.input != now.input {
        return JournalOpenError::OtherInput;
    }
    let names = journal.settings.keys().chain(now.settings.keys());
    let mut names = names.filter(|name| journal.settings.get(*name) != now.settings.get(*name));
    let name = names.next().cloned().unwrap_or_default();
    let told =
        |header: &JournalHeader| header.settings.get(&name).map_or("not set".into(), Clone::clone);
    JournalOpenError::OtherSetting { before: told(journal), now: told(now), name }
}

impl OpenedJournal {
    /// Cuts off a torn end, and writes the header if it is missing or differs.
    fn prepare(&mut self, header: &JournalHeader, going: ResumeMode, torn: bool) -> io::Result<()> {
        if torn {
            self.file.set_len(self.length)?;
        }
        self.file.seek(SeekFrom::Start(self.length))?;
        if !self.resumed || going == ResumeMode::Anew {
            let mut line = Vec::new();
            if self.resumed {
                JournalRecord::Synced(self.length).write(&mut line);
                self.state.begin_again(header.clone());
            }
            JournalRecord::Header(header.clone()).write(&mut line);
            self.file.write_all(&line)?;
            self.length += line.len() as u64;
        }
        // Also with nothing to write: after a power cut the end of the journal may be only in the cache. The next batch
        // will claim that it is on disk.
        self.file.sync_all()
    }
}

/// A power cut loses a new file unless its folder is synced too.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests;
