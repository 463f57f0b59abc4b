//! Zeros after compressed data, up to the end of a block, as on tapes and disks.

use std::io::{self, BufRead};

/// Skips zeros; returns whether data follows.
pub(super) fn skip(raw: &mut impl BufRead) -> io::Result<bool> {
    loop {
        let input = raw.fill_buf()?;
        if input.is_empty() {
            return Ok(false);
        }
        let zeros = input.iter().take_while(|byte| **byte == 0).count();
        let behind = zeros < input.len();
        raw.consume(zeros);
        if behind {
            return Ok(true);
        }
    }
}
