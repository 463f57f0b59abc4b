//! Files of jobs: NDJSON, CSV or one token a line, perhaps compressed, from a file or standard input.
//!
//! Every line is judged by the worker's own rules before anything is done with it, and comes out as a
//! job, a refusal or a duplicate. Reading blocks: who is asynchronous takes the lines from a [`Feed`],
//! which reads on a thread of its own.
//!
//! Memory does not grow with the length of a line: what is longer than a job may be is skipped, not
//! held. It grows with the number of jobs by a few dozen bytes for each, to know duplicates by.
//!
//! A line is known by its number, as an editor counts: a line feed, a carriage return, or both in this
//! order end one. Numbers grow strictly from line to line, which is checked here for everybody.

mod ascending;
mod body;
mod cells;
mod columns;
mod csv;
mod error;
mod expired;
mod feed;
mod fills;
mod format;
mod gzip;
mod header;
mod line_ends;
mod options;
mod padding;
mod raw;
mod records;
mod remarks;
mod seen;
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
    time::SystemTime,
};

use secrecy::ExposeSecret as _;

use crate::domain::{Fingerprint, Job, JobDefaults, JobKey, has_passed};

use self::{
    fills::Filler,
    records::{Record, Records},
    seen::Seen,
};

pub use self::{
    ascending::{Ascending, NotAscending},
    body::Body,
    columns::{Ambiguous, Column, ColumnFault, Columns, Delimiter, UnknownDelimiter},
    error::{OpenError, ReadError, Refusal},
    expired::Expired,
    feed::Feed,
    fills::Fills,
    format::{Format, UnknownFormat},
    header::HeaderFault,
    options::Options,
    remarks::{Remark, Remarks},
    sniff::NotText,
    source::{check as check_path, has_lone_returns},
};

/// Opens a file, or standard input for `-`, decompresses it if it is gzip or zstd, and looks at its
/// beginning. Blocks until there is a line.
///
/// # Errors
///
/// [`OpenError`] if it cannot be read, its format is not known, it is plainly not what it is said to be,
/// which is better than to refuse each of its lines, or it has no line at all.
pub fn open(path: &Path, options: &Options) -> Result<Lines, OpenError> {
    let filler = Filler::new(&options.fills)?;
    options.columns.check()?;
    // A name that leads nowhere is not told to lack an extension.
    check_path(path)?;
    let format = match options.format_of(path) {
        Some(format) => format,
        None if path == source::STDIN => Format::Ndjson,
        None => return Err(OpenError::UnknownFormat),
    };
    if options.speak_of_columns() && format != Format::Csv {
        return Err(OpenError::NoColumns(format));
    }
    let source = source::open(path)?;
    let delimiter = options.delimiter.unwrap_or_default();
    let mut lines = Lines {
        progress: Progress { read: source.read, total: source.total },
        records: Records::new(format, &options.columns, delimiter, source.reader)?,
        numbers: Ascending::default(),
        filler,
        defaults: options.defaults.clone(),
        seen: Seen::default(),
        ahead: None,
        ended: false,
    };
    lines.ahead = match lines.read() {
        Ok(None) => return Err(OpenError::NoRecord),
        // A fault is told behind the lines before it, also where there are none.
        first => Some(first),
    };
    Ok(lines)
}

/// The lines of a file in their order. Blank ones are skipped; after an error there are no more.
pub struct Lines {
    records: Records,
    filler: Filler,
    defaults: JobDefaults,
    seen: Seen,
    progress: Progress,
    numbers: Ascending,
    /// What was read already: the first line, or what was read to find where skipping ends.
    ahead: Option<Result<Option<Record>, ReadError>>,
    ended: bool,
}

/// What it reads holds tokens.
impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lines").field("progress", &self.progress).finish_non_exhaustive()
    }
}

/// One line, judged.
#[derive(Debug)]
pub struct Line {
    /// Its number in the file, from 1, as an editor counts; of a CSV record that spans lines, the first.
    /// It is greater than that of the line before.
    pub number: u64,
    /// The number of the last line that it spans.
    pub last_line: u64,
    /// Whether a byte order mark stands in front of it, which was left out: another file begins there.
    pub marked: bool,
    /// What it is.
    pub kind: Kind,
}

/// What a line is.
#[derive(Debug)]
pub enum Kind {
    /// A job that no line before asked for.
    Job(Entry),
    /// The same call as a line before, to be made until the same time.
    Duplicate,
    /// No job.
    Refused(Refusal),
}

/// A valid job.
#[derive(Debug)]
pub struct Entry {
    /// The job as it goes on a queue.
    pub body: Body,
    /// What it shares with its duplicates.
    pub key: JobKey,
    /// How its token is shown.
    pub fingerprint: Fingerprint,
    /// When its token dies by itself.
    pub expires_at: Option<SystemTime>,
}

impl Entry {
    /// Whether its token has died by itself: no call is made then.
    #[must_use]
    pub fn has_expired(&self, now: SystemTime) -> bool {
        self.expires_at.is_some_and(|at| has_passed(at, now))
    }
}

/// How far a file is read; clones tell the same.
#[derive(Debug, Clone)]
pub struct Progress {
    read: Arc<AtomicU64>,
    /// The bytes of the file as it lies on disk; `None` for a pipe.
    pub total: Option<u64>,
}

impl Progress {
    /// The bytes read so far, of the file as it lies on disk.
    #[must_use]
    pub fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }
}

impl Lines {
    /// Tells how far the file is read, also while another thread reads it.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.progress.clone()
    }

    /// Skips the lines before this one without judging them; returns how many there were, blank ones
    /// not counted. They do not count for duplicates.
    ///
    /// # Errors
    ///
    /// [`ReadError`], as the iterator's.
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

    fn read(&mut self) -> Result<Option<Record>, ReadError> {
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

    fn judge(&mut self, body: Vec<u8>) -> Kind {
        let (body, job) = match self.parse(body) {
            Ok(parsed) => parsed,
            Err(refusal) => return Kind::Refused(refusal),
        };
        if !self.seen.insert(&job) {
            return Kind::Duplicate;
        }
        Kind::Job(Entry {
            body: Body::new(body),
            key: job.key(),
            fingerprint: job.fingerprint,
            expires_at: job.expires_at,
        })
    }

    fn parse(&self, body: Vec<u8>) -> Result<(Vec<u8>, Job), Refusal> {
        let (body, job) = match self.filler.fill(&body) {
            None => {
                let job = Job::parse(&body, &self.defaults)?;
                (body, job)
            }
            Some(filled) => {
                // A fault is told as it stands in the file, not in what was made of it.
                let job = Job::parse(&filled, &self.defaults)
                    .or_else(|fault| Job::parse(&body, &self.defaults).and(Err(fault)))?;
                (filled, job)
            }
        };
        token::check(job.token.expose_secret())?;
        Ok((body, job))
    }
}

impl Iterator for Lines {
    type Item = Result<Line, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let line = self.read().transpose()?.map(|record| {
            let Record { number, last_line, marked, body } = record;
            let kind = match body {
                Ok(body) => self.judge(body),
                Err(refusal) => Kind::Refused(refusal),
            };
            Line { number, last_line, marked, kind }
        });
        Some(line)
    }
}

#[cfg(test)]
mod tests;
