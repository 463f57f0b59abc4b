//! Reads the headers of a message.

use std::time::SystemTime;

use lapin::types::{AMQPValue, FieldTable};

use super::{
    MAX_COUNT, at,
    name::{
        AMBIGUITY, ATTEMPTS, FIRST_FAILED_AT, LAST_ERROR, PARKED, PARKED_AT, PAUSED_MS, REPLAYS,
    },
};
use crate::domain::{Ambiguity, History, ResultLabel};

/// The headers of a message, whose contents are not trusted. Without `Debug`: their values may be secret.
#[derive(Clone, Copy)]
pub(in crate::broker) struct Headers<'a>(pub Option<&'a FieldTable>);

impl<'a> Headers<'a> {
    /// The header of that name, of any type.
    pub(in crate::broker) fn get(self, name: &str) -> Option<&'a AMQPValue> {
        self.0?.inner().get(name)
    }

    pub(in crate::broker) fn text(self, name: &str) -> Option<&'a str> {
        match self.get(name)? {
            AMQPValue::LongString(text) => std::str::from_utf8(text.as_bytes()).ok(),
            AMQPValue::ShortString(text) => Some(text.as_str()),
            _ => None,
        }
    }

    /// A header as a number, clamped to [`MAX_COUNT`].
    pub(in crate::broker) fn count(self, name: &str) -> Option<u32> {
        u32::try_from(self.integer(name)?.clamp(0, MAX_COUNT.into())).ok()
    }

    /// A header as milliseconds; `None` if negative.
    pub(in crate::broker) fn millis(self, name: &str) -> Option<u64> {
        u64::try_from(self.integer(name)?).ok()
    }

    fn integer(self, name: &str) -> Option<i64> {
        Some(match self.get(name)? {
            AMQPValue::ShortShortInt(value) => i64::from(*value),
            AMQPValue::ShortShortUInt(value) => i64::from(*value),
            AMQPValue::ShortInt(value) => i64::from(*value),
            AMQPValue::ShortUInt(value) => i64::from(*value),
            AMQPValue::LongInt(value) => i64::from(*value),
            AMQPValue::LongUInt(value) => i64::from(*value),
            AMQPValue::LongLongInt(value) => *value,
            _ => return None,
        })
    }

    pub(in crate::broker) fn time(self, name: &str) -> Option<SystemTime> {
        match self.get(name)? {
            AMQPValue::Timestamp(seconds) => at(*seconds),
            _ => None,
        }
    }

    /// Whether the message counts at least one replay.
    pub(super) fn is_replayed(self) -> bool {
        self.count(REPLAYS).is_some_and(|replays| replays > 0)
    }

    pub(super) fn ambiguity(self) -> Option<Ambiguity> {
        self.text(AMBIGUITY).and_then(Ambiguity::from_name)
    }

    pub(super) fn history(self, now: SystemTime) -> History {
        History {
            attempts: self.count(ATTEMPTS).unwrap_or(0),
            stays: self.count(PARKED).unwrap_or(0).max(1),
            // A first failure in the future would prevent giving up the job.
            first_failed_at: self.time(FIRST_FAILED_AT).map(|first| first.min(now)),
            last_error: self.text(LAST_ERROR).and_then(ResultLabel::from_name),
            ambiguity: self.ambiguity(),
            paused: self.millis(PAUSED_MS).map(History::paused_for).unwrap_or_default(),
            parked_at: self.time(PARKED_AT).map(|at| at.min(now)),
            verified: false,
        }
    }
}
