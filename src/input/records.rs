//! Reads jobs as JSON from lines of any format. Their content is not checked yet.

use std::io::{self, BufRead as _};

use super::{
    columns::{Columns, Delimiter},
    error::{InputOpenError, Refusal},
    fields::{JobField, JobFields},
    format::InputFormat,
    line_ends::{NEWLINE, RETURN},
    raw::{RawLine, RawLines},
    sniff::UTF_8_MARK,
    source::Text,
    table::CsvTable,
};

pub(super) enum InputRecords {
    Ndjson(RawLines<Text>),
    Csv(CsvTable),
    Text(Tokens),
}

/// One token a line.
pub(super) struct Tokens {
    lines: RawLines<Text>,
    /// The line of a header row with several columns, to which the lines below it belong.
    table: Option<u64>,
}

/// A line that is not blank.
pub(super) struct InputRecord {
    pub(super) number: u64,
    pub(super) last_line: u64,
    /// Whether a byte order mark, which was left out, precedes it.
    pub(super) marked: bool,
    /// The JSON of a job, or the refusal of the line.
    pub(super) body: Result<Vec<u8>, Refusal>,
}

impl InputRecords {
    pub(super) fn new(
        format: InputFormat,
        columns: &Columns,
        delimiter: Delimiter,
        mut text: Text,
    ) -> Result<Self, InputOpenError> {
        Ok(match format {
            InputFormat::Ndjson => {
                if begins_a_document(text.fill_buf()?) {
                    return Err(InputOpenError::NotPerLine);
                }
                Self::Ndjson(RawLines::new(text))
            }
            InputFormat::Text => {
                if names_the_token(text.fill_buf()?) {
                    return Err(InputOpenError::NotTokens);
                }
                Self::Text(Tokens { lines: RawLines::new(text), table: None })
            }
            InputFormat::Csv => Self::Csv(CsvTable::new(text, columns, delimiter)?),
        })
    }

    pub(super) fn next_line(&self) -> u64 {
        match self {
            Self::Ndjson(lines) | Self::Text(Tokens { lines, .. }) => lines.number() + 1,
            Self::Csv(table) => table.next_line(),
        }
    }

    pub(super) fn next(&mut self) -> io::Result<Option<InputRecord>> {
        match self {
            Self::Ndjson(lines) => next_of(lines, |_, line| Ok(line.trim_ascii().to_vec())),
            Self::Text(Tokens { lines, table }) => {
                next_of(lines, |number, line| token(number, line, table))
            }
            Self::Csv(table) => table.next(),
        }
    }
}

fn next_of(
    lines: &mut RawLines<Text>,
    mut body: impl FnMut(u64, &[u8]) -> Result<Vec<u8>, Refusal>,
) -> io::Result<Option<InputRecord>> {
    loop {
        let number = lines.number() + 1;
        let (body, marked) = match lines.next()? {
            None => return Ok(None),
            Some(RawLine::Whole(line)) => {
                let (line, marked) = without_marks(line);
                if line.trim_ascii().is_empty() {
                    continue;
                }
                (body(number, line), marked)
            }
            Some(RawLine::TooLong) => (Err(Refusal::LineTooLong), false),
        };
        return Ok(Some(InputRecord { number, last_line: number, marked, body }));
    }
}

/// Returns the job of a line of tokens as JSON. Below a header row with several columns no line is a token,
/// until a header row with the token's column alone.
fn token(number: u64, line: &[u8], table: &mut Option<u64>) -> Result<Vec<u8>, Refusal> {
    if let Some(columns) = header_columns(line) {
        *table = (columns > 1).then_some(number);
        return Err(table.map_or(Refusal::HeaderRow, |_| Refusal::TableHeader));
    }
    if let Some(line) = *table {
        return Err(Refusal::TableRow { line });
    }
    let mut cells = JobFields::default();
    cells.set(JobField::RefreshToken, line)?;
    Ok(cells.to_json())
}

/// Returns a line without byte order marks in front, and whether there was one: each of several joined files
/// may have its own.
fn without_marks(mut line: &[u8]) -> (&[u8], bool) {
    let mut marked = false;
    while let Some(rest) = line.strip_prefix(UTF_8_MARK) {
        (line, marked) = (rest, true);
    }
    (line, marked)
}

fn first_line(beginning: &[u8]) -> &[u8] {
    beginning.split(|byte| matches!(*byte, NEWLINE | RETURN)).next().unwrap_or_default()
}

/// Whether the first line names the token's field. Then each line would be read as a token, and the endpoint would
/// reject all of them.
fn names_the_token(beginning: &[u8]) -> bool {
    let name = JobField::RefreshToken.as_str().as_bytes();
    first_line(beginning).to_ascii_lowercase().windows(name.len()).any(|part| part == name)
}

/// Returns the number of columns of a header row between lines of tokens, as in joined files. One of its cells
/// is the name of the token's field. A token may contain that name.
fn header_columns(line: &[u8]) -> Option<usize> {
    let divides = |byte: &u8| Delimiter::ALL.iter().any(|delimiter| delimiter.byte() == *byte);
    let none = Columns::default();
    // The length check avoids an allocation for most cells.
    let names =
        |cell: &[u8]| none.is_name(cell) && none.field(cell) == Some(JobField::RefreshToken);
    line.split(divides).any(names).then(|| line.split(divides).count())
}

/// Whether a file begins as one JSON document over many lines: an array, or an object whose first line is
/// only the brace.
fn begins_a_document(beginning: &[u8]) -> bool {
    let beginning = beginning.trim_ascii_start();
    match beginning.first() {
        Some(b'[') => true,
        Some(b'{') => {
            let line = first_line(&beginning[1..]);
            line.trim_ascii().is_empty() && line.len() + 1 < beginning.len()
        }
        _ => false,
    }
}
