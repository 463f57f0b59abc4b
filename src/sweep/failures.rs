//! Tells of the failed lines of a running sweep: the first few one by one, the others by their number at the end.

use std::{
    fmt::Display,
    sync::atomic::{AtomicU64, Ordering},
};

use tracing::warn;

use crate::domain::Reason;

/// The failed lines that are told one by one. A file of the wrong kind has millions.
pub const TOLD: u64 = 10;

/// Counts the failed lines of this run, and logs the first of them.
#[derive(Debug, Default)]
pub struct FailureLog(AtomicU64);

impl FailureLog {
    /// Tells that a line failed. `detail` is one sentence without any secret.
    pub fn failed(&self, line: u64, reason: Reason, detail: impl Display) {
        let before = self.0.fetch_add(1, Ordering::Relaxed);
        if before < TOLD {
            warn!("line {line} failed ({}): {detail}", reason.as_str().replace('_', " "));
        } else if before == TOLD {
            warn!("further failed lines are counted, and listed at the end");
        }
    }

    /// The failed lines that were not told one by one.
    pub fn untold(&self) -> u64 {
        self.0.load(Ordering::Relaxed).saturating_sub(TOLD)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_after_the_first_few_are_untold() {
        let failures = FailureLog::default();
        for line in 1..=TOLD {
            failures.failed(line, Reason::Rejected, "the endpoint answered 01");
            assert_eq!(failures.untold(), 0);
        }
        failures.failed(11, Reason::InvalidJob, "it is no job");
        failures.failed(12, Reason::InvalidJob, "it is no job");
        assert_eq!(failures.untold(), 2);
    }
}
