//! Lines of bytes, of which none is held that is longer than a job may be.

use std::io::{self, BufRead, Read as _};

use crate::domain::MAX_BODY_BYTES;

const NEWLINE: u8 = b'\n';
const RETURN: u8 = b'\r';

/// The longest line that is held, its end and one byte to tell that it is too long included.
const MAX_HELD: u64 = MAX_BODY_BYTES as u64 + 3;

/// Splits at line feeds; a carriage return in front of one belongs to the end of the line.
#[derive(Debug)]
pub(super) struct RawLines<R> {
    reader: R,
    /// Lines that were begun.
    begun: u64,
    held: Vec<u8>,
}

/// One line without its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RawLine<'a> {
    /// All of it.
    Whole(&'a [u8]),
    /// Over [`MAX_BODY_BYTES`]: it was skipped.
    TooLong,
}

impl<R: BufRead> RawLines<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, begun: 0, held: Vec::new() }
    }

    /// The number of the line that was read last, from 1; 0 before the first.
    pub(super) fn number(&self) -> u64 {
        self.begun
    }

    /// Reads the next line; `None` at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<RawLine<'_>>> {
        self.held.clear();
        // An error leaves the number at the line before: this one was not read.
        if (&mut self.reader).take(MAX_HELD).read_until(NEWLINE, &mut self.held)? == 0 {
            return Ok(None);
        }
        let ended = self.held.pop_if(|last| *last == NEWLINE).is_some();
        if ended {
            self.held.pop_if(|last| *last == RETURN);
        }
        let too_long = self.held.len() > MAX_BODY_BYTES;
        if too_long && !ended {
            self.reader.skip_until(NEWLINE)?;
        }
        self.begun += 1;
        Ok(Some(if too_long { RawLine::TooLong } else { RawLine::Whole(&self.held) }))
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

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
        assert_eq!(lines(b"a\rb\r\r\n", 8), whole(&["a\rb\r"]));
    }

    #[test]
    fn a_line_is_whole_up_to_the_limit_and_skipped_beyond() {
        let (most, more) = ("x".repeat(MAX_BODY_BYTES), "x".repeat(MAX_BODY_BYTES + 1));
        for end in ["\n", "\r\n"] {
            let text = format!("{most}{end}{more}{end}{more}{more}{more}{end}b{end}{more}");
            let expected = [Some(most.clone().into_bytes()), None, None, Some(b"b".into()), None];
            assert_eq!(lines(text.as_bytes(), 4096), expected);
        }
    }

    /// A line without an end costs no more memory than the longest that is held.
    #[test]
    fn an_endless_line_is_not_held() {
        let endless = io::repeat(b'x').take(100 * MAX_HELD);
        let mut raw = RawLines::new(BufReader::new(endless));
        assert_eq!(raw.next().unwrap(), Some(RawLine::TooLong));
        assert!(raw.held.capacity() <= 4 * MAX_BODY_BYTES, "{}", raw.held.capacity());
        assert_eq!(raw.next().unwrap(), None);
    }

    proptest! {
        /// However the bytes come, nothing is lost, and the lines are those of the standard library.
        #[test]
        fn lines_do_not_depend_on_the_buffer(text in "[ab\r\n]{0,60}", buffer in 1..9usize) {
            let expected: Vec<_> = text.lines().map(|line| Some(line.as_bytes().to_vec())).collect();
            prop_assert_eq!(lines(text.as_bytes(), buffer), expected);
        }
    }
}
