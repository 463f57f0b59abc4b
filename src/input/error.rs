//! Errors of a file and of its lines. No text repeats content: it may be a token.

use std::io;

use thiserror::Error;

use crate::domain::{InvalidJob, MAX_BODY_BYTES};

use super::{csv::MAX_FIELDS, format::InputFormat, header::HeaderFault, sniff::NotText};

/// The error of opening a file.
#[derive(Debug, Error)]
pub enum InputOpenError {
    #[error("there is no such file")]
    NotThere,
    #[error("it is a directory; name a file in it")]
    Directory,
    /// An error of the system or of the decompressor.
    #[error("cannot be read")]
    Io(#[from] io::Error),
    #[error("its name does not show the format; give --format ndjson, csv or text")]
    UnknownFormat,
    #[error("--column and --delimiter are for CSV, and it is read as {0}; say --format csv")]
    NoColumns(InputFormat),
    #[error("--column gives two columns for one field, or one column for two fields: {0}")]
    Columns(&'static str),
    #[error(transparent)]
    NotText(#[from] NotText),
    #[error("it is JSON, but not one object per line; make it so with jq -c '.[]' or jq -c .")]
    NotPerLine,
    #[error(
        "its first line names refresh_token: it is CSV or NDJSON and not one token a line; say it: --format csv or ndjson"
    )]
    NotTokens,
    #[error(transparent)]
    Header(#[from] HeaderFault),
    #[error("it holds no jobs: it is empty, or has nothing but blank lines or a header row")]
    NoRecord,
    /// No line could become a job with this value.
    #[error("the value for missing fields is invalid: {0}")]
    FieldDefault(InvalidJob),
}

impl InputOpenError {
    pub(super) fn of(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::NotThere,
            io::ErrorKind::IsADirectory => Self::Directory,
            _ => Self::Io(error),
        }
    }
}

/// The error of reading the rest of a file.
#[derive(Debug, Error)]
#[error("cannot be read from line {line} on")]
pub struct ReadError {
    /// The first line that is missing, from 1.
    pub line: u64,
    /// An error of the system or of the decompressor.
    pub source: io::Error,
}

impl ReadError {
    /// Whether the file's content is at fault: another run would end at the same line.
    pub fn is_of_the_content(&self) -> bool {
        is_of_the_content(&self.source)
    }
}

/// Whether an error is about the content, not about the reading.
pub(super) fn is_of_the_content(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
    matches!(error.kind(), InvalidData | InvalidInput | UnexpectedEof)
}

/// The refusal of a line that is no job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The worker's own rules refuse it.
    #[error(transparent)]
    Invalid(#[from] InvalidJob),
    #[error("the line has more than {MAX_BODY_BYTES} bytes")]
    LineTooLong,
    #[error("the record has more than {MAX_BODY_BYTES} bytes or {MAX_FIELDS} fields")]
    RecordTooLong,
    #[error(
        "a quote on line {line} is not closed as it should be; close it, or write a quote inside a \
         field twice"
    )]
    StrayQuote { line: u64 },
    /// A quote made one record of lines that look like records. It is not closed properly, or the record is
    /// too long or too wide, or one of its lines could be a row.
    #[error(
        "a quote that opens on line {opened} extends to line {last_line}: {} lines behind it were \
         not read as jobs; close the quote on its line, or, if these lines belong to the field, \
         write it on one line",
        self.swallowed()
    )]
    Swallowed { opened: u64, last_line: u64 },
    #[error(
        "the record has {found} fields, the header has {expected}; is a delimiter inside a field not quoted?"
    )]
    Width { found: usize, expected: usize },
    #[error("it is a header row and no job; were two files joined here?")]
    HeaderRow,
    #[error(
        "it is a header row with other columns than the first; were two files joined here? The rows \
         below it are refused: split the file here"
    )]
    OtherHeaderRow,
    #[error("it is below another header row, on line {line}; split the file there")]
    OtherColumns { line: u64 },
    #[error(
        "it is the header row of a CSV file, and the file is read as one token a line; the lines below it \
         are refused: say --format csv, or split the file here"
    )]
    TableHeader,
    #[error(
        "it is below the header row of a CSV file, on line {line}, and the file is read as one \
         token a line; say --format csv, or split the file there"
    )]
    TableRow { line: u64 },
    #[error("the field {0} is not UTF-8")]
    NotUtf8(&'static str),
    #[error(
        "the field {0} holds a control character, such as a tab; remove it, or write the line as NDJSON \
         if it belongs to the field"
    )]
    ControlCharacter(&'static str),
    #[error(
        "the token begins or ends with {0}; remove it, because it would be sent to the endpoint"
    )]
    Surrounded(&'static str),
    #[error("quotes surround the token; remove them, because they would be sent to the endpoint")]
    Quoted,
    #[error("the token contains {0}, which is invisible and never part of a token")]
    Invisible(&'static str),
}

impl Refusal {
    /// Returns the kind of the refusal, for counts.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Invalid(_) => "invalid_job",
            Self::LineTooLong | Self::RecordTooLong => "too_long",
            Self::StrayQuote { .. } | Self::Swallowed { .. } => "stray_quote",
            Self::Width { .. } => "wrong_width",
            Self::HeaderRow
            | Self::OtherHeaderRow
            | Self::OtherColumns { .. }
            | Self::TableHeader
            | Self::TableRow { .. } => "header_row",
            Self::NotUtf8(_) | Self::ControlCharacter(_) => "bad_text",
            Self::Surrounded(_) | Self::Quoted | Self::Invisible(_) => "odd_token",
        }
    }

    /// Returns the number of further lines that were not read as jobs.
    pub const fn swallowed(self) -> u64 {
        match self {
            Self::Swallowed { opened, last_line } => last_line.saturating_sub(opened),
            _ => 0,
        }
    }
}
