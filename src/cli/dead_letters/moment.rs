//! A point in time as a person types it.

use std::{
    str::FromStr,
    time::{Duration, SystemTime},
};

use thiserror::Error;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// A point in time, before it is known what time it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// So long ago.
    Ago(Duration),
    /// By the clock.
    At(SystemTime),
}

/// The text is no point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("neither a time ago, like 2h or 30m, nor a date and time like 2025-03-01T04:00:00Z")]
pub struct NoMoment;

impl FromStr for Moment {
    type Err = NoMoment;

    fn from_str(text: &str) -> Result<Self, NoMoment> {
        if let Ok(ago) = humantime::parse_duration(text) {
            return Ok(Self::Ago(ago));
        }
        let at = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| NoMoment)?;
        Ok(Self::At(at.into()))
    }
}

impl Moment {
    /// The point in time, seen from `now`. What lies before all time is its beginning.
    #[must_use]
    pub fn resolve(self, now: SystemTime) -> SystemTime {
        match self {
            Self::Ago(ago) => now.checked_sub(ago).unwrap_or(SystemTime::UNIX_EPOCH),
            Self::At(at) => at,
        }
    }
}

/// A time as tables and JSON show it: RFC 3339, whole seconds, UTC. `None` for what no calendar holds:
/// a header may claim any time.
#[must_use]
pub fn rfc3339(time: SystemTime) -> Option<String> {
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs();
    let time = OffsetDateTime::from_unix_timestamp(i64::try_from(seconds).ok()?).ok()?;
    time.format(&Rfc3339).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

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
            let resolved = text.parse::<Moment>().ok().map(|moment| moment.resolve(now));
            assert_eq!(resolved.and_then(rfc3339).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn no_time_that_a_header_can_claim_is_a_panic() {
        for seconds in [0, 253_402_300_799, 253_402_300_800, i64::MAX as u64] {
            let at = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
            let shown = at.and_then(rfc3339);
            assert_eq!(shown.is_some(), seconds <= 253_402_300_799, "{seconds}");
        }
    }
}
