//! Records of comma-separated values (RFC 4180), of which none is held that is longer than a job may
//! be.
//!
//! `csv-core`, the parser of the crate `csv`, without its reader: that one holds a record however long
//! it gets, and a quote that nobody closes makes one record of the rest of the file.

use std::io::{self, BufRead};

use csv_core::ReadRecordResult;

use crate::domain::MAX_BODY_BYTES;

/// More columns than any table of jobs has.
const MAX_FIELDS: usize = 1024;

const NEWLINE: u8 = b'\n';
const RETURN: u8 = b'\r';

/// Splits records at the ends of lines that stand outside quotes, and fields at commas.
pub(super) struct CsvRecords<R> {
    reader: R,
    parser: Box<csv_core::Reader>,
    /// Line feeds so far.
    newlines: u64,
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
}

impl<R: BufRead> CsvRecords<R> {
    pub(super) fn new(reader: R) -> Self {
        Self {
            reader,
            parser: Box::new(csv_core::Reader::new()),
            newlines: 0,
            content: vec![0; MAX_BODY_BYTES],
            ends: vec![0; MAX_FIELDS],
        }
    }

    /// The line that is read next, from 1.
    pub(super) fn next_line(&self) -> u64 {
        self.newlines + 1
    }

    /// Reads the next record, beyond empty lines; `None` at the end. Its fields are there until the
    /// next one is read.
    pub(super) fn next(&mut self) -> io::Result<Option<Extent>> {
        if !self.skip_line_ends()? {
            return Ok(None);
        }
        let first_line = self.next_line();
        let (mut bytes, mut fields, mut too_long) = (0, 0, false);
        loop {
            let input = self.reader.fill_buf()?;
            let (result, read, written, ended) = self.parser.read_record(
                input,
                &mut self.content[bytes..],
                &mut self.ends[fields..],
            );
            let input = &input[..read];
            // Of `\r\n` only the first ends the record; the other is skipped with the next one.
            let ended_the_line = input.last() == Some(&NEWLINE);
            self.newlines += newlines(input);
            self.reader.consume(read);
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
                        last_line: self.next_line() - u64::from(ended_the_line),
                        fields: (!too_long).then_some(fields),
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

    /// Skips line ends in front of a record; `false` if there is nothing behind them.
    fn skip_line_ends(&mut self) -> io::Result<bool> {
        loop {
            let input = self.reader.fill_buf()?;
            let ends = input.iter().take_while(|byte| matches!(**byte, NEWLINE | RETURN)).count();
            if ends == 0 {
                return Ok(!input.is_empty());
            }
            self.newlines += newlines(&input[..ends]);
            self.reader.consume(ends);
        }
    }
}

fn newlines(bytes: &[u8]) -> u64 {
    bytes.iter().map(|byte| u64::from(*byte == NEWLINE)).sum()
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Read as _};

    use proptest::prelude::*;

    use super::*;

    type Found = (u64, u64, Option<Vec<String>>);

    fn records(text: &[u8], buffer: usize) -> Vec<Found> {
        let mut csv = CsvRecords::new(BufReader::with_capacity(buffer, text));
        let mut found = Vec::new();
        while let Some(extent) = csv.next().unwrap() {
            let text = |field: &[u8]| String::from_utf8(field.to_vec()).unwrap();
            let fields = extent.fields.map(|_| csv.fields(extent).map(text).collect());
            found.push((extent.first_line, extent.last_line, fields));
        }
        found
    }

    fn record(first_line: u64, last_line: u64, fields: &[&str]) -> Found {
        (first_line, last_line, Some(fields.iter().map(ToString::to_string).collect()))
    }

    #[test]
    fn records_know_their_lines() {
        for buffer in [1, 2, 3, 5, 64] {
            assert_eq!(records(b"", buffer), []);
            assert_eq!(records(b"\r\n\n", buffer), []);
            assert_eq!(
                records(b"a,b\n\n\nc,\"d\ne\r\nf\"\r\ng,\r\n\"h\"\"i\",\"j,k\"", buffer),
                [
                    record(1, 1, &["a", "b"]),
                    record(4, 6, &["c", "d\ne\r\nf"]),
                    record(7, 7, &["g", ""]),
                    record(8, 8, &["h\"i", "j,k"]),
                ],
                "{buffer}"
            );
        }
    }

    #[test]
    fn what_is_too_long_is_skipped_to_the_end_of_its_record() {
        let most = "x".repeat(MAX_BODY_BYTES);
        let wide = ",".repeat(MAX_FIELDS);
        let text =
            format!("a\n{most}y\nb\n{wide}\nc\n\"{most}\n{most}\"\nd\n\"never\nclosed{most}");
        assert_eq!(
            records(text.as_bytes(), 4096),
            [
                record(1, 1, &["a"]),
                (2, 2, None),
                record(3, 3, &["b"]),
                (4, 4, None),
                record(5, 5, &["c"]),
                (6, 7, None),
                record(8, 8, &["d"]),
                (9, 10, None),
            ]
        );
    }

    #[test]
    fn an_endless_field_is_not_held() {
        let endless = b"\"".chain(io::repeat(b'x').take(100 * MAX_BODY_BYTES as u64));
        let mut csv = CsvRecords::new(BufReader::new(endless));
        assert_eq!(csv.next().unwrap(), Some(Extent { first_line: 1, last_line: 1, fields: None }));
        assert_eq!(csv.content.len(), MAX_BODY_BYTES);
        assert_eq!(csv.next().unwrap(), None);
    }

    proptest! {
        /// The bytes may come in any pieces, and the lines of the records cover the file in order.
        #[test]
        fn records_do_not_depend_on_the_buffer(text in "[a,\"\r\n]{0,40}", buffer in 1..9usize) {
            let expected = records(text.as_bytes(), 4096);
            prop_assert_eq!(&records(text.as_bytes(), buffer), &expected);
            let mut last = 0;
            for (first_line, last_line, _) in expected {
                prop_assert!(last < first_line || text.contains('\r'));
                prop_assert!(first_line <= last_line);
                last = last_line;
            }
        }
    }
}
