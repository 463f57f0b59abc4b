//! Reads a journal back, also after a crash or a power cut.
//!
//! Only the last batch can be incomplete: each batch is on disk before the next one begins. The first record of the
//! next batch confirms that. So an unreadable line after all synced bytes is the incomplete end. It is cut off with
//! everything after it: no settlement had returned, and its lines may have been called. An unreadable line before that
//! is damage that no crash explains. It is an error, since the line may have proved that a token was revoked.

use std::io::{self, BufRead, Read as _};

use thiserror::Error;

use super::{
    record::{BEGINNING, JournalHeader, JournalRecord, LINE_FEEDS, VERSION},
    state::JournalState,
};

/// The maximum length of a record, in bytes.
const MAX_RECORD: u64 = 1 << 20;

#[derive(Debug)]
pub struct Recovered {
    /// `None` if not even the header is complete.
    pub state: Option<JournalState>,
    /// The bytes up to the torn end.
    pub whole: u64,
    pub torn: bool,
}

/// The error of reading a journal back.
#[derive(Debug, Error)]
pub enum RecoverError {
    #[error("cannot be read")]
    Io(#[from] io::Error),
    /// The file is no journal, and must not be overwritten.
    #[error("is not a journal of a sweep; choose another --journal")]
    Stranger,
    #[error(
        "has the format of version {0}, and this program knows versions up to {VERSION}; use the \
         version that wrote it"
    )]
    Version(u32),
    #[error(
        "line {line} is damaged, and not by a crash, because later lines exist; restore the file, \
         or move it away to begin again, which may call tokens that are revoked already"
    )]
    Damaged {
        /// The line of the journal, from 1.
        line: u64,
    },
}

/// Reads all records. Changes nothing.
pub fn recover(journal: impl BufRead) -> Result<Recovered, RecoverError> {
    let mut state: Option<JournalState> = None;
    let Walked { whole, torn } = walk(journal, |record| match (&mut state, record) {
        (Some(state), record) => state.add(&record),
        (None, JournalRecord::Header(header)) => {
            state = Some(JournalState::new(header));
            true
        }
        (None, _) => false,
    })?;
    if let Some(state) = &mut state {
        state.index();
    }
    Ok(Recovered { state, whole, torn })
}

/// The end of a walk over a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Walked {
    /// The bytes up to the torn end.
    pub whole: u64,
    pub torn: bool,
}

/// Passes each record to `take`, the header first, up to a torn end. `take` returns whether the record can follow those
/// before it. Changes nothing.
pub fn walk(
    journal: impl BufRead,
    mut take: impl FnMut(JournalRecord) -> bool,
) -> Result<Walked, RecoverError> {
    let mut reader = RecordReader { journal, number: 0, offset: 0 };
    let mut line = Vec::new();
    let Some(header) = reader.first(&mut line)? else {
        return Ok(Walked { whole: 0, torn: reader.offset > 0 });
    };
    take(JournalRecord::Header(header));
    let mut torn = None;
    loop {
        let (number, offset) = (reader.number, reader.offset);
        if !reader.next(&mut line)? {
            break;
        }
        let record = line.strip_suffix(b"\n").and_then(JournalRecord::read);
        match (torn, record) {
            (Some((line, torn)), Some(JournalRecord::Synced(synced))) if synced > torn => {
                return Err(RecoverError::Damaged { line });
            }
            (Some(_), _) => {}
            (None, Some(record)) => {
                if !take(record) {
                    torn = Some((number + 1, offset));
                }
            }
            (None, None) => torn = Some((number + 1, offset)),
        }
    }
    let whole = torn.map_or(reader.offset, |(_, offset)| offset);
    Ok(Walked { whole, torn: torn.is_some() })
}

/// Reads the header of a journal; `None` if it is incomplete.
pub fn header(journal: impl BufRead) -> Result<Option<JournalHeader>, RecoverError> {
    RecordReader { journal, number: 0, offset: 0 }.first(&mut Vec::new())
}

struct RecordReader<R> {
    journal: R,
    /// Lines read.
    number: u64,
    /// Bytes read.
    offset: u64,
}

impl<R: BufRead> RecordReader<R> {
    /// Reads the next line with its line break, or an incomplete one; `false` at the end.
    fn next(&mut self, line: &mut Vec<u8>) -> io::Result<bool> {
        line.clear();
        let read = (&mut self.journal).take(MAX_RECORD).read_until(b'\n', line)?;
        self.offset += read as u64;
        self.number += 1;
        Ok(read > 0)
    }

    /// Reads the header; `None` if it is incomplete.
    fn first(&mut self, line: &mut Vec<u8>) -> Result<Option<JournalHeader>, RecoverError> {
        let whole = self.next(line)? && line.ends_with(b"\n");
        let seen = line.len().min(BEGINNING.len());
        if line[..seen] != BEGINNING[..seen] {
            return Err(RecoverError::Stranger);
        }
        if !whole {
            return Ok(None);
        }
        let version = version(line).ok_or(RecoverError::Damaged { line: self.number })?;
        if ![LINE_FEEDS, VERSION].contains(&version) {
            return Err(RecoverError::Version(version));
        }
        match JournalRecord::read(line.trim_ascii_end()) {
            Some(JournalRecord::Header(header)) => Ok(Some(header)),
            _ => Err(RecoverError::Damaged { line: self.number }),
        }
    }
}

/// Returns the version of a header, with any other fields.
fn version(header: &[u8]) -> Option<u32> {
    let header: serde_json::Value = serde_json::from_slice(header).ok()?;
    header.get("revoker_journal")?.as_u64()?.try_into().ok()
}

#[cfg(test)]
mod tests;
