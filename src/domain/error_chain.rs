//! Prints an error together with its causes.

use std::{error::Error, fmt, io, iter};

/// Displays an error and its causes on one line: "a: b: c".
///
/// Every error of this crate prints its own part only, and names its cause as its `source()`.
#[derive(Debug, Clone, Copy)]
pub struct ErrorChain<'a>(pub &'a (dyn Error + 'static));

impl<'a> ErrorChain<'a> {
    /// Returns the error and its causes, the error first.
    pub fn causes(self) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
        iter::successors(Some(self.0), |&error| {
            // The `source` of an I/O error skips the error that it wraps.
            match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
                Some(wrapped) => Some(wrapped as &(dyn Error + 'static)),
                None => error.source(),
            }
        })
    }
}

impl fmt::Display for ErrorChain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut last = String::new();
        for cause in self.causes() {
            let text = cause.to_string();
            // Some libraries print the error that they wrap. Without this check it would appear twice.
            if text != last {
                f.write_str(if last.is_empty() { "" } else { ": " })?;
                f.write_str(&text)?;
                last = text;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use thiserror::Error;

    use super::*;

    #[derive(Debug, Error)]
    enum Outer {
        #[error("the file a")]
        File(#[source] io::Error),
        #[error(transparent)]
        Inner(#[from] Inner),
    }

    #[derive(Debug, Error)]
    #[error("the line 7")]
    struct Inner(#[source] io::Error);

    #[test]
    fn every_cause_is_printed_once() {
        let wrapped = io::Error::other(Inner(io::Error::other("no end")));
        for (error, expected) in [
            (Outer::File(io::Error::other("no end")), "the file a: no end"),
            (Outer::File(wrapped), "the file a: the line 7: no end"),
            (Outer::Inner(Inner(io::Error::other("no end"))), "the line 7: no end"),
        ] {
            assert_eq!(ErrorChain(&error).to_string(), expected);
        }
    }
}
