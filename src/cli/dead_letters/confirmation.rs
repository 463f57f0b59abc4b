//! Asking a person before something is thrown away.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use tokio_util::sync::CancellationToken;

use super::{failure::Failure, reading::unless_stopped};

/// Whether somebody is there to be asked.
#[must_use]
pub fn somebody_is_there() -> bool {
    io::stdin().is_terminal()
}

/// Asks for the count to be typed; whether it was.
///
/// # Errors
///
/// [`Failure`] if nothing could be read, or a signal came instead of an answer.
pub async fn asked(count: u64, what: &str, stop: &CancellationToken) -> Result<bool, Failure> {
    let question = format!("{what}. Type the number {count} to go on: ");
    let mut stderr = io::stderr();
    // Whoever closed standard error cannot read the question, and will not answer it by accident.
    drop(stderr.write_all(question.as_bytes()).and_then(|()| stderr.flush()));
    let answer = tokio::task::spawn_blocking(|| {
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer).map(|_| answer)
    });
    unless_stopped(stop, async {
        let answer = answer.await.map_err(|error| Failure::Input(io::Error::other(error)))?;
        Ok(confirms(&answer.map_err(Failure::Input)?, count))
    })
    .await
}

/// Only the number itself is a yes.
fn confirms(answer: &str, count: u64) -> bool {
    answer.trim() == count.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_number_itself_is_a_yes() {
        for (answer, expected) in [
            ("12\n", true),
            (" 12 \r\n", true),
            ("12", true),
            ("", false),
            ("\n", false),
            ("y\n", false),
            ("yes\n", false),
            ("1\n", false),
            ("012\n", false),
            ("12 letters\n", false),
        ] {
            assert_eq!(confirms(answer, 12), expected, "{answer:?}");
        }
    }
}
