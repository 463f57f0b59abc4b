//! The exit codes and the failures of commands.

use std::{
    error::Error,
    fmt::{self, Display},
    io,
    process::ExitCode,
};

use tokio::task::JoinError;
use tracing::error;

use super::{output::OutputError, places::SameFile};
use crate::{
    broker::{ActionError, BrowseError, PrepareError, TopologyError},
    domain::ErrorChain,
    sweep::{BeginError, LookupError},
    worker::{SweepError, WorkerError},
};

/// The exit code of a command, as documented in `docs/cli.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// Everything was done.
    Done = 0,
    /// The command failed, or was interrupted.
    Failed = 1,
    /// The command line or the configuration is wrong. clap exits with the same code.
    Usage = 2,
    /// The command came to its end, but some of the input was refused.
    Partly = 3,
    /// A sweep ended because nothing was revoked for a client.
    NothingRevoked = 4,
}

impl Exit {
    /// Returns the exit of a failed command. `is_usage` says whether the operator can fix the fault in the command
    /// line or the configuration.
    pub(super) const fn of_failure(is_usage: bool) -> Self {
        if is_usage { Self::Usage } else { Self::Failed }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// The failure of a command. The text contains no token.
#[derive(Debug)]
pub(super) struct Failure {
    text: String,
    exit: Exit,
}

impl Failure {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), exit: Exit::Failed }
    }

    pub(super) fn usage(text: impl Into<String>) -> Self {
        Self { text: text.into(), exit: Exit::Usage }
    }

    /// A failure at a place: a file, or an action.
    pub(super) fn at(place: impl Display, cause: &(dyn Error + 'static)) -> Self {
        Self::new(format!("{place}: {}", ErrorChain(cause)))
    }

    /// Logs the failure, and returns the exit.
    pub(super) fn log(&self) -> Exit {
        error!("{self}");
        self.exit
    }

    pub(super) const fn exit(&self) -> Exit {
        self.exit
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Whether the queues differ from the configured ones.
pub(super) const fn is_topology(fault: &PrepareError) -> bool {
    matches!(fault, PrepareError::Topology(TopologyError::Differs { .. }))
}

/// Lists the errors that end a command, each with a condition for wrong usage.
macro_rules! failures {
    ($($error:ty, $is_usage:expr;)+) => {$(
        impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                let is_usage: fn(&$error) -> bool = $is_usage;
                Self { text: ErrorChain(&error).to_string(), exit: Exit::of_failure(is_usage(&error)) }
            }
        }
    )+};
}

failures! {
    ActionError, |error| matches!(error, ActionError::Replay(fault) if is_topology(fault));
    BeginError, BeginError::is_usage;
    BrowseError, |_| false;
    JoinError, |_| false;
    OutputError, |_| false;
    PrepareError, is_topology;
    SameFile, |_| true;
    LookupError<OutputError>, LookupError::is_usage;
    SweepError, |_| false;
    WorkerError, WorkerError::is_usage;
    io::Error, |_| false;
    serde_json::Error, |_| false;
}
