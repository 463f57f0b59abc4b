//! The commands that replay the jobs of a client that were rejected for a wrong secret.

use std::{path::PathBuf, time::SystemTime};

use crate::domain::{Reason, rfc3339};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetterCommands {
    pub list: String,
    pub replay: String,
}

impl DeadLetterCommands {
    /// The commands for the rejected jobs of `client`, or of all, since then, with the worker's own configuration `files`.
    pub fn new(files: &[PathBuf], client: Option<&str>, since: SystemTime) -> Self {
        let command = |action: &str| {
            let mut words = vec!["revoker".to_owned()];
            for file in files {
                words.extend(["--config".to_owned(), file.to_string_lossy().into_owned()]);
            }
            words.extend(["dead-letters".to_owned(), action.to_owned()]);
            // A job that was delivered twice has the second reason, even if its secret was wrong both times.
            for reason in [Reason::Rejected, Reason::RejectedAfterAmbiguity] {
                words.extend(["--reason".to_owned(), reason.as_str().to_owned()]);
            }
            match client {
                // As a word of its own, it would be read as an option.
                Some(client) if client.starts_with('-') => {
                    words.push(format!("--client-id={client}"));
                }
                Some(client) => words.extend(["--client-id".to_owned(), client.to_owned()]),
                None => {}
            }
            if let Some(since) = rfc3339(since) {
                words.extend(["--since".to_owned(), since]);
            }
            words
        };
        let replay = command("replay").into_iter().chain(["--include-rejected".to_owned()]);
        Self { list: shell_command(command("list")), replay: shell_command(replay) }
    }
}

/// Joins the words of a command, quoted for a shell where needed.
pub fn shell_command(words: impl IntoIterator<Item = String>) -> String {
    let words: Vec<String> = words.into_iter().collect();
    // Only a NUL cannot be quoted, and neither an argument nor a client id can hold one.
    shlex::try_join(words.iter().map(String::as_str)).unwrap_or_else(|_| words.join(" "))
}
