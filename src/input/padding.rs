//! What may stand behind compressed data: zeros up to the end of a block, as tapes and disks leave them.

use std::io::{self, BufRead};

/// Skips zeros; returns whether anything stands behind them.
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
