//! Standard output, written in one place for all commands.
//!
//! A failed write is a failure of the command: a report that is redirected to a full disk must not look complete. A
//! closed reader is no failure. A reader such as `head` has enough, so the command ends silently with the exit code of
//! its work.

use std::io::{self, BufRead as _, ErrorKind, IsTerminal as _, Write};

use anstream::{AutoStream, ColorChoice};
use clap::ValueEnum;
use serde::Serialize;
use thiserror::Error;
use tokio::io::AsyncWriteExt as _;

use super::{
    exit::{Exit, Failure},
    text_style::TextStyle,
};

/// The form of a result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum OutputForm {
    /// Text for people.
    #[default]
    Text,
    /// One JSON document.
    Json,
}

/// The option that chooses the form of a result, the same for every command that prints one.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub struct OutputArgs {
    /// Print the result in this form
    #[arg(long, value_enum, value_name = "FORM", default_value_t)]
    output: OutputForm,

    /// The short form of --output json
    #[arg(long, conflicts_with = "output")]
    json: bool,
}

impl OutputArgs {
    /// Whether the result is printed as JSON.
    pub const fn is_json(self) -> bool {
        self.json || matches!(self.output, OutputForm::Json)
    }
}

#[derive(Debug, Error)]
#[error("standard output cannot be written")]
pub struct OutputError(#[source] io::Error);

/// How standard output shows text. `NO_COLOR`, `CLICOLOR` and `TERM` count unless `--color` decides.
pub fn text_style() -> TextStyle {
    let stdout = io::stdout();
    let colours = AutoStream::choice(&stdout) != ColorChoice::Never;
    let width = terminal_size::terminal_size_of(&stdout).map(|(width, _)| width.0.into());
    TextStyle { colours, width }
}

/// Whether standard output is a terminal.
pub fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Writes a whole text to standard output.
pub fn print(text: &str) -> Result<(), OutputError> {
    write(&mut io::stdout().lock(), text)
}

/// Writes a part of a result to standard output. A slow reader delays it, and a signal can end the wait.
pub async fn print_part(text: &str) -> Result<(), OutputError> {
    let mut stdout = tokio::io::stdout();
    let printed = async {
        stdout.write_all(text.as_bytes()).await?;
        stdout.flush().await
    };
    told(printed.await)
}

/// Flushes standard output after a write that another library made.
pub fn printed(result: io::Result<()>) -> Result<(), OutputError> {
    told(result.and_then(|()| io::stdout().flush()))
}

/// Formats a result for a script: one JSON document on a line.
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
        Err(error) => Failure::from(error).log(),
    }
}

/// Prints a question on standard error, and reads a line. Blocks until the line is complete.
pub fn ask(question: &str) -> io::Result<String> {
    let mut stderr = io::stderr();
    stderr.write_all(question.as_bytes())?;
    stderr.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(answer)
}

fn write(output: &mut impl Write, text: &str) -> Result<(), OutputError> {
    // The process may end without a flush, and the rest of the buffer would be lost.
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

    /// An output whose writes fail.
    struct FailingOutput(ErrorKind);

    impl Write for FailingOutput {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_failed_write_is_a_failure_also_behind_a_buffer() {
        for text in ["all\n", "no line end"] {
            let mut output = LineWriter::new(FailingOutput(ErrorKind::StorageFull));
            assert!(write(&mut output, text).is_err(), "{text}");
            let mut output = BufWriter::new(FailingOutput(ErrorKind::StorageFull));
            assert!(write(&mut output, text).is_err(), "{text}");
        }
        let mut output = Vec::new();
        write(&mut output, "all").unwrap();
        assert_eq!(output, b"all");
    }

    #[test]
    fn a_reader_that_goes_away_is_no_failure() {
        assert!(write(&mut FailingOutput(ErrorKind::BrokenPipe), "all").is_ok());
    }
}
