//! Why a command did not finish.

use std::{io, path::PathBuf, process::ExitCode};

use thiserror::Error;

use super::reasons::several;
use crate::{
    broker::{ActionError, BrowseError, PrepareError, TopologyError},
    cli::{EXIT_USAGE, output::OutputError, with_sources},
};

/// Why a command did not finish. The texts contain no token.
#[derive(Debug, Error)]
pub(super) enum DeadLettersError {
    /// The queue cannot be browsed.
    #[error(transparent)]
    Browse(#[from] BrowseError),
    /// The action did not start or not finish.
    #[error(transparent)]
    Action(#[from] ActionError),
    /// No dead letter has the given name.
    #[error("{0}")]
    NotFound(String),
    /// The command line is wrong.
    #[error("{0}")]
    Usage(String),
    /// A signal or an answer ended the command.
    #[error("interrupted: {0}")]
    Interrupted(&'static str),
    /// Some selected messages were not found again.
    #[error(
        "{} not found again: another consumer has taken or holds them; the same command continues with what is there",
        several(*.0, "letter")
    )]
    Unfinished(u64),
    /// A file cannot be written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The answer cannot be read.
    #[error("standard input: {0}")]
    Input(io::Error),
    /// The result cannot be printed.
    #[error("{}", with_sources(.0))]
    Output(#[from] OutputError),
    /// The result cannot be written as JSON.
    #[error("the result cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

impl DeadLettersError {
    /// The exit code. A queue with other arguments than configured counts as wrong usage.
    pub(super) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(_)
            | Self::Action(ActionError::Replay(PrepareError::Topology(TopologyError::Differs {
                ..
            }))) => ExitCode::from(EXIT_USAGE),
            _ => ExitCode::FAILURE,
        }
    }
}
