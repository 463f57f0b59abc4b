//! The rows of a CSV file below its header row.

use std::io;

use super::{
    columns::{Columns, Delimiter},
    csv::{CsvRecords, Extent},
    error::{InputOpenError, Refusal},
    fields::JobFields,
    header::{CsvHeader, CsvRow, HeaderFault},
    records::InputRecord,
    source::Text,
};

/// The maximum number of lines of a record: no cell of a job is that long. If only the next stray quote closes a quote,
/// all lines between would be hidden, and some may not look like rows.
const MAX_LINES: u64 = 100;

pub(super) struct CsvTable {
    records: CsvRecords<Text>,
    /// `None` for an empty file.
    header: Option<CsvHeader>,
    /// The line of another header row, to which the rows below it belong.
    other_header: Option<u64>,
}

impl CsvTable {
    pub(super) fn new(
        text: Text,
        columns: &Columns,
        delimiter: Delimiter,
    ) -> Result<Self, InputOpenError> {
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
                let header = CsvHeader::read(&cells, columns, delimiter)?;
                records.expect(header.columns().len());
                Some(header)
            }
        };
        Ok(Self { records, header, other_header: None })
    }

    pub(super) fn next_line(&self) -> u64 {
        self.records.next_line()
    }

    pub(super) fn next(&mut self) -> io::Result<Option<InputRecord>> {
        loop {
            let Some(row) = self.records.next()? else { return Ok(None) };
            let sound = row.fields.is_some() && row.stray.is_none();
            // Spreadsheets write rows of nothing but commas.
            if sound && self.records.fields(row).all(<[u8]>::is_empty) {
                continue;
            }
            let body = self.judge(row);
            let Extent { first_line, last_line, marked, .. } = row;
            return Ok(Some(InputRecord { number: first_line, last_line, marked, body }));
        }
    }

    fn judge(&mut self, row: Extent) -> Result<Vec<u8>, Refusal> {
        let columns = self.header.as_ref().map_or(&[][..], CsvHeader::columns);
        let Some(found) = row.fields else {
            return Err(swallowed(row).unwrap_or(Refusal::RecordTooLong));
        };
        if let Some(line) = row.stray {
            return Err(swallowed(row).unwrap_or(Refusal::StrayQuote { line }));
        }
        let lines = row.last_line - row.first_line + 1;
        // A long text with as many delimiters in a line is refused too: a token that is silently left out
        // stays alive.
        if found != columns.len() || lines > MAX_LINES || row.holds_rows {
            let width = Refusal::Width { found, expected: columns.len() };
            return Err(swallowed(row).unwrap_or(width));
        }
        let cells = self.records.fields(row);
        match self.header.as_ref().map_or(CsvRow::Job, |header| header.tell(cells.clone())) {
            CsvRow::Job => {}
            CsvRow::Header => {
                self.other_header = None;
                return Err(Refusal::HeaderRow);
            }
            CsvRow::OtherHeader => {
                self.other_header = Some(row.first_line);
                return Err(Refusal::OtherHeaderRow);
            }
        }
        if let Some(line) = self.other_header {
            return Err(Refusal::OtherColumns { line });
        }
        let mut job = JobFields::default();
        for (column, cell) in columns.iter().zip(cells) {
            if let Some(field) = column {
                job.set(*field, cell).map_err(|fault| told(fault, row))?;
            }
        }
        Ok(job.to_json())
    }
}

/// The refusal of a row over several lines.
fn swallowed(row: Extent) -> Option<Refusal> {
    let opened = row.stray.or(row.spanning)?;
    let last_line = row.last_line;
    (last_line > opened).then_some(Refusal::Swallowed { opened, last_line })
}

/// The refusal of a cell. If a job's field holds a line end, each of its lines may be a row.
fn told(fault: Refusal, row: Extent) -> Refusal {
    match fault {
        Refusal::ControlCharacter(_) => swallowed(row).unwrap_or(fault),
        fault => fault,
    }
}

/// Whether a row is only `sep=` and the delimiter, a hint for spreadsheets.
fn tells_the_delimiter(records: &CsvRecords<Text>, row: Extent) -> bool {
    let mut cells = records.fields(row);
    cells.next() == Some(b"sep=") && cells.next() == Some(b"") && cells.next().is_none()
}
