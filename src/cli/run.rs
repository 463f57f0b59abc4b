//! `revoker run`.

use super::Exit;
use crate::{
    config::Config,
    worker::{self, WorkerEnd},
};

/// Runs the worker until a signal stops it.
pub(super) async fn run(config: Config) -> Exit {
    match worker::run(&config).await {
        Ok(WorkerEnd::InOrder) => Exit::Done,
        Ok(WorkerEnd::Early) => Exit::Failed,
        Err(fault) => Exit::of_failure(fault.is_usage()),
    }
}
