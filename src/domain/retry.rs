//! When a failed job waits in flight, when it is parked, and when it is given up.

use std::time::{Duration, SystemTime};

use super::{backoff::Schedule, history::History, outcome::Parking};

/// The terms of retrying.
#[derive(Debug, Clone, PartialEq)]
pub struct RetryPolicy {
    /// The waits between attempts of a job in flight.
    pub schedule: Schedule,
    /// A job that has failed for this long, its stays included and pauses not counted, is parked.
    pub hold: Duration,
    /// The stays in a retry queue: the first, the second, and so on; the last one repeats.
    pub park: Vec<Duration>,
    /// A job that has failed for this long, pauses not counted, is given up, if the endpoint answers others.
    pub give_up_after: Duration,
    /// No server's `Retry-After` is obeyed beyond this.
    pub retry_after_max: Duration,
}

/// What a failed job does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Waits in flight.
    InHand,
    /// Stays in a retry queue.
    Park,
    /// Is given up.
    GiveUp,
}

impl RetryPolicy {
    /// How long a job has been failing that fails in flight for `in_hand`, pauses counted in neither. Stays
    /// count as well: back from one past the hold, it gets one attempt, then the next stay; one that was
    /// parked early, for want of room, has what is left of the hold.
    #[must_use]
    pub fn failing_for(&self, history: &History, now: SystemTime, in_hand: Duration) -> Duration {
        // The wall clock can be stepped, so it counts only where no other clock saw it all.
        if history.first_failed_at.is_none() || history.stays == 0 {
            return in_hand;
        }
        // A first failure that is still to come: the clock was stepped back since. A journal keeps
        // it as it is, and the hold would begin anew at each return until the clock has caught up.
        history.age(now).unwrap_or(self.hold).max(in_hand)
    }

    /// What a job does after a failed attempt, seen at `now`, that has been failing in flight for
    /// `in_hand`. `others_answered`: whether the endpoint answered another job meanwhile; without
    /// that it may be weather, and in weather nothing is given up.
    #[must_use]
    pub fn after_failure(
        &self,
        history: &History,
        now: SystemTime,
        in_hand: Duration,
        others_answered: bool,
    ) -> Retry {
        let age = history.age(now).unwrap_or_default();
        if age >= self.give_up_after && others_answered {
            Retry::GiveUp
        } else if self.failing_for(history, now, in_hand) >= self.hold {
            // What has failed for so long is no longer worth a place in flight.
            Retry::Park
        } else {
            Retry::InHand
        }
    }

    /// Sends a job to its next stay at `now`, and notes it in its history. The stay is no shorter than
    /// `at_least`, as far as there is one so long.
    pub fn park(&self, history: &mut History, at_least: Duration, now: SystemTime) -> Parking {
        let next = self.stay(history.stays);
        let long_enough = self.park.iter().find(|stay| **stay >= at_least).or(self.park.last());
        let delay = next.max(long_enough.copied().unwrap_or_default());
        history.stays = history.stays.saturating_add(1);
        history.parked_at = Some(now);
        Parking { delay, history: *history }
    }

    /// Sends a job elsewhere for `wait` at `now`, for no failure of its own: its stays are not counted.
    #[must_use]
    pub fn set_aside(&self, history: &History, wait: Duration, now: SystemTime) -> Parking {
        let long_enough = self.park.iter().find(|stay| **stay >= wait).or(self.park.last());
        let history = History { parked_at: Some(now), ..*history };
        Parking { delay: long_enough.copied().unwrap_or_default(), history }
    }

