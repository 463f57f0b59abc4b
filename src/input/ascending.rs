//! Numbers that grow strictly.

use thiserror::Error;

/// Checks the numbers of lines as they go by. Journal, report and the line to go on from rest on them:
/// two lines of one number would be one line to all three, and a token would stay alive unnoticed.
#[derive(Debug, Clone, Default)]
pub struct Ascending(u64);

/// A line is not behind the one before it: a fault in this program, which no file may cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("line {line} comes behind line {before}: a fault in this program; please report it")]
pub struct NotAscending {
    /// The line.
    pub line: u64,
    /// The one before it.
    pub before: u64,
}

impl Ascending {
    /// Passes over the number of the next line, from 1.
    ///
    /// # Errors
    ///
    /// [`NotAscending`] if it is not greater than the one before.
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
