//! Unix times from outside, and the allowed difference between the clocks of two machines.
//!
//! Times from outside are bare numbers without a unit. The bounds of [`PLAUSIBLE_SECONDS`] are less than a
//! thousand times apart, so a number is plausible in at most one unit.

use std::{
    ops::RangeInclusive,
    time::{Duration, SystemTime},
};

use super::named::named;

/// How far the clock of another machine may differ from ours. Synchronized clocks differ by milliseconds; a
/// minute also covers a machine whose synchronization has failed for some weeks.
pub const ALLOWED_SKEW: Duration = Duration::from_secs(60);

/// The times that a job may name, in Unix seconds: from the year 2000 to the end of 9999.
///
/// No refresh token expired before 2000: the first draft of OAuth is from 2007. Common mistakes are smaller
/// numbers: zero values of dates and numbers, -1, and lifetimes of up to thirty years. The upper end is the
/// last date of RFC 3339, because 9999-12-31 often means "never"; the call for such a job is made.
pub const PLAUSIBLE_SECONDS: RangeInclusive<u64> = 946_684_800..=253_402_300_799;

named! {
    /// The unit of a number since the Unix epoch.
    pub enum TimeUnit {
        /// The unit of AMQP's timestamps and of `expires_at`.
        Seconds = "seconds",
        /// The unit of JavaScript and Java.
        Milliseconds = "milliseconds",
        /// The unit of many databases.
        Microseconds = "microseconds",
        /// The unit of Go.
        Nanoseconds = "nanoseconds",
    }
}

impl TimeUnit {
    /// The only unit in which the number is a plausible time, if there is one.
    #[must_use]
    pub fn of(number: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|unit| PLAUSIBLE_SECONDS.contains(&(number / unit.per_second())))
    }

    const fn per_second(self) -> u64 {
        match self {
            Self::Seconds => 1,
            Self::Milliseconds => 1_000,
            Self::Microseconds => 1_000_000,
            Self::Nanoseconds => 1_000_000_000,
        }
    }
}

/// The time of a message's timestamp, in any unit. `None` for a number that is not a plausible time, such as
/// zero.
///
/// AMQP defines seconds, but many producers send milliseconds. Read as seconds, these lie in the far future,
/// and the age of every job would be lost.
#[must_use]
pub fn timestamp(number: u64) -> Option<SystemTime> {
    let per_second = TimeUnit::of(number)?.per_second();
    let nanos = (number % per_second) * (TimeUnit::Nanoseconds.per_second() / per_second);
    let since_epoch = Duration::new(number / per_second, u32::try_from(nanos).ok()?);
    SystemTime::UNIX_EPOCH.checked_add(since_epoch)
}

/// How long ago a producer's time was. A time ahead of `now` by at most [`ALLOWED_SKEW`] counts as now; any
/// later time has no age.
#[must_use]
pub fn age(moment: SystemTime, now: SystemTime) -> Option<Duration> {
    match now.duration_since(moment) {
        Ok(age) => Some(age),
        Err(ahead) => (ahead.duration() <= ALLOWED_SKEW).then_some(Duration::ZERO),
    }
}

/// Whether a producer's time has passed by every clock within [`ALLOWED_SKEW`].
#[must_use]
pub fn has_passed(moment: SystemTime, now: SystemTime) -> bool {
    now.duration_since(moment).is_ok_and(|ago| ago >= ALLOWED_SKEW)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: u64 = 1_700_000_000;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn a_timestamp_is_read_in_the_unit_that_it_is_plausible_in() {
        let precise = at(NOW) + Duration::from_nanos(123_456_789);
        for (number, moment) in [
            (NOW, Some(at(NOW))),
            (1_700_000_000_123, Some(at(NOW) + Duration::from_millis(123))),
            (1_700_000_000_123_456, Some(at(NOW) + Duration::from_micros(123_456))),
            (1_700_000_000_123_456_789, Some(precise)),
            (*PLAUSIBLE_SECONDS.start(), Some(at(946_684_800))),
            (*PLAUSIBLE_SECONDS.end(), Some(at(253_402_300_799))),
            (0, None),
            (1, None),
            (3600, None),
            (PLAUSIBLE_SECONDS.start() - 1, None),
            (PLAUSIBLE_SECONDS.end() + 1, None),
            (PLAUSIBLE_SECONDS.start() * 1_000 - 1, None),
            (u64::MAX, Some(SystemTime::UNIX_EPOCH + Duration::from_nanos(u64::MAX))),
        ] {
            assert_eq!(timestamp(number), moment, "{number}");
        }
    }

    #[test]
    fn a_moment_ahead_of_us_is_now_within_the_skew_and_none_beyond() {
        let skew = ALLOWED_SKEW.as_secs();
        assert_eq!(age(at(NOW), at(NOW + 7)), Some(Duration::from_secs(7)));
        assert_eq!(age(at(NOW), at(NOW)), Some(Duration::ZERO));
        assert_eq!(age(at(NOW + skew), at(NOW)), Some(Duration::ZERO));
        assert_eq!(age(at(NOW + skew + 1), at(NOW)), None);
    }

    #[test]
    fn a_moment_has_passed_when_it_has_by_every_clock() {
        let skew = ALLOWED_SKEW.as_secs();
        assert!(!has_passed(at(NOW + 1), at(NOW)));
        assert!(!has_passed(at(NOW), at(NOW)));
        assert!(!has_passed(at(NOW), at(NOW + skew - 1)));
        assert!(has_passed(at(NOW), at(NOW + skew)));
    }

    proptest! {
        #[test]
        fn no_number_is_plausible_in_two_units(number: u64) {
            let plausible = |unit: &TimeUnit| {
                PLAUSIBLE_SECONDS.contains(&(number / unit.per_second()))
            };
            prop_assert!(TimeUnit::ALL.iter().filter(|unit| plausible(unit)).count() <= 1);
        }

        #[test]
        fn a_moment_is_known_again_in_every_unit(seconds in PLAUSIBLE_SECONDS) {
            for unit in TimeUnit::ALL {
                if let Some(number) = seconds.checked_mul(unit.per_second()) {
                    prop_assert_eq!(timestamp(number), Some(at(seconds)));
                }
            }
        }
    }
}
