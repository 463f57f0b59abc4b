//! Counts a job in the gauge of jobs in flight.

use std::sync::Arc;

use super::{Metrics, labels::JobState};

/// Counts one job in one state until it is dropped. So no end of a job, a panic included, leaves it counted.
#[must_use = "the job counts only for as long as this lives"]
#[derive(Debug)]
pub struct InState {
    metrics: Arc<Metrics>,
    state: JobState,
}

impl InState {
    pub(super) fn enter(metrics: Arc<Metrics>, state: JobState) -> Self {
        metrics.table.in_flight.of(state).inc();
        Self { metrics, state }
    }

    /// Moves the job to another state.
    pub fn switch(&mut self, state: JobState) {
        // Increment first: the sum over the states may be one too high for a moment, never one too low.
        self.metrics.table.in_flight.of(state).inc();
        self.metrics.table.in_flight.of(self.state).dec();
        self.state = state;
    }
}

impl Drop for InState {
    fn drop(&mut self) {
        self.metrics.table.in_flight.of(self.state).dec();
    }
}