    /// How long the stay after `stays` earlier ones lasts.
    #[must_use]
    pub fn stay(&self, stays: u32) -> Duration {
        let last = self.park.len().saturating_sub(1);
        let index = usize::try_from(stays).unwrap_or(last).min(last);
        self.park.get(index).copied().unwrap_or(self.hold)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    fn policy() -> RetryPolicy {
        RetryPolicy {
            schedule: Schedule {
                initial: Duration::from_millis(250),
                multiplier: 2.0,
                max: Duration::from_secs(15),
                jitter: 0.5,
            },
            hold: Duration::from_secs(60),
            park: vec![Duration::from_secs(10), Duration::from_secs(60), HOUR],
            give_up_after: 24 * HOUR,
            retry_after_max: Duration::from_secs(300),
        }
    }

    #[test]
    fn a_failure_waits_then_parks_then_is_given_up_in_good_weather_only() {
        let now = SystemTime::UNIX_EPOCH + 1000 * HOUR;
        let cases = [
            // (stays, first failed ago, in flight for, others answered) -> what next
            (0, Duration::ZERO, Duration::ZERO, true, Retry::InHand),
            (0, Duration::from_secs(59), Duration::from_secs(59), true, Retry::InHand),
            (0, Duration::from_secs(60), Duration::from_secs(60), true, Retry::Park),
            (1, HOUR, Duration::ZERO, true, Retry::Park),
            (1, Duration::from_secs(60), Duration::ZERO, true, Retry::Park),
            (1, Duration::from_secs(59), Duration::from_secs(49), true, Retry::InHand),
            (1, Duration::ZERO, Duration::from_secs(60), true, Retry::Park),
            (90, 23 * HOUR, Duration::ZERO, true, Retry::Park),
            (90, 24 * HOUR, Duration::ZERO, true, Retry::GiveUp),
            (90, 2400 * HOUR, Duration::ZERO, false, Retry::Park),
            (0, 24 * HOUR, Duration::ZERO, false, Retry::InHand),
        ];
        for (stays, ago, in_hand, others_answered, expected) in cases {
            let history =
                History { stays, first_failed_at: now.checked_sub(ago), ..History::default() };
            let next = policy().after_failure(&history, now, in_hand, others_answered);
            assert_eq!(next, expected, "stays {stays}, first failed {ago:?} ago");
        }
    }

    #[test]
    fn each_stay_is_the_next_in_the_list_and_the_last_one_repeats() {
        let mut history = History::default();
        let stays: Vec<_> = (0..5)
            .map(|_| policy().park(&mut history, Duration::ZERO, NOW).delay.as_secs())
            .collect();
        assert_eq!(stays, [10, 60, 3600, 3600, 3600]);
        assert_eq!(history.stays, 5);
    }

    #[test]
    fn a_job_that_is_set_aside_has_no_stay_counted() {
        let history = History { stays: 2, ..History::default() };
        let aside = |wait| policy().set_aside(&history, Duration::from_secs(wait), NOW);
        assert_eq!([0, 11, 86_400].map(|wait| aside(wait).delay.as_secs()), [10, 60, 3600]);
        assert_eq!(aside(0).history, History { parked_at: Some(NOW), ..history });
    }

    #[test]
    fn a_stay_is_no_shorter_than_the_server_asked() {
        let stay =
            |asked| policy().park(&mut History::default(), Duration::from_secs(asked), NOW).delay;
        assert_eq!(stay(0).as_secs(), 10);
        assert_eq!(stay(11).as_secs(), 60);
        assert_eq!(stay(86_400).as_secs(), 3600, "the longest there is");
    }

    #[test]
    fn a_clock_that_stepped_back_gives_nothing_up_and_grants_no_other_hold() {
        let now = SystemTime::UNIX_EPOCH;
        let first = History { first_failed_at: Some(now + HOUR), ..History::default() };
        assert_eq!(policy().after_failure(&first, now, Duration::ZERO, true), Retry::InHand);
        let back = History { stays: 1, ..first };
        assert_eq!(policy().after_failure(&back, now, Duration::ZERO, true), Retry::Park);
    }

    #[test]
    fn time_in_a_pause_counts_towards_neither_the_end_nor_the_hold() {
        let now = SystemTime::UNIX_EPOCH + 1000 * HOUR;
        let second = Duration::from_secs(1);
        let almost_all = (30 * HOUR).saturating_sub(59 * second);
        let cases = [
            // (stays, first failed ago, paused for, in hand for) -> what next
            (5, 30 * HOUR, Duration::ZERO, second, Retry::GiveUp),
            (5, 30 * HOUR, 6 * HOUR, second, Retry::GiveUp),
            (5, 30 * HOUR, 6 * HOUR + second, second, Retry::Park),
            (5, 30 * HOUR, almost_all, second, Retry::InHand),
            // The hold is over by what no pause has interrupted.
            (5, 30 * HOUR, almost_all, 60 * second, Retry::Park),
            (0, 30 * HOUR, 30 * HOUR, second, Retry::InHand),
            // More than there can have been, as after a step of the clock.
            (5, 30 * HOUR, 400 * HOUR, second, Retry::InHand),
        ];
        for (stays, ago, paused, in_hand, expected) in cases {
            let first_failed_at = now.checked_sub(ago);
            let history = History { stays, first_failed_at, paused, ..History::default() };
            let next = policy().after_failure(&history, now, in_hand, true);
            assert_eq!(next, expected, "first failed {ago:?} ago, paused for {paused:?}");
        }
    }
}
