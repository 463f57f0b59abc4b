//! Why a command did not finish.

use std::{io, path::PathBuf};

use thiserror::Error;

use super::reasons::several;
use crate::{
    broker::{ActionError, BrowseError, PrepareError, TopologyError},
    cli::{Exit, output::OutputError},
};

/// Why a command did not finish. The texts contain no token.
#[derive(Debug, Error)]
pub(super) enum DeadLettersError {
    #[error(transparent)]
    Browse(#[from] BrowseError),
    #[error(transparent)]
    Action(#[from] ActionError),
    #[error("{0}")]
    NotFound(String),
    #[error("{0}")]
    Usage(String),
    #[error("interrupted: {0}")]
    Interrupted(&'static str),
    #[error(
        "{} not found again: another consumer has taken or holds them; the same command continues with what is there",
        several(*.0, "letter")
    )]
    Unfinished(u64),
    #[error("{}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("standard input")]
    Input(#[source] io::Error),
    #[error(transparent)]
    Output(#[from] OutputError),
    #[error("the result cannot be written as JSON")]
    Json(#[from] serde_json::Error),
}

impl DeadLettersError {
    /// Returns the exit. A queue with other arguments than configured counts as wrong usage.
    pub(super) fn exit_code(&self) -> Exit {
        match self {
            Self::Usage(_)
            | Self::Action(ActionError::Replay(PrepareError::Topology(TopologyError::Differs {
                ..
            }))) => Exit::Usage,
            _ => Exit::Failed,
        }
    }
}
