//! How long a confirm is waited for, and when a channel that brings none is given up.
//!
//! A channel that is given up costs copies: what it did not confirm is published again, and may stand in
//! its queue already. So a late confirm is waited for on its own channel for as long as the broker answers
//! there, and each channel that is given up makes the next wait twice as long.

use std::time::Duration;

use super::batch::{BatchResult, Interruption};

/// A channel whose broker answers, but does not confirm, is given up after so many time-outs.
const KEPT_FOR: u32 = 10;

/// The time-out doubles up to this; a configured one that is longer stays as it is.
const LONGEST: Duration = Duration::from_secs(60);

/// The time-outs of the channels that serve one queue, one after the other.
#[derive(Debug, Clone, Copy)]
pub struct ConfirmTimeout {
    normal: Duration,
    timeout: Duration,
}

impl ConfirmTimeout {
    /// Begins with the configured time-out.
    #[must_use]
    pub const fn new(confirm_timeout: Duration) -> Self {
        Self { normal: confirm_timeout, timeout: confirm_timeout }
    }

    /// Past this a confirm is late, and the broker is asked whether it answers at all: it has as long
    /// again for that.
    #[must_use]
    pub const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Past this a channel is given up although the broker answers on it.
    #[must_use]
    pub fn limit(&self) -> Duration {
        self.timeout.saturating_mul(KEPT_FOR)
    }

    /// Notes how a batch went. The time-out doubles where its channel was given up, and is the configured
    /// one again where every confirm came in time.
    pub fn note(&mut self, published: &BatchResult) {
        if published.interruption == Some(Interruption::Silent) {
            self.timeout = self.timeout.saturating_mul(2).min(LONGEST).max(self.normal);
        } else if !published.late {
            self.timeout = self.normal;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn given_up() -> BatchResult {
        BatchResult { fates: Vec::new(), interruption: Some(Interruption::Silent), late: true }
    }

    fn confirmed(late: bool) -> BatchResult {
        BatchResult { fates: Vec::new(), interruption: None, late }
    }

    /// Copies of a message that a broker stores and never confirms, while its delivery is in flight.
    fn copies(confirm_timeout: Duration, in_flight: Duration, answers: bool) -> usize {
        let mut confirm_timeout = ConfirmTimeout::new(confirm_timeout);
        let mut copies = 0;
        let mut passed = Duration::ZERO;
        while passed < in_flight {
            copies += 1;
            passed += if answers { confirm_timeout.limit() } else { confirm_timeout.timeout() * 2 };
            confirm_timeout.note(&given_up());
        }
        copies
    }

    /// The bounds that docs/queues.md states: for the default time-out, and for the shortest and
    /// the longest that the configuration accepts. The time is the longest that a settled delivery stays in
    /// flight.
    #[test]
    fn copies_are_bounded_while_a_delivery_is_in_flight() {
        for (timeout, answering, silent) in [(10, 3, 8), (1, 7, 11), (60, 2, 6)] {
            let counted = |answers| copies(timeout * SECOND, 660 * SECOND, answers);
            assert_eq!((counted(true), counted(false)), (answering, silent), "{timeout} s");
        }
    }

    #[test]
    fn the_timeout_doubles_up_to_a_bound_and_is_the_configured_one_again_after_confirms_in_time() {
        let mut confirm_timeout = ConfirmTimeout::new(10 * SECOND);
        for expected in [20, 40, 60, 60] {
            confirm_timeout.note(&given_up());
            assert_eq!(confirm_timeout.timeout(), expected * SECOND);
        }
        confirm_timeout.note(&confirmed(true));
        assert_eq!(confirm_timeout.timeout(), 60 * SECOND, "late");
        confirm_timeout.note(&confirmed(false));
        assert_eq!(confirm_timeout.timeout(), 10 * SECOND);
    }

    #[test]
    fn a_configured_timeout_beyond_the_bound_stays_as_it_is() {
        let mut confirm_timeout = ConfirmTimeout::new(LONGEST + SECOND);
        confirm_timeout.note(&given_up());
        assert_eq!(confirm_timeout.timeout(), LONGEST + SECOND);
    }
}
