//! How far a sweep is.

use std::time::Duration;

/// How far a sweep is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SweepShare {
    /// The lines that have ended, in all runs.
    pub ended: u64,
    /// The share of the input whose lines have ended, from 0 to 1; `None` if its size is unknown.
    pub share: Option<f64>,
    /// The time that the rest takes at the speed so far; `None` while that is unknown.
    pub left: Option<Duration>,
}
