//! Splits bytes into lines. A line longer than a job may be is skipped, not held.

use std::io::{self, BufRead, ErrorKind};

use memchr::memchr2;

use crate::domain::MAX_BODY_BYTES;

use super::line_ends::{NEWLINE, RETURN};

/// Splits at line feeds, carriage returns, and both in this order. Without `Debug`, which would print a line.
pub(super) struct RawLines<R> {
    reader: R,
    number: u64,
    /// The last line ended with a carriage return, so a line feed after it belongs to the same end. It is
    /// skipped with the next line: a pipe may be idle for hours.
    after_return: bool,
    held: Vec<u8>,
}

/// A line without its end. With `Debug` in tests alone, because it would print the token.
#[derive(PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(super) enum RawLine<'a> {
    Whole(&'a [u8]),
    /// Over [`MAX_BODY_BYTES`], and skipped.
    TooLong,
}

impl<R: BufRead> RawLines<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, number: 0, after_return: false, held: Vec::new() }
    }

    /// The number of the line that was read last, from 1; 0 before the first.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn next(&mut self) -> io::Result<Option<RawLine<'_>>> {
        self.held.clear();
        let (mut begun, mut too_long, mut ended) = (false, false, false);
        while !ended {
            // An error keeps the number of the line before: this one was not read.
            let buffer = match self.reader.fill_buf() {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                buffer => buffer?,
            };
            if std::mem::take(&mut self.after_return) && buffer.first() == Some(&NEWLINE) {
                self.reader.consume(1);
                continue;
            }
            if buffer.is_empty() {
                break;
            }
            begun = true;
            let end = memchr2(NEWLINE, RETURN, buffer);
            let part = &buffer[..end.unwrap_or(buffer.len())];
            // One more byte shows that the line is too long.
            let room = MAX_BODY_BYTES + 1 - self.held.len();
            self.held.extend_from_slice(&part[..part.len().min(room)]);
            too_long = self.held.len() > MAX_BODY_BYTES;
            ended = end.is_some();
            self.after_return = end.is_some_and(|end| buffer[end] == RETURN);
            let read = part.len() + usize::from(ended);
            self.reader.consume(read);
        }
        if !begun {
            return Ok(None);
        }
        self.number += 1;
        Ok(Some(if too_long { RawLine::TooLong } else { RawLine::Whole(&self.held) }))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Read as _};

    use proptest::prelude::*;

    use super::*;

    /// Each line with its length in place of its content if it was too long.
    fn lines(text: &[u8], buffer: usize) -> Vec<Option<Vec<u8>>> {
        let mut raw = RawLines::new(BufReader::with_capacity(buffer, text));
        let mut lines = Vec::new();
        while let Some(line) = raw.next().unwrap() {
            lines.push(match line {
                RawLine::Whole(line) => Some(line.to_vec()),
                RawLine::TooLong => None,
            });
            assert_eq!(raw.number(), lines.len() as u64);
        }
        lines
    }

    fn whole(lines: &[&str]) -> Vec<Option<Vec<u8>>> {
        lines.iter().map(|line| Some(line.as_bytes().to_vec())).collect()
    }

    #[test]
    fn ends_of_lines_are_no_part_of_them() {
        assert_eq!(lines(b"", 8), whole(&[]));
        assert_eq!(lines(b"a", 8), whole(&["a"]));
        assert_eq!(lines(b"a\r\n\nb\n", 8), whole(&["a", "", "b"]));
        assert_eq!(lines(b"a\rb\r\r\n\n", 8), whole(&["a", "b", "", ""]));
    }

    #[test]
    fn a_line_is_whole_up_to_the_limit_and_skipped_beyond() {
        let (most, more) = ("x".repeat(MAX_BODY_BYTES), "x".repeat(MAX_BODY_BYTES + 1));
        for end in ["\n", "\r\n", "\r"] {
            let text = format!("{most}{end}{more}{end}{more}{more}{more}{end}b{end}{more}");
            let expected = [Some(most.clone().into_bytes()), None, None, Some(b"b".into()), None];
            assert_eq!(lines(text.as_bytes(), 4096), expected);
        }
    }

    /// A line without an end costs no more memory than the longest that is held.
    #[test]
    fn an_endless_line_is_not_held() {
        let endless = io::repeat(b'x').take(100 * MAX_BODY_BYTES as u64);
        let mut raw = RawLines::new(BufReader::new(endless));
        assert_eq!(raw.next().unwrap(), Some(RawLine::TooLong));
        assert!(raw.held.capacity() <= 4 * MAX_BODY_BYTES, "{}", raw.held.capacity());
        assert_eq!(raw.next().unwrap(), None);
    }

    proptest! {
        /// Lines do not depend on the sizes of reads. They equal the standard library's lines, except at carriage
        /// returns alone.
        #[test]
        fn lines_do_not_depend_on_the_buffer(text in "[ab\r\n]{0,60}", buffer in 1..9usize) {
            let ends = text.replace("\r\n", "\n").replace('\r', "\n");
            let expected: Vec<_> = ends.lines().map(|line| Some(line.as_bytes().to_vec())).collect();
            prop_assert_eq!(lines(text.as_bytes(), buffer), expected);
        }
    }
}
