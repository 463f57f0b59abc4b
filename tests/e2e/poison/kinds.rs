//! The kinds of messages that lapin cannot read.

use crate::harness::{
    INTERACTIVE, StoredMessage,
    raw::{Properties, Raw, long, short},
};

/// Routes by keys that begin with a lane's name.
pub const EXCHANGE: &str = "poison";

/// Not UTF-8: a UUID as a client of AMQP 1.0 writes it.
pub const NO_TEXT: &[u8] = b"id-\xff\xfe\x80-\xc3";
/// The same after the repair.
pub const MENDED: &str = "id-???-?";

/// The nesting depth of tables and arrays.
const DEEP: usize = 1_000;

/// Bits of the properties that are short strings.
const CONTENT_TYPE: u16 = 15;
const CORRELATION_ID: u16 = 10;
const MESSAGE_ID: u16 = 7;
const TYPE: u16 = 5;
const APP_ID: u16 = 3;

/// One kind.
pub struct Kind {
    pub name: &'static str,
    properties: Properties,
    routing_key: &'static [u8],
    /// Whether it has a text that is not UTF-8.
    pub text: bool,
    /// Whether it is nested too deep.
    pub nesting: bool,
}

impl Kind {
    fn new(name: &'static str, change: impl FnOnce(Properties) -> Properties) -> Self {
        let properties = change(Properties::of_a_job());
        Self { name, properties, routing_key: b"", text: true, nesting: false }
    }

    fn nested(name: &'static str, entries: &[u8]) -> Self {
        let kind = Self::new(name, |properties| {
            properties.text(MESSAGE_ID, name.as_bytes()).headers(entries)
        });
        Self { text: false, nesting: true, ..kind }
    }

    /// Publishes one into a lane through [`EXCHANGE`].
    pub async fn publish(&self, raw: &mut Raw, queue: &str, body: &[u8]) {
        let lane = if queue == INTERACTIVE { "interactive" } else { "bulk" };
        let routing_key = [lane.as_bytes(), b".", self.routing_key].concat();
        raw.publish_by(EXCHANGE, &routing_key, &self.properties, body).await;
    }

    /// Publishes one to a queue.
    pub async fn lay(&self, raw: &mut Raw, queue: &str, body: &[u8]) {
        raw.publish(queue, &self.properties, body).await;
    }

    /// Whether a dead letter is one of this kind, and shows the repair.
    pub fn is_mended_in(&self, letter: &StoredMessage) -> bool {
        let is = |text: &Option<lapin::types::ShortString>, expected: &str| {
            text.as_ref().is_some_and(|text| text.as_str() == expected)
        };
        let properties = &letter.properties;
        let id = |expected| is(properties.message_id(), expected);
        match self.name {
            "message id" => id(MENDED),
            "correlation id" => is(properties.correlation_id(), MENDED),
            "content type" => is(properties.content_type(), MENDED),
            "type" => is(properties.kind(), MENDED),
            "app id" => is(properties.app_id(), MENDED),
            "header" => id("header") && letter.header(MENDED).is_some(),
            name => id(name),
        }
    }
}

/// An entry of a table.
pub fn entry(name: &[u8], value: &[u8]) -> Vec<u8> {
    [&short(name)[..], value].concat()
}

fn table(entries: &[u8]) -> Vec<u8> {
    [b"F", &long(entries)[..]].concat()
}

fn array(values: &[u8]) -> Vec<u8> {
    [b"A", &long(values)[..]].concat()
}

/// This many nested levels of `around`.
fn deep(around: impl Fn(usize, &[u8]) -> Vec<u8>) -> Vec<u8> {
    let nested = (0..DEEP).fold(b"V".to_vec(), |inner, level| around(level, &inner));
    entry(b"deep", &nested)
}

/// Every kind.
pub fn all() -> Vec<Kind> {
    let named = |flag| move |properties: Properties| properties.text(flag, NO_TEXT);
    let with_headers = |name: &'static str, entries: Vec<u8>| {
        Kind::new(name, move |it| it.text(MESSAGE_ID, name.as_bytes()).headers(&entries))
    };
    let inner = table(&entry(NO_TEXT, &array(&table(&entry(NO_TEXT, b"t\x01")))));
    let tables = |_: usize, inner: &[u8]| table(&entry(b"n", inner));
    let arrays = |_: usize, inner: &[u8]| array(inner);
    let both = |level: usize, inner: &[u8]| match level % 2 {
        0 => table(&entry(NO_TEXT, inner)),
        _ => array(inner),
    };
    let routed = Kind::new("routing key", |it| it.text(MESSAGE_ID, b"routing key"));
    let mixture = Kind::new("mixture", |it| {
        let it = it.text(MESSAGE_ID, b"mixture").text(TYPE, NO_TEXT).text(APP_ID, NO_TEXT);
        it.headers(&[entry(NO_TEXT, b"t\x01"), deep(both)].concat())
    });
    vec![
        Kind::new("message id", named(MESSAGE_ID)),
        Kind::new("correlation id", named(CORRELATION_ID)),
        Kind::new("content type", named(CONTENT_TYPE)),
        Kind::new("type", named(TYPE)),
        Kind::new("app id", named(APP_ID)),
        with_headers("header", entry(NO_TEXT, b"t\x01")),
        with_headers("nested header", entry(b"outer", &inner)),
        Kind { routing_key: NO_TEXT, ..routed },
        Kind::nested("tables", &deep(tables)),
        Kind::nested("arrays", &deep(arrays)),
        Kind { nesting: true, routing_key: NO_TEXT, ..mixture },
    ]
}
