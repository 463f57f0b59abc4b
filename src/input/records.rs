//! From lines of any format to jobs as JSON, not yet judged.

use std::io::{self, BufRead as _};

use super::{
    cells::{Cells, Field},
    columns::{Columns, Delimiter},
    error::{OpenError, Refusal},
    format::Format,
    line_ends::{NEWLINE, RETURN},
    raw::{RawLine, RawLines},
    sniff::UTF_8_MARK,
    source::Text,
    table::Table,
};

/// The jobs of a file.
pub(super) enum Records {
    Ndjson(RawLines<Text>),
    Csv(Table),
    Text(Tokens),
}

/// One token a line.
pub(super) struct Tokens {
    lines: RawLines<Text>,
    /// The line of a header row with more than one column, which the lines below it belong to.
    table: Option<u64>,
}

/// A line that is not blank.
pub(super) struct Record {
    pub(super) number: u64,
    /// The line on which it ends.
    pub(super) last_line: u64,
    /// Whether a byte order mark stands in front of it, which was left out.
    pub(super) marked: bool,
    /// What may be a job, or why it cannot be one.
    pub(super) body: Result<Vec<u8>, Refusal>,
}

impl Records {
    pub(super) fn new(
        format: Format,
        columns: &Columns,
        delimiter: Delimiter,
        mut text: Text,
    ) -> Result<Self, OpenError> {
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
                Self::Text(Tokens { lines: RawLines::new(text), table: None })
            }
            Format::Csv => Self::Csv(Table::new(text, columns, delimiter)?),
        })
    }

    /// The line that is read next, from 1.
    pub(super) fn next_line(&self) -> u64 {
        match self {
            Self::Ndjson(lines) | Self::Text(Tokens { lines, .. }) => lines.number() + 1,
            Self::Csv(table) => table.next_line(),
        }
    }

    /// The next line that is not blank; `None` at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Record>> {
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
) -> io::Result<Option<Record>> {
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
        return Ok(Some(Record { number, last_line: number, marked, body }));
    }
}

/// The job of a line of tokens as JSON. Below a header row with more columns than the token's, nobody can
/// take a line for a token; a header row with no other column ends that.
fn token(number: u64, line: &[u8], table: &mut Option<u64>) -> Result<Vec<u8>, Refusal> {
    if let Some(columns) = header_columns(line) {
        *table = (columns > 1).then_some(number);
        return Err(table.map_or(Refusal::HeaderRow, |_| Refusal::TableHeader));
    }
    if let Some(line) = *table {
        return Err(Refusal::TableRow { line });
    }
    let mut cells = Cells::default();
    cells.set(Field::RefreshToken, line)?;
    Ok(cells.to_json())
}

/// A line without the byte order marks in front of it, and whether there was one: where files were
/// joined, each may have brought its own.
fn without_marks(mut line: &[u8]) -> (&[u8], bool) {
    let mut marked = false;
    while let Some(rest) = line.strip_prefix(UTF_8_MARK) {
        (line, marked) = (rest, true);
    }
    (line, marked)
}

/// The first line of a text, without its end.
fn first_line(beginning: &[u8]) -> &[u8] {
    beginning.split(|byte| matches!(*byte, NEWLINE | RETURN)).next().unwrap_or_default()
}

/// Whether the first line names the field that it should hold: each line would pass for a token, and
/// the endpoint would reject all of them.
fn names_the_token(beginning: &[u8]) -> bool {
    let name = Field::RefreshToken.name().as_bytes();
    first_line(beginning).to_ascii_lowercase().windows(name.len()).any(|part| part == name)
}

/// How many columns a line of tokens has that is a header row, as of a second file: the name of the token's
/// field stands by itself between what divides columns. Inside a token it may stand.
fn header_columns(line: &[u8]) -> Option<usize> {
    let divides = |byte: &u8| Delimiter::ALL.iter().any(|delimiter| delimiter.byte() == *byte);
    let none = Columns::default();
    // Most cells are too long for a name, which takes no allocation to see.
    let names = |cell: &[u8]| none.is_name(cell) && none.field(cell) == Some(Field::RefreshToken);
    line.split(divides).any(names).then(|| line.split(divides).count())
}

/// Whether a file begins as one JSON document over many lines: an array, or an object of which the
/// first line has nothing but the brace.
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
