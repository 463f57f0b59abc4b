//! The time-out of confirms, and the limit after which a channel without confirms is given up.
//!
//! Giving up a channel costs copies: an unconfirmed message is published again and may be stored already. So a late
//! confirm is awaited as long as the broker answers on its channel. Each channel that is given up doubles the next
//! time-out.

use std::time::Duration;

use super::batch::{Interruption, PublishedBatch};

/// A channel on which the broker answers without confirms is given up after this many time-outs.
const KEPT_FOR: u32 = 10;

/// The longest doubled time-out. A longer configured one stays.
const LONGEST: Duration = Duration::from_secs(60);

/// The time-out of confirms from one queue, over successive channels.
#[derive(Debug, Clone, Copy)]
pub(super) struct ConfirmTimeout {
    normal: Duration,
    timeout: Duration,
}

impl ConfirmTimeout {
    pub(super) const fn new(confirm_timeout: Duration) -> Self {
        Self { normal: confirm_timeout, timeout: confirm_timeout }
    }

    /// After this time a confirm is late. The broker is then asked whether it answers at all, with the same limit.
    pub(super) const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// After this time a channel is given up although the broker answers.
    pub(super) fn limit(&self) -> Duration {
        self.timeout.saturating_mul(KEPT_FOR)
    }

    /// Adapts to the result of a batch. Giving up its channel doubles the time-out. Confirms in time reset it.
    pub(super) fn note(&mut self, published: &PublishedBatch) {
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

    fn given_up() -> PublishedBatch {
        PublishedBatch { results: Vec::new(), interruption: Some(Interruption::Silent), late: true }
    }

    fn confirmed(late: bool) -> PublishedBatch {
        PublishedBatch { results: Vec::new(), interruption: None, late }
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

    /// The bounds that docs/queues.md states: for the default time-out, and for the shortest and the longest that the
    /// configuration accepts. The time is the longest that a settled delivery stays in flight.
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
