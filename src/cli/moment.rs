//! Points in time on the command line.

use std::time::{Duration, SystemTime};

use crate::domain::parse_rfc3339;

/// A point in time as it was typed: a duration before the current time, or a date and time.
#[derive(Debug, Clone, Copy)]
pub(super) enum Moment {
    Ago(Duration),
    At(SystemTime),
}

impl Moment {
    /// Parses a duration, like `2h`, or RFC 3339.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        if let Ok(ago) = humantime::parse_duration(text) {
            return Ok(Self::Ago(ago));
        }
        parse_rfc3339(text).map(Self::At).ok_or(
            "expected a time ago, like 2h or 30m, or a date and time, like 2025-03-01T04:00:00Z",
        )
    }

    /// The point in time, given the current time. The earliest is 1970.
    pub(super) fn resolve(self, now: SystemTime) -> SystemTime {
        match self {
            Self::Ago(ago) => now.checked_sub(ago).unwrap_or(SystemTime::UNIX_EPOCH),
            Self::At(at) => at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::rfc3339;

    #[test]
    fn a_moment_is_a_time_ago_or_a_time_by_the_clock() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let cases = [
            ("2h", Some("2023-11-14T20:13:20Z")),
            ("1d 1s", Some("2023-11-13T22:13:19Z")),
            ("0s", Some("2023-11-14T22:13:20Z")),
            ("100000000y", None),
            ("2023-11-14T22:13:20Z", Some("2023-11-14T22:13:20Z")),
            ("2023-11-14T23:13:20+01:00", Some("2023-11-14T22:13:20Z")),
            ("yesterday", None),
            ("2023-11-14", None),
            ("", None),
        ];
        for (text, expected) in cases {
            let resolved = Moment::parse(text).ok().map(|moment| moment.resolve(now));
            assert_eq!(resolved.and_then(rfc3339).as_deref(), expected, "{text}");
        }
    }
}
