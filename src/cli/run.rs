//! `revoker run`.

use tracing::error;

use super::Exit;
use crate::{
    config::Config,
    domain::ErrorChain,
    worker::{self, WorkerEnd},
};

/// Runs the worker until a signal stops it.
pub(super) async fn run(config: Config) -> Exit {
    match worker::run(&config).await {
        Ok(WorkerEnd::InOrder) => Exit::Done,
        Ok(WorkerEnd::Early) => Exit::Failed,
        Err(fault) => {
            error!("{}", ErrorChain(&fault));
            Exit::of_failure(fault.is_usage())
        }
    }
}
