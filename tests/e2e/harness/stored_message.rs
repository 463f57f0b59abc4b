//! A message in a queue of the product, with its headers as plain values.

use lapin::{BasicProperties, message::Delivery, types::AMQPValue};

/// Headers in which a quorum queue counts its deliveries of a message. RabbitMQ 4.3 added the second.
pub const COUNTED_BY_THE_BROKER: [&str; 2] = ["x-delivery-count", "x-acquired-count"];

/// A dead letter or a parked job.
#[derive(Debug, Clone)]
pub struct StoredMessage {
    pub body: Vec<u8>,
    pub properties: BasicProperties,
    pub redelivered: bool,
}

impl From<&Delivery> for StoredMessage {
    fn from(delivery: &Delivery) -> Self {
        Self {
            body: delivery.data.clone(),
            properties: delivery.properties.clone(),
            redelivered: delivery.redelivered,
        }
    }
}

impl StoredMessage {
    /// The token of its body; empty if there is none.
    pub fn token(&self) -> String {
        let job: serde_json::Value = serde_json::from_slice(&self.body).unwrap_or_default();
        job["refresh_token"].as_str().unwrap_or_default().to_owned()
    }

    /// A header as it is.
    pub fn header(&self, name: &str) -> Option<&AMQPValue> {
        self.properties.headers().as_ref()?.inner().get(name)
    }

    /// The names of its headers, in order.
    pub fn header_names(&self) -> Vec<String> {
        let headers = self.properties.headers().as_ref();
        headers
            .map_or_else(Vec::new, |table| table.inner().keys().map(ToString::to_string).collect())
    }

    /// A header that must be a string if it is there.
    #[track_caller]
    pub fn text(&self, name: &str) -> Option<String> {
        match self.header(name)? {
            AMQPValue::LongString(text) => Some(text.to_string()),
            other => panic!("the header {name} is no string: {other:?}"),
        }
    }

    /// A header that must be an integer if it is there.
    #[track_caller]
    pub fn int(&self, name: &str) -> Option<i64> {
        match self.header(name)? {
            AMQPValue::ShortShortInt(n) => Some((*n).into()),
            AMQPValue::ShortInt(n) => Some((*n).into()),
            AMQPValue::LongInt(n) => Some((*n).into()),
            AMQPValue::LongUInt(n) => Some((*n).into()),
            AMQPValue::LongLongInt(n) => Some(*n),
            other => panic!("the header {name} is no integer: {other:?}"),
        }
    }

    /// A header that must be a boolean if it is there.
    #[track_caller]
    pub fn flag(&self, name: &str) -> Option<bool> {
        match self.header(name)? {
            AMQPValue::Boolean(flag) => Some(*flag),
            other => panic!("the header {name} is no boolean: {other:?}"),
        }
    }

    /// A header that must be a timestamp, in Unix seconds, if it is there.
    #[track_caller]
    pub fn time(&self, name: &str) -> Option<u64> {
        match self.header(name)? {
            AMQPValue::Timestamp(seconds) => Some(*seconds),
            other => panic!("the header {name} is no timestamp: {other:?}"),
        }
    }

    /// Its reason for the dead letter.
    #[track_caller]
    pub fn reason(&self) -> String {
        self.text("x-revoker-reason").expect("a dead letter of ours has a reason")
    }
}
