//! Reads lines up to a bound. A longer line is skipped, not held.

use std::io::{self, BufRead, Read as _};

/// The longest line, in bytes: several times the length of an event.
const LONGEST: u64 = 256 * 1024;

/// A line without its line break.
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'a> {
    Whole(&'a [u8]),
    TooLong,
}

#[derive(Debug)]
pub struct LineReader<R> {
    input: R,
    line: Vec<u8>,
}

impl<R: BufRead> LineReader<R> {
    pub const fn new(input: R) -> Self {
        Self { input, line: Vec::new() }
    }

    /// Returns the next line that is not blank; `None` at the end.
    pub fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        loop {
            self.line.clear();
            if (&mut self.input).take(LONGEST).read_until(b'\n', &mut self.line)? == 0 {
                return Ok(None);
            }
            if self.line.len() as u64 == LONGEST && !self.line.ends_with(b"\n") {
                self.input.skip_until(b'\n')?;
                return Ok(Some(Line::TooLong));
            }
            if !self.line.trim_ascii().is_empty() {
                break;
            }
        }
        Ok(Some(Line::Whole(self.line.trim_ascii())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_skipped_and_blank_ones_too() {
        let long = "x".repeat(usize::try_from(LONGEST).unwrap() + 5);
        let text = format!("a\r\n\n{long}\n \nb");
        let mut lines = LineReader::new(text.as_bytes());
        assert_eq!(lines.next().unwrap(), Some(Line::Whole(b"a".as_slice())));
        assert_eq!(lines.next().unwrap(), Some(Line::TooLong));
        assert_eq!(lines.next().unwrap(), Some(Line::Whole(b"b".as_slice())));
        assert_eq!(lines.next().unwrap(), None);
    }
}
