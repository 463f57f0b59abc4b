//! How far a command is.

use std::cell::Cell;

/// How far a command is. The command's display reads it while the work continues in the same task.
#[derive(Debug, Default)]
pub struct BrowseProgress {
    /// Messages that are done.
    pub done: Cell<u64>,
    /// Messages to do, as far as known.
    pub total: Cell<u64>,
    /// The step under way.
    pub step: Cell<BrowseStep>,
}

/// A step during which `done` may stand still.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum BrowseStep {
    /// Messages are being done.
    #[default]
    Working,
    /// The queue is read, this far.
    Reading {
        /// Messages read.
        seen: u32,
        /// Messages in the queue, as far as known.
        expected: u32,
    },
    /// The broker requeues the messages.
    Returning,
}
