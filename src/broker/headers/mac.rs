//! The MAC over a parked job and its history: `x-revoker-mac`.
//!
//! HMAC-SHA256 over everything that decides what is believed: the queue of the lane, the message id, the body,
//! and each history header as it stands. So nobody without the key can make a history, change one, or move one
//! to another job, lane or family of queues. Whoever can read a retry queue can publish a signed message again:
//! it claims then what was true when a worker signed it.
//!
//! The timestamp is not in it. A broker may set that property on whatever is published, parked jobs included
//! (`message_interceptors.incoming.set_header_timestamp`), and no decision depends on it.
//!
//! The headers of pauses go in where there are any: a job that was parked without them has the MAC that it had
//! before there were such headers.
//!
//! The body goes in as its digest: a message is then a few hundred bytes, whatever the body is.

use std::fmt::Write as _;

use lapin::types::{AMQPValue, ShortString};
use sha2::{Digest, Sha256};

use super::{
    Headers, Received,
    name::{
        AMBIGUITY, AMBIGUOUS, ATTEMPTS, FIRST_FAILED_AT, LANE, LAST_ERROR, MAC, PARKED, PARKED_AT,
        PAUSED_MS,
    },
};
use crate::{
    broker::{history_keys::HistoryKeys, queues::Queues},
    domain::MAX_BODY_BYTES,
};

/// What a MAC begins with: the way in which its message is made.
const VERSION: &str = "v2:";

/// What a message begins with: a key that somebody uses for something else as well signs nothing of ours.
const PURPOSE: &[u8] = b"revoker history v2";

/// Bytes of a MAC.
const MAC_BYTES: usize = 32;

/// The MAC of a parked job; `None` without keys.
pub(super) fn of(parked: Received<'_>, queues: &Queues, keys: &HistoryKeys) -> Option<String> {
    let tag = keys.sign(&message(parked, queues))?;
    let mut mac = VERSION.to_owned();
    for byte in tag.as_ref() {
        // Writing to a string cannot fail.
        let _ = write!(mac, "{byte:02x}");
    }
    Some(mac)
}

/// Whether a message carries the MAC that one of these keys makes of it.
pub(super) fn is_right(received: Received<'_>, queues: &Queues, keys: &HistoryKeys) -> bool {
    let headers = Headers(received.properties.headers().as_ref());
    let Some(mac) = headers.text(MAC).and_then(parse) else { return false };
    // A larger body is no job, and is never parked: no reason to digest it for a stranger.
    received.body.len() <= MAX_BODY_BYTES && keys.verify(&message(received, queues), &mac)
}

fn parse(text: &str) -> Option<[u8; MAC_BYTES]> {
    let digits = text.strip_prefix(VERSION)?.as_bytes();
    if digits.len() != 2 * MAC_BYTES {
        return None;
    }
    let mut mac = [0; MAC_BYTES];
    for (byte, pair) in mac.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |at: usize| char::from(pair[at]).to_digit(16);
        *byte = u8::try_from(digit(0)? << 4 | digit(1)?).ok()?;
    }
    Some(mac)
}

/// What is signed. Each part stands behind its length, and one that is absent is another than one that is
/// empty: no two messages are written alike.
fn message(received: Received<'_>, queues: &Queues) -> Vec<u8> {
    let Received { properties, body, lane, .. } = received;
    let headers = Headers(properties.headers().as_ref());
    let number = |name: &str| headers.count(name).map(u32::to_be_bytes);
    let seconds = |name: &str| match headers.get(name) {
        Some(AMQPValue::Timestamp(seconds)) => Some(seconds.to_be_bytes()),
        _ => None,
    };
    let first_failed_at = seconds(FIRST_FAILED_AT);
    let flag = match headers.get(AMBIGUOUS) {
        Some(AMQPValue::Boolean(flag)) => Some([u8::from(*flag)]),
        _ => None,
    };
    let text = |name: &str| headers.text(name).map(str::as_bytes);
    let id = properties.message_id().as_ref().map(ShortString::as_str);
    let mut message = PURPOSE.to_vec();
    for part in [
        Some(queues.lane(lane).as_str().as_bytes()),
        id.map(str::as_bytes),
        Some(Sha256::digest(body).as_slice()),
        text(LANE),
        number(ATTEMPTS).as_ref().map(<[u8; 4]>::as_slice),
        number(PARKED).as_ref().map(<[u8; 4]>::as_slice),
        first_failed_at.as_ref().map(<[u8; 8]>::as_slice),
        text(LAST_ERROR),
        flag.as_ref().map(<[u8; 1]>::as_slice),
        text(AMBIGUITY),
    ] {
        append(&mut message, part);
    }
    let pauses = [seconds(PARKED_AT), headers.millis(PAUSED_MS).map(u64::to_be_bytes)];
    if pauses.iter().any(Option::is_some) {
        for part in &pauses {
            append(&mut message, part.as_ref().map(<[u8; 8]>::as_slice));
        }
    }
    message
}

fn append(message: &mut Vec<u8>, part: Option<&[u8]>) {
    match part {
        None => message.push(0),
        Some(part) => {
            message.push(1);
            message.extend((part.len() as u64).to_be_bytes());
            message.extend(part);
        }
    }
}

#[cfg(test)]
mod tests;
