//! Counts line ends: a line feed, a carriage return, or both in this order.
//!
//! Editors count this way, so a number in a report identifies the line in an editor. If only line feeds counted, all
//! records of a file with carriage returns would have one number.

pub(super) const NEWLINE: u8 = b'\n';
pub(super) const RETURN: u8 = b'\r';

#[derive(Debug)]
pub(super) struct LineEnds {
    passed: u64,
    /// The last byte, if it was one of the two.
    last: Option<u8>,
}

impl LineEnds {
    pub(super) const fn new() -> Self {
        Self { passed: 0, last: None }
    }

    pub(super) const fn pass(&mut self, byte: u8) {
        self.last = match (self.last, byte) {
            // The second half of one line end.
            (Some(RETURN), NEWLINE) => Some(NEWLINE),
            (_, NEWLINE | RETURN) => {
                self.passed += 1;
                Some(byte)
            }
            _ => None,
        };
    }

    /// The number of the next byte's line, from 1.
    pub(super) const fn next_line(&self) -> u64 {
        self.passed + 1
    }

    /// The number of the last byte's line, which includes its end; 1 before the first byte.
    pub(super) const fn last_line(&self) -> u64 {
        if self.last.is_some() { self.passed } else { self.passed + 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_of_the_three_ends_one_line() {
        let cases = [
            ("", 1, 1),
            ("a", 1, 1),
            ("a\n", 2, 1),
            ("a\r", 2, 1),
            ("a\r\n", 2, 1),
            ("a\r\nb", 2, 2),
            ("\r\r\n\n\r", 5, 4),
            ("\n\r\n\r", 4, 3),
        ];
        for (text, next, last) in cases {
            let mut ends = LineEnds::new();
            text.bytes().for_each(|byte| ends.pass(byte));
            assert_eq!((ends.next_line(), ends.last_line()), (next, last), "{text:?}");
        }
    }
}
