//! Why an action did not come to its end.

use std::{io, path::PathBuf, process::ExitCode};

use thiserror::Error;

use super::counts::several;
use crate::{
    broker::{BrowseError, PrepareError, TopologyError},
    cli::{EXIT_USAGE, output::OutputError, with_sources},
};

/// Why an action did not come to its end. The texts hold no token.
#[derive(Debug, Error)]
pub enum Failure {
    /// The queue could not be looked at.
    #[error(transparent)]
    Browse(#[from] BrowseError),
    /// Letters could not be published.
    #[error(transparent)]
    Replay(#[from] PrepareError),
    /// A lane took no more letters.
    #[error("{0}: letters that it did not take are still dead letters")]
    Refused(String),
    /// Nothing fits what was asked for.
    #[error("{0}")]
    NotFound(String),
    /// The command line asks for what must not be done.
    #[error("{0}")]
    Usage(String),
    /// A signal came.
    #[error("interrupted: {0}")]
    Interrupted(&'static str),
    /// Some of the chosen letters could not be found again.
    #[error(
        "{} not found again: somebody else has taken what was chosen, or holds it; the same command goes \
         on with what is there",
        several(*.0, "letter")
    )]
    Unfinished(u64),
    /// A file could not be written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The answer could not be asked for.
    #[error("standard input: {0}")]
    Input(io::Error),
    /// The result could not be printed.
    #[error("{}", with_sources(.0))]
    Output(#[from] OutputError),
    /// The result could not be put into JSON.
    #[error("the result cannot be written as JSON: {0}")]
    Unprintable(serde_json::Error),
}

impl Failure {
    /// Whether the same may succeed a moment later.
    #[must_use]
    pub const fn passes(&self) -> bool {
        match self {
            Self::Browse(error) => error.is_transient(),
            Self::Replay(error) => match error {
                PrepareError::Topology(error) => {
                    matches!(error, TopologyError::Refused { .. } | TopologyError::Failed { .. })
                }
                PrepareError::Unreachable(_) => true,
            },
            Self::Refused(_) => true,
            _ => false,
        }
    }

    /// Wrong usage, a topology that differs included, or a failure.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(_)
            | Self::Replay(PrepareError::Topology(TopologyError::Differs { .. })) => {
                ExitCode::from(EXIT_USAGE)
            }
            _ => ExitCode::FAILURE,
        }
    }
}
