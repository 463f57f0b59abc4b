//! The commands that bring back the jobs of a client that a wrong secret condemned, as they are typed in a shell.

use std::{path::PathBuf, time::SystemTime};

use crate::domain::{Reason, rfc3339};

/// The commands on the dead-letter queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DeadLetterCommands {
    /// Lists what was rejected.
    pub(super) list: String,
    /// Sends it back.
    pub(super) replay: String,
}

impl DeadLetterCommands {
    /// About the rejected jobs of `client` since then, with the worker's own configuration files.
    pub(super) fn new(files: &[PathBuf], client: &str, since: SystemTime) -> Self {
        let command = |action: &str| {
            let mut words = vec!["revoker".to_owned()];
            for file in files {
                words.extend(["--config".to_owned(), file.to_string_lossy().into_owned()]);
            }
            words.extend(["dead-letters".to_owned(), action.to_owned()]);
            // A job that was delivered again has the second reason, also where its secret was wrong both times.
            for reason in [Reason::Rejected, Reason::RejectedAfterAmbiguity] {
                words.extend(["--reason".to_owned(), reason.as_str().to_owned()]);
            }
            if client.starts_with('-') {
                // Apart it would be read as an option.
                words.push(format!("--client-id={client}"));
            } else {
                words.extend(["--client-id".to_owned(), client.to_owned()]);
            }
            if let Some(since) = rfc3339(since) {
                words.extend(["--since".to_owned(), since]);
            }
            words
        };
        let replay = command("replay").into_iter().chain(["--include-rejected".to_owned()]);
        Self { list: join(command("list")), replay: join(replay) }
    }
}

/// Joins the words of a command, quoted for a shell where they need it.
pub(in crate::cli) fn join(words: impl IntoIterator<Item = String>) -> String {
    let words: Vec<String> = words.into_iter().collect();
    // The one thing that cannot be quoted is a NUL, which neither an argument nor a client id can hold.
    shlex::try_join(words.iter().map(String::as_str)).unwrap_or_else(|_| words.join(" "))
}
