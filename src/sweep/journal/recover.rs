//! Reads a journal back, also one whose writer was killed or whose machine lost power.
//!
//! Only the batch that was being written then can be torn, for each batch is on disk before the next
//! one begins, and says so in its first record. So an unreadable line behind everything that is known to
//! be on disk is the torn end, and is cut off with what follows it: no settlement had returned, and the
//! lines are in doubt. An unreadable line before that is damage that no crash explains, and is not
//! worked around: what stood there may be the proof that a token was revoked.

use std::io::{self, BufRead, Read as _};

use thiserror::Error;

use super::{
    past::Past,
    record::{BEGINNING, LINE_FEEDS, Record, VERSION},
};

/// No record is longer, in bytes.
const MAX_RECORD: u64 = 1 << 20;

/// What was read.
#[derive(Debug)]
pub struct Recovered {
    /// What the journal knows; `None` if not even its first record is whole.
    pub past: Option<Past>,
    /// The bytes up to the torn end.
    pub whole: u64,
    /// Whether there is a torn end.
    pub torn: bool,
}

/// Why a journal cannot be read back.
#[derive(Debug, Error)]
pub enum RecoverError {
    /// The system's fault.
    #[error("cannot be read")]
    Io(#[from] io::Error),
    /// Something else, and nothing of ours to write into.
    #[error("is not a journal of a sweep; choose another --journal")]
    Stranger,
    /// Written by another version of this program.
    #[error(
        "has the form of version {0}, and this program knows versions up to {VERSION}; use the version that \
         wrote it"
    )]
    Version(u32),
    /// Damage.
    #[error(
        "line {line} is damaged, and not by a crash, for what follows it was written later; restore \
         the file, or move it away to begin again, which may call tokens that are revoked already"
    )]
    Damaged {
        /// Of the journal, from 1.
        line: u64,
    },
}

/// Reads all records.
///
/// # Errors
///
/// [`RecoverError`]; nothing was changed.
pub fn recover(journal: impl BufRead) -> Result<Recovered, RecoverError> {
    let mut reader = Reader { journal, number: 0, offset: 0 };
    let mut line = Vec::new();
    let Some(mut past) = reader.first(&mut line)? else {
        return Ok(Recovered { past: None, whole: 0, torn: reader.offset > 0 });
    };
    let mut torn = None;
    loop {
        let (number, offset) = (reader.number, reader.offset);
        if !reader.next(&mut line)? {
            break;
        }
        let record = line.strip_suffix(b"\n").and_then(Record::read);
        match (torn, record) {
            (None, Some(record)) if past.add(&record).is_ok() => {}
            (None, _) => torn = Some((number + 1, offset)),
            (Some((line, torn)), Some(Record::Synced(synced))) if synced > torn => {
                return Err(RecoverError::Damaged { line });
            }
            (Some(_), _) => {}
        }
    }
    past.index();
    let whole = torn.map_or(reader.offset, |(_, offset)| offset);
    Ok(Recovered { past: Some(past), whole, torn: torn.is_some() })
}

struct Reader<R> {
    journal: R,
    /// Lines read.
    number: u64,
    /// Bytes read.
    offset: u64,
}

impl<R: BufRead> Reader<R> {
    /// Reads the next line with its line break, or what there is of it; `false` at the end.
    fn next(&mut self, line: &mut Vec<u8>) -> io::Result<bool> {
        line.clear();
        let read = (&mut self.journal).take(MAX_RECORD).read_until(b'\n', line)?;
        self.offset += read as u64;
        self.number += 1;
        Ok(read > 0)
    }

    /// Reads the header; `None` if there is none yet.
    fn first(&mut self, line: &mut Vec<u8>) -> Result<Option<Past>, RecoverError> {
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
        match Record::read(line.trim_ascii_end()) {
            Some(Record::Header(header)) => Ok(Some(Past::new(header))),
            _ => Err(RecoverError::Damaged { line: self.number }),
        }
    }
}

/// The version that a header names, whatever its other fields are.
fn version(header: &[u8]) -> Option<u32> {
    let header: serde_json::Value = serde_json::from_slice(header).ok()?;
    header.get("revoker_journal")?.as_u64()?.try_into().ok()
}

#[cfg(test)]
mod tests;
