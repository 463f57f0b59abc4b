//! The settings of the pipeline; `config` reads and checks them.

use std::time::Duration;

use super::RecordSettings;
use crate::domain::{JobDefaults, Policy, VerifyPolicy};

/// The settings of reading, judging and remembering jobs.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The values of fields that a job leaves out.
    pub defaults: JobDefaults,
    /// When to wait, park, give up and presume.
    pub policy: Policy,
    /// The rules of checks of tokens.
    pub verify: VerifyPolicy,
    /// How long a revoked token is remembered. Its duplicates are settled without a call.
    pub remember: Duration,
    /// How many revoked tokens are remembered at most.
    pub remember_capacity: usize,
    /// Which records of ended jobs are made.
    pub records: RecordSettings,
}
