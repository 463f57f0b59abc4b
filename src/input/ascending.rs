//! Checks that the numbers of lines grow.

use thiserror::Error;

/// Checks the numbers of lines. Journal, report and resume commands depend on them. Two lines with one number would
/// count as one, and a token would stay valid unnoticed.
#[derive(Debug, Clone, Default)]
pub struct Ascending(u64);

/// A bug: a line's number is not greater than that of the line before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("line {line} comes behind line {before}: a fault in this program; please report it")]
pub struct NotAscending {
    pub line: u64,
    pub before: u64,
}

impl Ascending {
    /// Checks the number of the next line, from 1.
    pub const fn pass(&mut self, line: u64) -> Result<(), NotAscending> {
        let before = self.0;
        if line <= before {
            return Err(NotAscending { line, before });
        }
        self.0 = line;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_grow_or_are_refused() {
        let mut lines = Ascending::default();
        assert_eq!(lines.pass(1), Ok(()));
        assert_eq!(lines.pass(7), Ok(()));
        assert_eq!(lines.pass(7), Err(NotAscending { line: 7, before: 7 }));
        assert_eq!(lines.pass(3), Err(NotAscending { line: 3, before: 7 }));
        assert_eq!(lines.pass(8), Ok(()));
        assert!(Ascending::default().pass(0).is_err());
    }
}
