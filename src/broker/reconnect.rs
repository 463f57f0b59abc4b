//! The delay before a lane's next session, from the durations of its sessions.

use std::time::Duration;

use crate::domain::{Backoff, Schedule};

/// The delays between tries. The cap is small: a broker that is back should be used at once.
const RECONNECT: Schedule = Schedule {
    initial: Duration::from_millis(100),
    multiplier: 2.0,
    max: Duration::from_secs(3),
    jitter: 0.5,
};

/// A session that lasted this long resets the delay.
pub(super) const STABLE: Duration = Duration::from_secs(10);

/// This many short sessions in a row are flapping.
const FLAPPING: u32 = 3;

#[derive(Debug)]
pub(super) struct ReconnectDelay {
    backoff: Backoff,
    /// The number of lost sessions in a row that were not stable.
    short: u32,
}

impl Default for ReconnectDelay {
    fn default() -> Self {
        Self { backoff: RECONNECT.start(), short: 0 }
    }
}

impl ReconnectDelay {
    /// Records how long a session lasted, and whether its connection was lost.
    pub(super) fn record(&mut self, lived: Duration, lost: bool) {
        if lived >= STABLE {
            // A session that breaks at once must not be retried without a delay.
            self.backoff.reset();
            self.short = 0;
        } else if lost {
            self.short = self.short.saturating_add(1);
        }
    }

    /// Whether sessions break repeatedly, soon after they begin.
    pub(super) const fn is_flapping(&self) -> bool {
        self.short >= FLAPPING
    }

    /// The delay before the next try. `chance` is drawn evenly from 0 to 1.
    pub(super) fn next(&mut self, chance: f64) -> Duration {
        self.backoff.next(chance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_secs(1);

    #[test]
    fn the_waits_grow_until_a_session_is_stable() {
        let mut delay = ReconnectDelay::default();
        let waits = [(); 7].map(|()| {
            delay.record(SHORT, true);
            delay.next(0.5)
        });
        assert!(waits.is_sorted(), "{waits:?}");
        assert_eq!((waits[0], waits[6]), (RECONNECT.initial, RECONNECT.max));
        delay.record(STABLE, true);
        assert_eq!(delay.next(0.5), RECONNECT.initial);
    }

    #[test]
    fn only_connections_lost_soon_and_in_a_row_break_again_and_again() {
        let after = |lives: &[(Duration, bool)]| {
            let mut delay = ReconnectDelay::default();
            for (lived, lost) in lives {
                delay.record(*lived, *lost);
            }
            delay.is_flapping()
        };
        assert!(after(&[(SHORT, true); 3]));
        assert!(!after(&[(SHORT, true); 2]));
        assert!(!after(&[(SHORT, false); 9]));
        assert!(!after(&[(SHORT, true), (SHORT, true), (STABLE, true), (SHORT, true)]));
    }
}
