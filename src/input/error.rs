//! What can be wrong with a file and with a line of it. No text repeats content: it may be a token.

use std::io;

use thiserror::Error;

use crate::domain::{InvalidJob, MAX_BODY_BYTES};

use super::{
    columns::Ambiguous, csv::MAX_FIELDS, format::Format, header::HeaderFault, sniff::NotText,
};

/// Why a file is not read at all.
#[derive(Debug, Error)]
pub enum OpenError {
    /// There is nothing of that name.
    #[error("there is no such file")]
    NotThere,
    /// A folder is no file.
    #[error("it is a directory; name a file in it")]
    Directory,
    /// The system's fault, or the decompressor's.
    #[error("cannot be read")]
    Io(#[from] io::Error),
    /// Neither its name nor the caller says what it is.
    #[error("its name does not tell the format; say it: --format ndjson, csv or text")]
    UnknownFormat,
    /// What is said of columns fits no other format.
    #[error("--column and --delimiter are for CSV, and it is read as {0}; say --format csv")]
    NoColumns(Format),
    /// What is said of columns contradicts itself.
    #[error(transparent)]
    Columns(#[from] Ambiguous),
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
    /// Nothing stands in it, or nothing below its header row.
    #[error("it holds no jobs: it is empty, or has nothing but blank lines or a header row")]
    NoRecord,
    /// No line could become a job with this fill.
    #[error("what was given to fill in is no part of a job: {0}")]
    Fill(InvalidJob),
}

impl OpenError {
    /// The system's word, where it is one of those that have a sentence of their own.
    pub(super) fn of(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::NotThere,
            io::ErrorKind::IsADirectory => Self::Directory,
            _ => Self::Io(error),
        }
    }
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

impl ReadError {
    /// Whether the fault lies in what stands in the file: to read it once more ends at the same place.
    #[must_use]
    pub fn is_of_the_content(&self) -> bool {
        is_of_the_content(&self.source)
    }
}

/// Whether an error lies in what was read, not in the reading.
pub(super) fn is_of_the_content(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
    matches!(error.kind(), InvalidData | InvalidInput | UnexpectedEof)
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
    /// A CSV record on one line that is over [`MAX_BODY_BYTES`], or too wide.
    #[error("the record has more than {MAX_BODY_BYTES} bytes or {MAX_FIELDS} fields")]
    RecordTooLong,
    /// A quote on the line is neither closed nor written twice.
    #[error(
        "a quote on line {line} is not closed as it should be; close it, or write a quote inside a \
         field twice"
    )]
    StrayQuote {
        /// Its line.
        line: u64,
    },
    /// A quote has made one record of lines that look like records: it is not closed as it should be, the
    /// record is longer or wider than one may be, or a line of it could be a row by itself.
    #[error(
        "a quote that opens on line {opened} runs on to line {last_line}: {} lines behind it were not \
         read as jobs; close the quote on its line, or, if these lines belong to the field, write it on \
         one line",
        self.swallowed()
    )]
    Swallowed {
        /// The line on which it opens.
        opened: u64,
        /// The line on which its record ends.
        last_line: u64,
    },
    /// A CSV record that is not as wide as the header.
    #[error(
        "the record has {found} fields, the header has {expected}; is a delimiter inside a field not quoted?"
    )]
    Width {
        /// Fields of the record.
        found: usize,
        /// Fields of the header.
        expected: usize,
    },
    /// The header row of a second file.
    #[error("it is a header row and no job; were two files joined here?")]
    HeaderRow,
    /// The header row of a second file with other columns.
    #[error(
        "it is a header row with other columns than the first; were two files joined here? The rows \
         below it are refused: split the file here"
    )]
    OtherHeaderRow,
    /// A row of which nobody can say which column is which.
    #[error("it stands below another header row, on line {line}; split the file there")]
    OtherColumns {
        /// The line of that header row.
        line: u64,
    },
    /// The header row of a table in a file of one token a line.
    #[error(
        "it is the header row of a CSV file, and the file is read as one token a line; the lines below it \
         are refused: say --format csv, or split the file here"
    )]
    TableHeader,
    /// A line below such a row: nobody can say what of it is the token.
    #[error(
        "it stands below the header row of a CSV file, on line {line}, and the file is read as one token a \
         line; say --format csv, or split the file there"
    )]
    TableRow {
        /// The line of that header row.
        line: u64,
    },
    /// A field in another encoding.
    #[error("the field {0} is not UTF-8")]
    NotUtf8(&'static str),
    /// A tab or a line break inside a field: the line is not of the form that it is read as.
    #[error(
        "the field {0} holds a control character, such as a tab; write it as NDJSON if it must"
    )]
    ControlCharacter(&'static str),
    /// A blank around the token, which is kept byte for byte.
    #[error(
        "the token begins or ends with {0}; take it away, for the endpoint would get it as well"
    )]
    Surrounded(&'static str),
    /// Quotes around the token, which is kept byte for byte.
    #[error(
        "quotes stand around the token; take them away, for the endpoint would get them as well"
    )]
    Quoted,
    /// A character inside the token that nobody sees.
    #[error("the token holds {0}, which nobody sees and no token has")]
    Invisible(&'static str),
}

impl Refusal {
    /// What kind of refusal it is, for counts.
    #[must_use]
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

    /// The lines behind its own that were not read as jobs either.
    #[must_use]
    pub const fn swallowed(self) -> u64 {
        match self {
            Self::Swallowed { opened, last_line } => last_line.saturating_sub(opened),
            _ => 0,
        }
    }
}
