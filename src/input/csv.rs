//! Splits a CSV file into records (RFC 4180). A record longer than a job may be is skipped, not held.
//!
//! This uses `csv-core`, the parser of the crate `csv`, without the crate's reader. That reader holds a record of any
//! length, and an unclosed quote makes one record of the rest of the file.

mod tracker;

use std::io::{self, BufRead};

use csv_core::ReadRecordResult;

use self::tracker::CsvTracker;
use super::{
    line_ends::{NEWLINE, RETURN},
    sniff::UTF_8_MARK,
};
use crate::domain::MAX_BODY_BYTES;

/// The maximum number of columns.
pub(super) const MAX_FIELDS: usize = 1024;

/// Splits records at line ends outside quotes, and fields at the delimiter.
pub(super) struct CsvRecords<R> {
    reader: R,
    parser: Box<csv_core::Reader>,
    tracker: CsvTracker,
    /// The concatenated fields of the record, and the end of each.
    content: Vec<u8>,
    ends: Vec<usize>,
}

/// The position and the shape of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    /// The line on which it begins, from 1.
    pub(super) first_line: u64,
    pub(super) last_line: u64,
    /// The number of its fields; `None` if it was skipped as too long.
    pub(super) fields: Option<usize>,
    /// The line of its first quote that is followed by a line end.
    pub(super) spanning: Option<u64>,
    /// The line of a quote that is not closed properly.
    pub(super) stray: Option<u64>,
    /// Whether one of its lines after the first has as many fields as a row.
    pub(super) holds_rows: bool,
    /// Whether a byte order mark, which is not part of it, precedes it.
    pub(super) marked: bool,
}

impl<R: BufRead> CsvRecords<R> {
    pub(super) fn new(reader: R, delimiter: u8) -> Self {
        Self {
            reader,
            parser: Box::new(csv_core::ReaderBuilder::new().delimiter(delimiter).build()),
            tracker: CsvTracker::new(delimiter),
            content: vec![0; MAX_BODY_BYTES],
            ends: vec![0; MAX_FIELDS],
        }
    }

    /// Sets the number of fields of a row, for [`Extent::holds_rows`].
    pub(super) fn expect(&mut self, fields: usize) {
        self.tracker.expect(fields);
    }

    /// The number of the line that is read next, from 1.
    pub(super) fn next_line(&self) -> u64 {
        self.tracker.next_line()
    }

    /// Reads the next record, and skips empty lines; `None` at the end. Its fields are valid until the next call.
    pub(super) fn next(&mut self) -> io::Result<Option<Extent>> {
        let Some(Front { marked, begun }) = self.skip_to_record()? else { return Ok(None) };
        let first_line = self.tracker.begin();
        // An incomplete byte order mark is part of the record.
        let mut front = &UTF_8_MARK[..begun];
        let (mut bytes, mut fields, mut too_long) = (0, 0, false);
        loop {
            let input = if front.is_empty() { self.reader.fill_buf()? } else { front };
            let (result, read, written, ended) = self.parser.read_record(
                input,
                &mut self.content[bytes..],
                &mut self.ends[fields..],
            );
            // Only the first byte of `\r\n` ends the record; the other is skipped with the next record.
            self.tracker.pass(&input[..read]);
            if front.is_empty() {
                self.reader.consume(read);
            } else {
                front = &front[read..];
            }
            bytes += written;
            fields += ended;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => {
                    (bytes, fields, too_long) = (0, 0, true);
                }
                ReadRecordResult::Record => {
                    return Ok(Some(Extent {
                        first_line,
                        last_line: self.tracker.last_line().max(first_line),
                        fields: (!too_long).then_some(fields),
                        spanning: self.tracker.spanning(),
                        stray: self.tracker.stray(),
                        holds_rows: self.tracker.holds_rows(),
                        marked,
                    }));
                }
                ReadRecordResult::End => return Ok(None),
            }
        }
    }

    /// Returns the fields of the record that was read last.
    pub(super) fn fields(&self, extent: Extent) -> impl Iterator<Item = &[u8]> + Clone {
        let ends = &self.ends[..extent.fields.unwrap_or(0)];
        let starts = std::iter::once(0).chain(ends.iter().copied());
        starts.zip(ends).map(|(start, end)| &self.content[start..*end])
    }

    /// Skips line ends and byte order marks; `None` at the end.
    fn skip_to_record(&mut self) -> io::Result<Option<Front>> {
        let mut front = Front::default();
        loop {
            let input = self.reader.fill_buf()?;
            match input.first().copied() {
                None if front.begun == 0 => return Ok(None),
                Some(byte) if byte == UTF_8_MARK[front.begun] => {
                    self.reader.consume(1);
                    front.begun += 1;
                    if front.begun == UTF_8_MARK.len() {
                        front = Front { marked: true, begun: 0 };
                    }
                }
                Some(NEWLINE | RETURN) if front.begun == 0 => {
                    let ends = input.iter().take_while(|byte| matches!(**byte, NEWLINE | RETURN));
                    let ends = ends.count();
                    self.tracker.pass(&input[..ends]);
                    self.reader.consume(ends);
                }
                _ => return Ok(Some(front)),
            }
        }
    }
}

/// The bytes in front of a record.
#[derive(Debug, Default)]
struct Front {
    /// A byte order mark, as between two joined files.
    marked: bool,
    /// The length of an incomplete byte order mark.
    begun: usize,
}

#[cfg(test)]
mod tests;
