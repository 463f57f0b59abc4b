//! Files of jobs: NDJSON, CSV or one token a line, perhaps compressed, from a file or standard input.
//!
//! The worker's own rules check every line: it is a job, a refusal or a duplicate. Reading blocks.
//! Asynchronous callers use a [`Feed`], which reads on a thread of its own.
//!
//! A line longer than a job may be is skipped, not held. Only the memory for duplicates grows with the number
//! of jobs, by a few dozen bytes each.
//!
//! Lines are numbered as editors do: a line feed, a carriage return, or both in this order end one. The
//! numbers grow strictly, which is checked here.

mod ascending;
mod columns;
mod csv;
mod dedup;
mod defaults;
mod error;
mod expired;
mod feed;
mod fields;
mod format;
mod gzip;
mod header;
mod line_ends;
mod options;
mod padding;
mod raw;
mod records;
mod remarks;
mod sniff;
mod source;
mod table;
mod token;
mod zstd;

use std::{
    fmt, io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use secrecy::{ExposeSecret as _, SecretSlice};

use crate::domain::{Job, JobDefaults};

use self::{
    dedup::Deduplicator,
    defaults::FieldFiller,
    records::{InputRecord, InputRecords},
};

pub use self::{
    ascending::{Ascending, NotAscending},
    columns::{Column, Columns, Delimiter},
    defaults::FieldDefaults,
    error::{InputOpenError, ReadError, Refusal},
    expired::of_expired,
    feed::Feed,
    format::InputFormat,
    options::Options,
    remarks::{Remark, Remarks, named},
    source::{STDIN, check as check_path, has_lone_returns},
};

/// Opens a file, or standard input for `-`. Decompresses gzip and zstd, and checks the first bytes. Blocks
/// until there is a line.
///
/// Fails if the file cannot be read, has an unknown or a wrong format, or has no line. One error is better
/// than a refusal of each line.
pub fn open(path: &Path, options: &Options) -> Result<InputLines, InputOpenError> {
    let filler = FieldFiller::new(&options.field_defaults)?;
    options.columns.check()?;
    // First: a missing file must not be reported as a missing extension.
    check_path(path)?;
    let format = match options.format_of(path) {
        Some(format) => format,
        None if path == STDIN => InputFormat::Ndjson,
        None => return Err(InputOpenError::UnknownFormat),
    };
    if options.speak_of_columns() && format != InputFormat::Csv {
        return Err(InputOpenError::NoColumns(format));
    }
    let (reader, progress) = source::open(path)?;
    let delimiter = options.delimiter.unwrap_or_default();
    let mut lines = InputLines {
        progress,
        records: InputRecords::new(format, &options.columns, delimiter, reader)?,
        numbers: Ascending::default(),
        filler,
        defaults: options.defaults.clone(),
        dedup: Deduplicator::default(),
        ahead: None,
        ended: false,
    };
    lines.ahead = match lines.read() {
        Ok(None) => return Err(InputOpenError::NoRecord),
        // An error comes after the lines before it, also if there are none.
        first => Some(first),
    };
    Ok(lines)
}

/// The lines of a file in order, without blank ones. There are none after an error.
pub struct InputLines {
    records: InputRecords,
    filler: FieldFiller,
    defaults: JobDefaults,
    dedup: Deduplicator,
    progress: ReadProgress,
    numbers: Ascending,
    /// A record that was read ahead: the first one, or the one after skipped lines.
    ahead: Option<Result<Option<InputRecord>, ReadError>>,
    ended: bool,
}

/// The records hold tokens.
impl fmt::Debug for InputLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lines").field("progress", &self.progress).finish_non_exhaustive()
    }
}

#[derive(Debug)]
pub struct InputLine {
    /// Its number, from 1; for a CSV record over several lines, that of the first. It grows from line to line.
    pub number: u64,
    pub last_line: u64,
    /// Whether a byte order mark, which was left out, precedes it: another file begins there.
    pub marked: bool,
    pub kind: LineKind,
}

#[derive(Debug)]
pub enum LineKind {
    Job(InputJob),
    /// An earlier line asks for the same call, with the same expiry.
    Duplicate(Job),
    Refused(Refusal),
}

#[derive(Debug)]
pub struct InputJob {
    /// The body of the queue message.
    pub body: SecretSlice<u8>,
    pub job: Job,
}

/// The progress of reading a file, shared by all clones.
#[derive(Debug, Clone)]
pub struct ReadProgress {
    read: Arc<AtomicU64>,
    /// The size of the file on disk, in bytes; `None` for a pipe.
    pub total: Option<u64>,
}

impl ReadProgress {
    /// Returns the bytes that were read of the file on disk.
    pub fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }
}

impl InputLines {
    pub fn progress(&self) -> ReadProgress {
        self.progress.clone()
    }

    /// Skips the lines before this one without checking them; returns how many there were, without blank
    /// ones. Skipped lines do not count for duplicates.
    pub fn skip_before(&mut self, line: u64) -> Result<u64, ReadError> {
        let mut skipped = 0;
        while let Some(record) = self.read()? {
            if record.number >= line {
                self.ahead = Some(Ok(Some(record)));
                break;
            }
            skipped += 1;
        }
        Ok(skipped)
    }

    fn read(&mut self) -> Result<Option<InputRecord>, ReadError> {
        if let Some(ahead) = self.ahead.take() {
            return ahead;
        }
        if self.ended {
            return Ok(None);
        }
        let read = self.records.next().and_then(|record| {
            let number = record.as_ref().map(|record| record.number);
            number.map_or(Ok(()), |number| self.numbers.pass(number)).map_err(io::Error::other)?;
            Ok(record)
        });
        self.ended = !matches!(read, Ok(Some(_)));
        read.map_err(|source| ReadError { line: self.records.next_line(), source })
    }

    fn judge(&mut self, body: Vec<u8>) -> LineKind {
        let (body, job) = match self.parse(body) {
            Ok(parsed) => parsed,
            Err(refusal) => return LineKind::Refused(refusal),
        };
        if !self.dedup.insert(&job) {
            return LineKind::Duplicate(job);
        }
        LineKind::Job(InputJob { body: body.into(), job })
    }

    fn parse(&self, body: Vec<u8>) -> Result<(Vec<u8>, Job), Refusal> {
        let (body, job) = match self.filler.fill(&body) {
            None => {
                let job = Job::parse(&body, &self.defaults)?;
                (body, job)
            }
            Some(filled) => {
                // The error describes the file, not the filled body.
                let job = Job::parse(&filled, &self.defaults)
                    .or_else(|fault| Job::parse(&body, &self.defaults).and(Err(fault)))?;
                (filled, job)
            }
        };
        token::check(job.token.expose_secret())?;
        Ok((body, job))
    }
}

impl Iterator for InputLines {
    type Item = Result<InputLine, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let line = self.read().transpose()?.map(|record| {
            let InputRecord { number, last_line, marked, body } = record;
            let kind = match body {
                Ok(body) => self.judge(body),
                Err(refusal) => LineKind::Refused(refusal),
            };
            InputLine { number, last_line, marked, kind }
        });
        Some(line)
    }
}

#[cfg(test)]
mod tests;
