//! `revoker run`.

use std::process::ExitCode;

use tracing::error;

use super::{EXIT_USAGE, with_sources};
use crate::{
    config::Config,
    worker::{self, WorkerEnd},
};

/// Runs the worker until a signal stops it.
pub(super) async fn run(config: Config) -> ExitCode {
    match worker::run(&config).await {
        Ok(WorkerEnd::InOrder) => ExitCode::SUCCESS,
        Ok(WorkerEnd::Early) => ExitCode::FAILURE,
        Err(fault) => {
            error!("{}", with_sources(&fault));
            if fault.is_usage() { ExitCode::from(EXIT_USAGE) } else { ExitCode::FAILURE }
        }
    }
}
