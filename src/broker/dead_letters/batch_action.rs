//! The actions on dead letters, and why they fail.

use thiserror::Error;

use super::{message::BrowsedMessage, queue::BrowseError};
use crate::broker::topology::{PrepareError, TopologyError};

/// An action on messages. Each message is acked after its action.
pub trait BatchAction {
    const BATCH: usize;

    /// Whether the action cannot be applied to this message, so that it stays in the queue.
    fn refuses(&self, _message: &BrowsedMessage) -> bool {
        false
    }

    /// Processes a batch. On an error, the result of each message is unknown.
    async fn apply(&mut self, batch: Vec<BrowsedMessage>) -> Result<BatchResult, PrepareError>;
}

#[derive(Debug)]
pub struct BatchResult {
    /// For each message, whether it is done and can be acked.
    pub(super) done: Vec<bool>,
    /// Why the other messages are not done; `None` if they can never be.
    pub(super) refused: Option<String>,
}

/// Discards messages: acks them, and does nothing else.
#[derive(Debug)]
pub struct Discard;

impl BatchAction for Discard {
    // Few enough that a signal does not wait long, and many enough for few ack frames.
    const BATCH: usize = 1024;

    async fn apply(&mut self, batch: Vec<BrowsedMessage>) -> Result<BatchResult, PrepareError> {
        Ok(BatchResult { done: vec![true; batch.len()], refused: None })
    }
}

/// The error of an action.
#[derive(Debug, Error)]
pub enum ActionError {
    #[error(transparent)]
    Browse(#[from] BrowseError),
    #[error(transparent)]
    Replay(#[from] PrepareError),
    #[error("{0}: the dead letters that it did not accept stay in the queue")]
    Refused(String),
    #[error("interrupted: the rest stays in the queue, and the same command continues with it")]
    Interrupted,
}

impl ActionError {
    /// Whether the same action may succeed a moment later.
    pub(super) const fn is_transient(&self) -> bool {
        match self {
            Self::Browse(error) => error.is_transient(),
            Self::Replay(PrepareError::Topology(error)) => {
                matches!(error, TopologyError::Refused { .. } | TopologyError::Failed { .. })
            }
            Self::Replay(PrepareError::Unreachable(_)) | Self::Refused(_) => true,
            Self::Interrupted => false,
        }
    }
}
