//! Cuts a content header that is larger than a frame may be.
//!
//! RabbitMQ splits bodies by the frame size, but never a content header. A header grows by the broker's additions, or
//! comes from a producer with larger frames. lapin closes the connection over such a frame. So its headers are replaced
//! by our marker header.

use super::{
    frames::{AROUND, FrameFault, HEAD},
    mend::Malformed,
};
use crate::broker::headers::name::HEADERS_DROPPED;

/// Class, weight and body size; then the flags of the properties.
const BEFORE_PROPERTIES: usize = HEAD + 12 + 2;

/// The most bytes before the entries of the headers: two short strings, and the length.
const BEFORE_HEADERS: usize = BEFORE_PROPERTIES + 2 * 256 + 4;

/// The flags of content type, content encoding and headers.
const FLAGS: [u16; 3] = [1 << 15, 1 << 14, 1 << 13];

/// The next step for the start of such a frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// At least this many bytes are needed.
    Needs(usize),
    /// It is cut. Some unread bytes must be skipped.
    Done {
        /// Their number. They come next.
        left_out: usize,
    },
}

/// Cuts the headers out of the frame that begins here. Fails if it has none, or is too large without them.
pub(super) fn cut(bytes: &mut Vec<u8>, limit: usize) -> Result<Cut, FrameFault> {
    let Some(table) = table(bytes)? else { return Ok(Cut::Needs(BEFORE_HEADERS)) };
    let length = number(bytes, HEAD - 4);
    let headers = number(bytes, table);
    let begin = table + 4;
    let mark = mark();
    // The bytes of the frame before and behind its headers.
    let others = (length + HEAD as u64).checked_sub(begin as u64 + headers);
    let payload = others.map(|others| begin as u64 - HEAD as u64 + mark.len() as u64 + others);
    let Some(payload) = payload else { return Err(malformed(Malformed::Short)) };
    let size = payload + AROUND as u64;
    let (Ok(payload), true) = (u32::try_from(payload), size <= limit as u64) else {
        return Err(FrameFault::TooLarge { size, limit });
    };
    let headers = usize::try_from(headers).unwrap_or(usize::MAX);
    let read = headers.min(bytes.len() - begin);
    bytes[HEAD - 4..HEAD].copy_from_slice(&payload.to_be_bytes());
    let counted = u32::try_from(mark.len()).unwrap_or(u32::MAX);
    bytes[table..begin].copy_from_slice(&counted.to_be_bytes());
    bytes.splice(begin..begin + read, mark);
    Ok(Cut::Done { left_out: headers - read })
}

/// The position of the headers' length; `None` if it is not read yet.
fn table(bytes: &[u8]) -> Result<Option<usize>, FrameFault> {
    let mut at = BEFORE_PROPERTIES;
    let Some(flags) = bytes.get(at - 2..at).and_then(|flags| flags.first_chunk()) else {
        return Ok(None);
    };
    let flags = u16::from_be_bytes(*flags);
    let [strings @ .., headers] = FLAGS;
    if flags & headers == 0 {
        return Err(malformed(Malformed::Long));
    }
    for flag in strings {
        if flags & flag != 0 {
            let Some(length) = bytes.get(at) else { return Ok(None) };
            at += 1 + usize::from(*length);
        }
    }
    Ok((bytes.len() >= at + 4).then_some(at))
}

/// The table that replaces the headers.
fn mark() -> Vec<u8> {
    let name = HEADERS_DROPPED.as_bytes();
    let length = u8::try_from(name.len()).unwrap_or(u8::MAX);
    [&[length], name, b"t\x01"].concat()
}

/// A 32-bit number that is there.
fn number(bytes: &[u8], at: usize) -> u64 {
    bytes[at..].first_chunk().copied().map_or(0, u32::from_be_bytes).into()
}

const fn malformed(fault: Malformed) -> FrameFault {
    FrameFault::Payload { what: "a content header", fault }
}
