//! Records of separated values (RFC 4180), of which none is held that is longer than a job may be.
//!
//! `csv-core`, the parser of the crate `csv`, without its reader: that one holds a record however long
//! it gets, and a quote that nobody closes makes one record of the rest of the file.

mod watch;

use std::io::{self, BufRead};

use csv_core::ReadRecordResult;

use self::watch::Watch;
use super::{
    line_ends::{NEWLINE, RETURN},
    sniff::UTF_8_MARK,
};
use crate::domain::MAX_BODY_BYTES;

/// More columns than any table of jobs has.
pub(super) const MAX_FIELDS: usize = 1024;

/// Splits records at the ends of lines that stand outside quotes, and fields at the delimiter.
pub(super) struct CsvRecords<R> {
    reader: R,
    parser: Box<csv_core::Reader>,
    watch: Watch,
    /// The fields of the record behind each other, and where each ends.
    content: Vec<u8>,
    ends: Vec<usize>,
}

/// The extent of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    /// The line on which it begins, from 1.
    pub(super) first_line: u64,
    /// The line on which it ends.
    pub(super) last_line: u64,
    /// The number of its fields; `None` if it was skipped for its length.
    pub(super) fields: Option<usize>,
    /// The line of its first quote that has a line end behind it.
    pub(super) spanning: Option<u64>,
    /// The line of a quote that is not closed as it should be.
    pub(super) stray: Option<u64>,
    /// Whether one of its lines, the first aside, is as wide as a row by itself.
    pub(super) holds_rows: bool,
    /// Whether a byte order mark stands in front of it, which is no part of it.
    pub(super) marked: bool,
}

impl<R: BufRead> CsvRecords<R> {
    pub(super) fn new(reader: R, delimiter: u8) -> Self {
        Self {
            reader,
            parser: Box::new(csv_core::ReaderBuilder::new().delimiter(delimiter).build()),
            watch: Watch::new(delimiter),
            content: vec![0; MAX_BODY_BYTES],
            ends: vec![0; MAX_FIELDS],
        }
    }

    /// Tells records that hold lines of so many fields from here on.
    pub(super) fn expect(&mut self, fields: usize) {
        self.watch.expect(fields);
    }

    /// The line that is read next, from 1.
    pub(super) fn next_line(&self) -> u64 {
        self.watch.next_line()
    }

    /// Reads the next record, beyond empty lines; `None` at the end. Its fields are there until the
    /// next one is read.
    pub(super) fn next(&mut self) -> io::Result<Option<Extent>> {
        let Some(Front { marked, begun }) = self.skip_to_record()? else { return Ok(None) };
        let first_line = self.watch.begin();
        // A part of a byte order mark is no mark: the record begins with it.
        let mut front = &UTF_8_MARK[..begun];
        let (mut bytes, mut fields, mut too_long) = (0, 0, false);
        loop {
            let input = if front.is_empty() { self.reader.fill_buf()? } else { front };
            let (result, read, written, ended) = self.parser.read_record(
                input,
                &mut self.content[bytes..],
                &mut self.ends[fields..],
            );
            // Of `\r\n` only the first ends the record; the other is skipped with the next one.
            self.watch.pass(&input[..read]);
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
                        last_line: self.watch.last_line().max(first_line),
                        fields: (!too_long).then_some(fields),
                        spanning: self.watch.spanning(),
                        stray: self.watch.stray(),
                        holds_rows: self.watch.holds_rows(),
                        marked,
                    }));
                }
                ReadRecordResult::End => return Ok(None),
            }
        }
    }

    /// The fields of the record that was read last.
    pub(super) fn fields(&self, extent: Extent) -> impl Iterator<Item = &[u8]> + Clone {
        let ends = &self.ends[..extent.fields.unwrap_or(0)];
        let starts = std::iter::once(0).chain(ends.iter().copied());
        starts.zip(ends).map(|(start, end)| &self.content[start..*end])
    }

    /// Skips line ends and byte order marks in front of a record; `None` if there is nothing behind them.
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
                    self.watch.pass(&input[..ends]);
                    self.reader.consume(ends);
                }
                _ => return Ok(Some(front)),
            }
        }
    }
}

/// What stands in front of a record.
#[derive(Debug, Default)]
struct Front {
    /// A byte order mark, as in the middle of two files that were joined.
    marked: bool,
    /// So many bytes of one that is none.
    begun: usize,
}

#[cfg(test)]
mod tests;
