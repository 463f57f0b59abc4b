//! A message to be published to one of our queues.

use std::{borrow::Cow, fmt};

use lapin::{BasicProperties, types::ShortString};

use super::{event_properties::EventProperties, stream::Charge};
use crate::metrics::Target;

/// A message to be published to one of our queues.
pub struct OutgoingMessage {
    /// The kind of queue, for the metric.
    pub target: Target,
    /// The queue.
    pub queue: ShortString,
    /// The body. That of a job is byte for byte as it came.
    pub body: Vec<u8>,
    pub(super) properties: OutgoingProperties,
    /// Its share of the bytes in flight, released with the message.
    pub charge: Option<Charge>,
}

/// Where the properties of a message come from. Each try to publish it needs them. Those of an event are made for each try,
/// because they are large. Without `Debug`: a producer may use the token as the message id.
pub(super) enum OutgoingProperties {
    /// Those of a delivery, with our headers.
    Copied(Box<BasicProperties>),
    /// Those of an outcome event.
    Event(EventProperties),
}

impl OutgoingMessage {
    /// The properties.
    #[must_use]
    pub fn properties(&self) -> Cow<'_, BasicProperties> {
        match &self.properties {
            OutgoingProperties::Copied(properties) => Cow::Borrowed(&**properties),
            OutgoingProperties::Event(event) => Cow::Owned(event.whole()),
        }
    }
}

impl fmt::Debug for OutgoingMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutgoingMessage")
            .field("queue", &self.queue.as_str())
            .finish_non_exhaustive()
    }
}
