//! From lines of any format to jobs as JSON, not yet judged.

use std::io::{self, BufRead as _};

use super::{
    cells::{Cells, Field},
    csv::{CsvRecords, Extent},
    error::{OpenError, Refusal},
    format::Format,
    header::{self, HeaderFault},
    raw::{RawLine, RawLines},
    source::Text,
};

/// The jobs of a file.
pub(super) enum Records {
    Ndjson(RawLines<Text>),
    Csv { records: CsvRecords<Text>, columns: Vec<Option<Field>> },
    Text(RawLines<Text>),
}

/// A line that is not blank.
pub(super) struct Record {
    pub(super) number: u64,
    /// What may be a job, or why it cannot be one.
    pub(super) body: Result<Vec<u8>, Refusal>,
}

impl Records {
    pub(super) fn new(format: Format, mut text: Text) -> Result<Self, OpenError> {
        Ok(match format {
            Format::Ndjson => {
                if begins_a_document(text.fill_buf()?) {
                    return Err(OpenError::NotPerLine);
                }
                Self::Ndjson(RawLines::new(text))
            }
            Format::Text => {
                if names_the_token(text.fill_buf()?) {
                    return Err(OpenError::NotTokens);
                }
                Self::Text(RawLines::new(text))
            }
            Format::Csv => {
                let mut records = CsvRecords::new(text);
                let columns = match records.next()? {
                    // A file without even a header has no jobs, like any other that is empty.
                    None => Vec::new(),
                    Some(Extent { fields: None, .. }) => Err(HeaderFault::TooLong)?,
                    Some(extent) => header::read(&records.fields(extent).collect::<Vec<_>>())?,
                };
                Self::Csv { records, columns }
            }
        })
    }

    /// The line that is read next, from 1.
    pub(super) fn next_line(&self) -> u64 {
        match self {
            Self::Ndjson(lines) | Self::Text(lines) => lines.number() + 1,
            Self::Csv { records, .. } => records.next_line(),
        }
    }

    /// The next line that is not blank; `None` at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Record>> {
        match self {
            Self::Ndjson(lines) => next_of(lines, |line| Ok(line.trim_ascii().to_vec())),
            // A token is kept byte for byte: one may begin with a space.
            Self::Text(lines) => next_of(lines, |token| {
                let mut cells = Cells::default();
                cells.set(Field::RefreshToken, token)?;
                Ok(cells.to_json())
            }),
            Self::Csv { records, columns } => loop {
                let Some(extent) = records.next()? else { return Ok(None) };
                // Spreadsheets write rows of nothing but commas.
                let blank = |records: &CsvRecords<_>| records.fields(extent).all(<[u8]>::is_empty);
                if extent.fields.is_some() && blank(records) {
                    continue;
                }
                let body = job(records, columns, extent);
                return Ok(Some(Record { number: extent.first_line, body }));
            },
        }
    }
}

fn next_of(
    lines: &mut RawLines<Text>,
    body: impl Fn(&[u8]) -> Result<Vec<u8>, Refusal>,
) -> io::Result<Option<Record>> {
    loop {
        let body = match lines.next()? {
            None => return Ok(None),
            Some(RawLine::Whole(line)) if line.trim_ascii().is_empty() => continue,
            Some(RawLine::Whole(line)) => body(line),
            Some(RawLine::TooLong) => Err(Refusal::LineTooLong),
        };
        return Ok(Some(Record { number: lines.number(), body }));
    }
}

fn job(
    records: &CsvRecords<Text>,
    columns: &[Option<Field>],
    extent: Extent,
) -> Result<Vec<u8>, Refusal> {
    let Some(found) = extent.fields else {
        return Err(Refusal::RecordTooLong { last_line: extent.last_line });
    };
    if found != columns.len() {
        return Err(Refusal::Width { found, expected: columns.len() });
    }
    let mut cells = Cells::default();
    for (column, cell) in columns.iter().zip(records.fields(extent)) {
        if let Some(field) = column {
            cells.set(*field, cell)?;
        }
    }
    Ok(cells.to_json())
}

/// Whether the first line names the field that it should hold: each line would pass for a token, and
/// the endpoint would reject all of them.
fn names_the_token(beginning: &[u8]) -> bool {
    let line = beginning.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let name = Field::RefreshToken.name().as_bytes();
    line.to_ascii_lowercase().windows(name.len()).any(|part| part == name)
}

/// Whether a file begins as one JSON document over many lines: an array, or an object of which the
/// first line has nothing but the brace.
fn begins_a_document(beginning: &[u8]) -> bool {
    let beginning = beginning.trim_ascii_start();
    match beginning.first() {
        Some(b'[') => true,
        Some(b'{') => {
            let line = beginning[1..].split(|byte| *byte == b'\n').next().unwrap_or_default();
            line.trim_ascii().is_empty() && beginning.contains(&b'\n')
        }
        _ => false,
    }
}
