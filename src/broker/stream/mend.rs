//! Repairs the payload of a frame for lapin: in place, at the same length.
//!
//! RabbitMQ passes on short strings that are not UTF-8, and tables nested to any depth. lapin closes the connection
//! over such strings. It reads nested tables by recursion, which can abort the process. Valid bytes stay as they are.

mod cursor;
mod table;

use thiserror::Error;

use self::cursor::Cursor;

/// The kinds of repairs in a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Mended {
    /// A short string was not UTF-8: each wrong byte became `?`.
    pub(super) text: bool,
    /// A table or array was nested too deep or unreadable: it became a byte array.
    pub(super) nesting: bool,
    /// The headers were larger than a frame and were left out.
    pub(super) size: bool,
}

/// The fault of an unreadable payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum Malformed {
    #[error("it ends in the middle of a field")]
    Short,
    #[error("it has bytes behind its last field")]
    Long,
    #[error("its table cannot be read")]
    Table,
}

/// The type of a method's argument or of a property.
#[derive(Debug, Clone, Copy)]
enum WireField {
    /// This many bytes of any value.
    Bytes(usize),
    Short,
    /// A long string of any bytes.
    Long,
    Table,
}

/// The properties of a content header, in the order of their flags from the highest bit.
const PROPERTIES: [WireField; 14] = {
    use WireField::{Bytes, Short, Table};
    [
        Short,    // content type
        Short,    // content encoding
        Table,    // headers
        Bytes(1), // delivery mode
        Bytes(1), // priority
        Short,    // correlation id
        Short,    // reply to
        Short,    // expiration
        Short,    // message id
        Bytes(8), // timestamp
        Short,    // type
        Short,    // user id
        Short,    // app id
        Short,    // cluster id
    ]
};

/// The arguments of the methods that a broker sends with text or tables; `None` for others.
const fn arguments(class: u16, method: u16) -> Option<&'static [WireField]> {
    use WireField::{Bytes, Long, Short, Table};
    Some(match (class, method) {
        // connection.start: versions, properties, mechanisms, locales.
        (10, 10) => &[Bytes(2), Table, Long, Long],
        // connection.open-ok, connection.blocked; basic.consume-ok, basic.cancel-ok: tag; basic.get-empty: cluster.
        (10, 41 | 60) | (60, 21 | 31 | 72) => &[Short],
        // connection.close, channel.close: code, text, class, method.
        (10, 50) | (20, 40) => &[Bytes(2), Short, Bytes(4)],
        // queue.declare-ok: queue, messages, consumers.
        (50, 11) => &[Short, Bytes(8)],
        // basic.cancel: tag, no-wait.
        (60, 30) => &[Short, Bytes(1)],
        // basic.return: code, text, exchange, routing key.
        (60, 50) => &[Bytes(2), Short, Short, Short],
        // basic.deliver: tag of the consumer and of the delivery, redelivered, exchange, routing key.
        (60, 60) => &[Short, Bytes(9), Short, Short],
        // basic.get-ok: tag of the delivery, redelivered, exchange, routing key, messages.
        (60, 71) => &[Bytes(9), Short, Short, Bytes(4)],
        _ => return None,
    })
}

/// Whether a method is repaired, so that lapin can read it.
#[cfg(any(test, fuzzing))]
pub(super) const fn is_mended(class: u16, method: u16) -> bool {
    arguments(class, method).is_some()
}

pub(super) fn method(payload: &mut [u8]) -> Result<Mended, Malformed> {
    let mut cursor = Cursor::new(payload, Mended::default());
    let (class, method) = (cursor.u16()?, cursor.u16()?);
    let Some(arguments) = arguments(class, method) else { return Ok(Mended::default()) };
    for field in arguments {
        cursor.field(*field)?;
    }
    cursor.end()
}

/// Repairs a content header. Returns its repairs and those `before`.
pub(super) fn content_header(payload: &mut [u8], before: Mended) -> Result<Mended, Malformed> {
    let mut cursor = Cursor::new(payload, before);
    // Class, weight and body size.
    cursor.skip(2 + 2 + 8)?;
    // Two of the sixteen flags have no meaning; lapin ignores them too.
    let flags = cursor.u16()?;
    for (place, property) in PROPERTIES.iter().enumerate() {
        if flags & (1 << 15 >> place) != 0 {
            cursor.field(*property)?;
        }
    }
    cursor.end()
}

impl Cursor<'_> {
    fn field(&mut self, field: WireField) -> Result<(), Malformed> {
        match field {
            WireField::Bytes(count) => self.skip(count).map(drop),
            WireField::Short => self.short_string(),
            WireField::Long => {
                let length = self.u32()?;
                self.skip(length).map(drop)
            }
            WireField::Table => self.table(),
        }
    }
}

#[cfg(test)]
mod tests;
