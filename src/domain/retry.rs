//! Decides whether a failed job waits in flight, is parked or is given up.

use std::time::{Duration, SystemTime};

use super::{backoff::Schedule, history::History};

/// The settings of retrying.
#[derive(Debug, Clone, PartialEq)]
pub struct RetryPolicy {
    /// The waits between attempts of a job in flight.
    pub schedule: Schedule,
    /// A job that has failed for this long is parked. Time in retry queues counts, pauses do not.
    pub hold: Duration,
    /// The delays in retry queues: the first, the second, and so on; the last one repeats.
    pub park: Vec<Duration>,
    /// A job that has failed for this long is given up, if the endpoint answers other jobs. Pauses do
    /// not count.
    pub give_up_after: Duration,
    /// A longer `Retry-After` is cut to this.
    pub retry_after_max: Duration,
}

/// The next step of a failed job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// It waits in flight for its next attempt.
    Wait,
    /// It goes to a retry queue.
    Park,
    /// It is dead-lettered.
    GiveUp,
}

impl RetryPolicy {
    /// How long a job has been failing, of which `in_flight` in this delivery. Neither counts pauses.
    ///
    /// Time in retry queues counts. A job that returns after its hold gets one attempt, then it is parked again. A job
    /// that was parked early, for lack of room, returns with its remaining hold.
    #[must_use]
    pub fn failing_for(&self, history: &History, now: SystemTime, in_flight: Duration) -> Duration {
        // The wall clock can be stepped, so it counts only where no other clock saw the whole time.
        if history.first_failed_at.is_none() || history.stays == 0 {
            return in_flight;
        }
        // No age: the clock was stepped back to before the first failure. A journal keeps that time. Without this, the
        // job would get a whole hold at each return until the clock catches up.
        history.age(now).unwrap_or(self.hold).max(in_flight)
    }

    /// Decides a job's next step after an attempt that failed at `now`. It has been failing in this delivery for
    /// `in_flight`. `others_answered` says whether the endpoint answered another job since the attempt began. Otherwise
    /// the endpoint may be down, and in an outage no job is given up.
    #[must_use]
    pub fn after_failure(
        &self,
        history: &History,
        now: SystemTime,
        in_flight: Duration,
        others_answered: bool,
    ) -> Retry {
        let age = history.age(now).unwrap_or_default();
        if age >= self.give_up_after && others_answered {
            Retry::GiveUp
        } else if self.failing_for(history, now, in_flight) >= self.hold {
            Retry::Park
        } else {
            Retry::Wait
        }
    }

    /// Parks a job from `now` on, records that in its history, and returns the delay. The delay is at least
    /// `at_least`, or else the longest configured one.
    pub fn park(&self, history: &mut History, at_least: Duration, now: SystemTime) -> Duration {
        let next = self.stay(history.stays);
        history.stays = history.stays.saturating_add(1);
        next.max(self.set_aside(history, at_least, now))
    }

    /// The delay in a retry queue for another reason than the job's own failure. It is not counted in the
    /// history. The delay is the shortest one of at least `wait`, or else the longest there is.
    pub fn set_aside(&self, history: &mut History, wait: Duration, now: SystemTime) -> Duration {
        history.parked_at = Some(now);
        let long_enough = self.park.iter().find(|stay| **stay >= wait).or(self.park.last());
        long_enough.copied().unwrap_or_default()
    }

