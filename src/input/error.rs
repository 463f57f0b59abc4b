//! What can be wrong with a file and with a line of it. No text repeats content: it may be a token.

use std::io;

use thiserror::Error;

use crate::domain::{InvalidJob, MAX_BODY_BYTES};

use super::{header::HeaderFault, sniff::NotText};

/// Why a file is not read at all.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The system's fault, or the decompressor's.
    #[error("cannot be read")]
    Io(#[from] io::Error),
    /// Neither its name nor the caller says what it is.
    #[error("its name does not tell the format; say it: --format ndjson, csv or text")]
    UnknownFormat,
    /// Its beginning is not text.
    #[error(transparent)]
    NotText(#[from] NotText),
    /// JSON, but not one object a line.
    #[error("it is JSON, but not one object per line; make it so with jq -c '.[]' or jq -c .")]
    NotPerLine,
    /// It names a field of a job where a token should be.
    #[error(
        "its first line names refresh_token: it is CSV or NDJSON and not one token a line; say it: --format csv or ndjson"
    )]
    NotTokens,
    /// The header row of a CSV file does not say where the tokens are.
    #[error(transparent)]
    Header(#[from] HeaderFault),
    /// No line could become a job with this fill.
    #[error("what was given to fill in is no part of a job: {0}")]
    Fill(InvalidJob),
}

/// Why the rest of a file could not be read.
#[derive(Debug, Error)]
#[error("cannot be read from line {line} on")]
pub struct ReadError {
    /// The first line that is missing, from 1.
    pub line: u64,
    /// The system's fault, or the decompressor's.
    pub source: io::Error,
}

/// Why a line is no job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The worker's own rule.
    #[error(transparent)]
    Invalid(#[from] InvalidJob),
    /// A line over [`MAX_BODY_BYTES`].
    #[error("the line has more than {MAX_BODY_BYTES} bytes")]
    LineTooLong,
    /// A CSV record over [`MAX_BODY_BYTES`]. Mostly a quote that nobody closed: then it swallowed
    /// lines that look like records.
    #[error(
        "the record runs on to line {last_line} and has more than {MAX_BODY_BYTES} bytes or too many \
         fields; is a closing quote missing? No line of it was read as a job"
    )]
    RecordTooLong {
        /// The line on which it ends.
        last_line: u64,
    },
    /// A CSV record that is not as wide as the header.
    #[error("the record has {found} fields, the header has {expected}; is a comma not quoted?")]
    Width {
        /// Fields of the record.
        found: usize,
        /// Fields of the header.
        expected: usize,
    },
    /// A field in another encoding.
    #[error("the field {0} is not UTF-8")]
    NotUtf8(&'static str),
    /// A tab or a line break inside a field: the line is not of the form that it is read as.
    #[error(
        "the field {0} holds a control character, such as a tab; write it as NDJSON if it must"
    )]
    ControlCharacter(&'static str),
}
