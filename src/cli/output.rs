//! Standard output: the one way for what commands have to say.
//!
//! What cannot be written is a failure of the command, as with the tools of the system: whoever redirects
//! a report to a full disk must not take nothing for a report. A reader that goes away is none. It took
//! what it wanted, as `head` does, so the command ends without a word, and with the exit code of its work.

use std::io::{self, ErrorKind, Write};

use serde::Serialize;
use thiserror::Error;
use tokio::io::AsyncWriteExt as _;
use tracing::error;

use super::Exit;
use crate::domain::ErrorChain;

/// Standard output does not take what was written.
#[derive(Debug, Error)]
#[error("standard output cannot be written")]
pub struct OutputError(#[source] io::Error);

/// Writes a text to standard output, all of it.
///
/// # Errors
///
/// [`OutputError`], unless nobody reads any more.
pub fn print(text: &str) -> Result<(), OutputError> {
    write(&mut io::stdout().lock(), text)
}

/// Writes a part of a result to standard output. The reader may take its time, and a signal can end the wait.
///
/// # Errors
///
/// [`OutputError`], unless nobody reads any more.
pub async fn print_part(text: &str) -> Result<(), OutputError> {
    let mut stdout = tokio::io::stdout();
    let printed = async {
        stdout.write_all(text.as_bytes()).await?;
        stdout.flush().await
    };
    told(printed.await)
}

/// Has something else print to standard output.
///
/// # Errors
///
/// [`OutputError`], unless nobody reads any more.
pub fn printed(result: io::Result<()>) -> Result<(), OutputError> {
    told(result.and_then(|()| io::stdout().flush()))
}

/// A result for a script: one JSON document on a line.
pub fn json(result: &impl Serialize) -> String {
    // Numbers and names always serialize.
    let mut json = serde_json::to_string(result).unwrap_or_default();
    json.push('\n');
    json
}

/// Returns the exit of a command, or of a failure if its result could not be printed.
pub fn exit_code(printed: Result<(), OutputError>, exit: Exit) -> Exit {
    match printed {
        Ok(()) => exit,
        Err(failure) => {
            error!("{}", ErrorChain(&failure));
            Exit::Failed
        }
    }
}

fn write(output: &mut impl Write, text: &str) -> Result<(), OutputError> {
    // What is left in a buffer is lost at the end without a word.
    told(output.write_all(text.as_bytes()).and_then(|()| output.flush()))
}

fn told(result: io::Result<()>) -> Result<(), OutputError> {
    match result {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(OutputError(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufWriter, LineWriter};

    use super::*;

    /// Takes nothing.
    struct Failing(ErrorKind);

    impl Write for Failing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_is_not_taken_is_a_failure_also_behind_a_buffer() {
        for text in ["all\n", "no line end"] {
            let mut output = LineWriter::new(Failing(ErrorKind::StorageFull));
            assert!(write(&mut output, text).is_err(), "{text}");
            let mut output = BufWriter::new(Failing(ErrorKind::StorageFull));
            assert!(write(&mut output, text).is_err(), "{text}");
        }
        let mut output = Vec::new();
        write(&mut output, "all").unwrap();
        assert_eq!(output, b"all");
    }

    #[test]
    fn a_reader_that_goes_away_is_no_failure() {
        assert!(write(&mut Failing(ErrorKind::BrokenPipe), "all").is_ok());
    }
}