    /// The delay in a retry queue after `stays` earlier ones.
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
    fn a_failure_waits_then_parks_then_is_given_up_only_while_others_are_answered() {
        let now = SystemTime::UNIX_EPOCH + 1000 * HOUR;
        let cases = [
            // (stays, first failed ago, in flight for, others answered) -> what next
            (0, Duration::ZERO, Duration::ZERO, true, Retry::Wait),
            (0, Duration::from_secs(59), Duration::from_secs(59), true, Retry::Wait),
            (0, Duration::from_secs(60), Duration::from_secs(60), true, Retry::Park),
            (1, HOUR, Duration::ZERO, true, Retry::Park),
            (1, Duration::from_secs(60), Duration::ZERO, true, Retry::Park),
            (1, Duration::from_secs(59), Duration::from_secs(49), true, Retry::Wait),
            (1, Duration::ZERO, Duration::from_secs(60), true, Retry::Park),
            (90, 23 * HOUR, Duration::ZERO, true, Retry::Park),
            (90, 24 * HOUR, Duration::ZERO, true, Retry::GiveUp),
            (90, 2400 * HOUR, Duration::ZERO, false, Retry::Park),
            (0, 24 * HOUR, Duration::ZERO, false, Retry::Wait),
        ];
        for (stays, ago, in_flight, others_answered, expected) in cases {
            let history =
                History { stays, first_failed_at: now.checked_sub(ago), ..History::default() };
            let next = policy().after_failure(&history, now, in_flight, others_answered);
            assert_eq!(next, expected, "stays {stays}, first failed {ago:?} ago");
        }
    }

    #[test]
    fn each_stay_is_the_next_in_the_list_and_the_last_one_repeats() {
        let mut history = History::default();
        let stays: Vec<_> =
            (0..5).map(|_| policy().park(&mut history, Duration::ZERO, NOW).as_secs()).collect();
        assert_eq!(stays, [10, 60, 3600, 3600, 3600]);
        assert_eq!(history.stays, 5);
    }

    #[test]
    fn a_job_that_is_set_aside_has_no_stay_counted() {
        let history = History { stays: 2, ..History::default() };
        let mut aside = history;
        let delays = [0, 11, 86_400]
            .map(|wait| policy().set_aside(&mut aside, Duration::from_secs(wait), NOW).as_secs());
        assert_eq!(delays, [10, 60, 3600]);
        assert_eq!(aside, History { parked_at: Some(NOW), ..history });
    }

    #[test]
    fn a_stay_is_no_shorter_than_the_server_asked() {
        let stay = |asked| policy().park(&mut History::default(), Duration::from_secs(asked), NOW);
        assert_eq!(stay(0).as_secs(), 10);
        assert_eq!(stay(11).as_secs(), 60);
        assert_eq!(stay(86_400).as_secs(), 3600, "the longest there is");
    }

    #[test]
    fn a_clock_that_stepped_back_gives_nothing_up_and_grants_no_other_hold() {
        let now = SystemTime::UNIX_EPOCH;
        let first = History { first_failed_at: Some(now + HOUR), ..History::default() };
        assert_eq!(policy().after_failure(&first, now, Duration::ZERO, true), Retry::Wait);
        let back = History { stays: 1, ..first };
        assert_eq!(policy().after_failure(&back, now, Duration::ZERO, true), Retry::Park);
    }

    #[test]
    fn time_in_a_pause_counts_towards_neither_the_end_nor_the_hold() {
        let now = SystemTime::UNIX_EPOCH + 1000 * HOUR;
        let second = Duration::from_secs(1);
        let almost_all = (30 * HOUR).saturating_sub(59 * second);
        let cases = [
            // (stays, first failed ago, paused for, in flight for) -> what next
            (5, 30 * HOUR, Duration::ZERO, second, Retry::GiveUp),
            (5, 30 * HOUR, 6 * HOUR, second, Retry::GiveUp),
            (5, 30 * HOUR, 6 * HOUR + second, second, Retry::Park),
            (5, 30 * HOUR, almost_all, second, Retry::Wait),
            // The uninterrupted time alone exceeds the hold.
            (5, 30 * HOUR, almost_all, 60 * second, Retry::Park),
            (0, 30 * HOUR, 30 * HOUR, second, Retry::Wait),
            // More pauses than possible, as after a step of the clock.
            (5, 30 * HOUR, 400 * HOUR, second, Retry::Wait),
        ];
        for (stays, ago, paused, in_flight, expected) in cases {
            let first_failed_at = now.checked_sub(ago);
            let history = History { stays, first_failed_at, paused, ..History::default() };
            let next = policy().after_failure(&history, now, in_flight, true);
            assert_eq!(next, expected, "first failed {ago:?} ago, paused for {paused:?}");
        }
    }
}
