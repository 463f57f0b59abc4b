//! A message as a producer publishes it.

use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable, LongString, ShortString},
};
use sha2::{Digest as _, Sha256};

/// A body, its properties and its headers.
#[derive(Debug, Clone)]
pub struct Message {
    pub body: Vec<u8>,
    properties: BasicProperties,
    headers: FieldTable,
}

impl Message {
    /// A message with this body, persistent, as JSON.
    pub fn new(body: impl Into<Vec<u8>>) -> Self {
        let properties = BasicProperties::default()
            .with_content_type("application/json".into())
            .with_delivery_mode(2);
        Self { body: body.into(), properties, headers: FieldTable::default() }
    }

    /// A job for `token` and nothing else.
    pub fn job(token: &str) -> Self {
        Self::new(serde_json::json!({ "refresh_token": token }).to_string())
    }

    /// With another body.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// With a message id.
    #[must_use]
    pub fn id(self, id: &str) -> Self {
        self.with(|properties| properties.with_message_id(id.into()))
    }

    /// With other properties.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(BasicProperties) -> BasicProperties) -> Self {
        self.properties = change(self.properties);
        self
    }

    /// With a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: AMQPValue) -> Self {
        self.headers.insert(name.into(), value);
        self
    }

    /// The properties as they are published, headers among them.
    pub fn properties(&self) -> BasicProperties {
        self.properties.clone().with_headers(self.headers.clone())
    }
}

/// A string as a header's value.
pub fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(LongString::from(value))
}

/// A list of strings as a header's value, as `CC` wants it.
pub fn texts(values: &[&str]) -> AMQPValue {
    AMQPValue::FieldArray(values.iter().map(|value| text(value)).collect::<Vec<_>>().into())
}

/// A table of arguments or headers.
pub fn table<const N: usize>(entries: [(&str, AMQPValue); N]) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in entries {
        table.insert(ShortString::from(name), value);
    }
    table
}

/// The fingerprint of a token: the first 12 hex digits of its SHA-256.
pub fn fingerprint(token: &str) -> String {
    revoker::domain::to_hex(&Sha256::digest(token)[..6])
}
