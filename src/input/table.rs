//! The rows of a CSV file below its header row.

use std::io;

use super::{
    cells::Cells,
    columns::{Columns, Delimiter},
    csv::{CsvRecords, Extent},
    error::{OpenError, Refusal},
    header::{Header, HeaderFault, Row},
    records::Record,
    source::Text,
};

/// A record over more lines is refused: no cell of a job's is so long. A quote that closes only where the
/// next stray one stands would have all lines between vanish, and not all of them need be rows.
const MAX_LINES: u64 = 100;

/// A CSV file behind its header row.
pub(super) struct Table {
    records: CsvRecords<Text>,
    /// `None` for a file without even a header row.
    header: Option<Header>,
    /// The line of another header row, which the rows below it belong to.
    other_header: Option<u64>,
}

impl Table {
    /// Reads the header row.
    pub(super) fn new(
        text: Text,
        columns: &Columns,
        delimiter: Delimiter,
    ) -> Result<Self, OpenError> {
        let mut records = CsvRecords::new(text, delimiter.byte());
        let mut first = records.next()?;
        if first.is_some_and(|row| tells_the_delimiter(&records, row)) {
            first = records.next()?;
        }
        let header = match first {
            None => None,
            Some(Extent { fields: None, .. }) => Err(HeaderFault::TooLong)?,
            Some(Extent { stray: Some(_), .. }) => Err(HeaderFault::OpenQuote)?,
            Some(row) => {
                let cells: Vec<_> = records.fields(row).collect();
                let header = Header::read(&cells, columns, delimiter)?;
                records.expect(header.columns().len());
                Some(header)
            }
        };
        Ok(Self { records, header, other_header: None })
    }

    /// The line that is read next, from 1.
    pub(super) fn next_line(&self) -> u64 {
        self.records.next_line()
    }

    /// The next row that is not blank; `None` at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Record>> {
        loop {
            let Some(row) = self.records.next()? else { return Ok(None) };
            let sound = row.fields.is_some() && row.stray.is_none();
            // Spreadsheets write rows of nothing but commas.
            if sound && self.records.fields(row).all(<[u8]>::is_empty) {
                continue;
            }
            let body = self.judge(row);
            let Extent { first_line, last_line, marked, .. } = row;
            return Ok(Some(Record { number: first_line, last_line, marked, body }));
        }
    }

    /// The job of a row as JSON.
    fn judge(&mut self, row: Extent) -> Result<Vec<u8>, Refusal> {
        let columns = self.header.as_ref().map_or(&[][..], Header::columns);
        let Some(found) = row.fields else {
            return Err(swallowed(row).unwrap_or(Refusal::RecordTooLong));
        };
        if let Some(line) = row.stray {
            return Err(swallowed(row).unwrap_or(Refusal::StrayQuote { line }));
        }
        let lines = row.last_line - row.first_line + 1;
        // A field of prose with as many delimiters in a line is refused as well: a token that is left out
        // without a word stays alive.
        if found != columns.len() || lines > MAX_LINES || row.holds_rows {
            let width = Refusal::Width { found, expected: columns.len() };
            return Err(swallowed(row).unwrap_or(width));
        }
        let cells = self.records.fields(row);
        match self.header.as_ref().map_or(Row::Job, |header| header.tell(cells.clone())) {
            Row::Job => {}
            Row::Header => {
                self.other_header = None;
                return Err(Refusal::HeaderRow);
            }
            Row::OtherHeader => {
                self.other_header = Some(row.first_line);
                return Err(Refusal::OtherHeaderRow);
            }
        }
        if let Some(line) = self.other_header {
            return Err(Refusal::OtherColumns { line });
        }
        let mut job = Cells::default();
        for (column, cell) in columns.iter().zip(cells) {
            if let Some(field) = column {
                job.set(*field, cell).map_err(|fault| told(fault, row))?;
            }
        }
        Ok(job.to_json())
    }
}

/// Why a row that is no job is none, if it runs over several lines.
fn swallowed(row: Extent) -> Option<Refusal> {
    let opened = row.stray.or(row.spanning)?;
    let last_line = row.last_line;
    (last_line > opened).then_some(Refusal::Swallowed { opened, last_line })
}

/// The fault of a cell, with the lines that vanish by it: where a job's field holds a line end, each of
/// the lines may be a row.
fn told(fault: Refusal, row: Extent) -> Refusal {
    match fault {
        Refusal::ControlCharacter(_) => swallowed(row).unwrap_or(fault),
        fault => fault,
    }
}

/// Whether a row is nothing but `sep=` and the delimiter, by which a spreadsheet is told of it.
fn tells_the_delimiter(records: &CsvRecords<Text>, row: Extent) -> bool {
    let mut cells = records.fields(row);
    cells.next() == Some(b"sep=") && cells.next() == Some(b"") && cells.next().is_none()
}
