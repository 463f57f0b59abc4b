//! What the pipeline is configured with; `config` reads and checks it.

use std::time::Duration;

use crate::domain::{JobDefaults, Policy};

/// How jobs are read, judged and remembered.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What stands in for the fields that a job leaves out.
    pub defaults: JobDefaults,
    /// When to wait, park, give up and presume.
    pub policy: Policy,
    /// How long a revoked token is remembered, to settle its duplicates without a call.
    pub remember: Duration,
    /// How many revoked tokens are remembered at most.
    pub remember_capacity: usize,
}
