//! The properties of an outcome event's message. They are few and small until they are made for a try to publish it.

use std::{fmt, time::SystemTime};

use lapin::BasicProperties;
use serde::{Serialize, Serializer};

use super::headers;
use crate::domain::write_hex;

/// The type of the event.
pub(super) const EVENT_TYPE: &str = "revoker.job.settled.v1";

/// The bytes of an event's id.
const ID_BYTES: usize = 16;

/// The id of an event, shown as hex.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct EventId([u8; ID_BYTES]);

impl EventId {
    /// The id that a digest gives.
    pub(super) fn of(digest: &[u8; 32]) -> Self {
        Self(std::array::from_fn(|at| digest[at]))
    }

    /// An id that no other event has.
    pub(super) fn random() -> Self {
        Self(fastrand::u128(..).to_be_bytes())
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(write_hex(&self.0, &mut [0; 2 * ID_BYTES]))
    }
}

impl Serialize for EventId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(write_hex(&self.0, &mut [0; 2 * ID_BYTES]))
    }
}

/// What the properties of events differ in.
#[derive(Debug)]
pub(super) struct EventProperties {
    pub(super) id: EventId,
    pub(super) settled_at: SystemTime,
}

impl EventProperties {
    /// All properties of the message.
    pub(super) fn whole(&self) -> BasicProperties {
        headers::of_event(&self.id.to_string(), EVENT_TYPE, self.settled_at)
    }
}
