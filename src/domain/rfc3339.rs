//! Times as RFC 3339 text, in UTC.

use std::{fmt, ops::Deref, time::SystemTime};

use serde::{Serialize, Serializer};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// The bytes of the longest text: `9999-12-31T23:59:59.999Z`.
const LONGEST: usize = 24;

/// A time as RFC 3339 text, without memory of its own. By default it is empty.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Rfc3339Text {
    bytes: [u8; LONGEST],
    length: usize,
}

impl Rfc3339Text {
    /// The last time that the format can hold, to the millisecond.
    pub const LAST: Self = Self { bytes: *b"9999-12-31T23:59:59.999Z", length: LONGEST };

    fn of(date: OffsetDateTime) -> Option<Self> {
        let mut bytes = [0; LONGEST];
        let mut rest = bytes.as_mut_slice();
        date.format_into(&mut rest, &Rfc3339).ok()?;
        let length = LONGEST - rest.len();
        Some(Self { bytes, length })
    }
}

impl Deref for Rfc3339Text {
    type Target = str;

    fn deref(&self) -> &str {
        // The format has only ASCII characters.
        str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }
}

impl fmt::Display for Rfc3339Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl fmt::Debug for Rfc3339Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Rfc3339Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }
}

/// The time in whole seconds, as people and JSON get it. `None` beyond the year 9999, which the
/// format cannot hold: a message header may claim any time.
#[must_use]
pub fn rfc3339(time: SystemTime) -> Option<String> {
    date(time)?.replace_nanosecond(0).ok()?.format(&Rfc3339).ok()
}

/// The time in milliseconds, as a journal keeps it. `None` beyond the year 9999.
#[must_use]
pub fn rfc3339_millis(time: SystemTime) -> Option<Rfc3339Text> {
    let date = date(time)?;
    Rfc3339Text::of(date.replace_millisecond(date.millisecond()).ok()?)
}

/// Whether the format can hold a time. It costs less than the text.
#[must_use]
pub fn has_rfc3339(time: SystemTime) -> bool {
    date(time).is_some_and(|date| (0..=9999).contains(&date.year()))
}

/// The time that an RFC 3339 text names; `None` for any other text.
#[must_use]
pub fn parse_rfc3339(text: &str) -> Option<SystemTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok().map(SystemTime::from)
}

/// The conversion of the crate `time` panics beyond its range; this one does not.
fn date(time: SystemTime) -> Option<OffsetDateTime> {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => OffsetDateTime::UNIX_EPOCH.checked_add(since.try_into().ok()?),
        Err(until) => OffsetDateTime::UNIX_EPOCH.checked_sub(until.duration().try_into().ok()?),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn no_time_that_a_header_can_claim_is_a_panic() {
        for seconds in [0, 253_402_300_799, 253_402_300_800, i64::MAX as u64] {
            let at = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
            let shown = at.and_then(rfc3339);
            assert_eq!(shown.is_some(), seconds <= 253_402_300_799, "{seconds}");
            assert_eq!(at.is_some_and(has_rfc3339), shown.is_some(), "{seconds}");
        }
    }

    #[test]
    fn a_time_is_cut_to_seconds_or_milliseconds_and_read_again() {
        let time = parse_rfc3339("2026-03-01T13:00:00.2509+01:00").unwrap();
        assert_eq!(rfc3339(time).as_deref(), Some("2026-03-01T12:00:00Z"));
        assert_eq!(rfc3339_millis(time).as_deref(), Some("2026-03-01T12:00:00.25Z"));
        assert_eq!(parse_rfc3339("2026-03-01"), None);
    }
}
