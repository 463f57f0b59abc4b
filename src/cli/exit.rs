//! The exit codes of all commands.

use std::process::ExitCode;

/// How a command ended. The numbers are documented in `docs/cli.md`.
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
