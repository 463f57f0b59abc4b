//! The MAC over a job and its history: `x-revoker-mac`, of a parked job and of a dead letter.
//!
//! HMAC-SHA256 over everything that the history depends on: the lane's queue, the message id, the body and each history
//! header. Without the key, a history cannot be forged, changed, or moved to another job, lane or worker. A reader of a
//! retry queue can republish a signed message: its claims were true when they were signed.
//!
//! The timestamp is not signed. A broker may set it on any published message
//! (`message_interceptors.incoming.set_header_timestamp`), and no decision depends on it.
//!
//! The headers of pauses are signed only if present. So jobs parked before these headers existed keep their MAC.
//!
//! The MAC of a dead letter covers what a replay carries over: its ambiguity, for this message id and body in any lane of
//! the queue family. The worker signs it, so `dead-letters replay` needs no key and cannot sign a forged dead letter.
//!
//! The body is signed as its digest, so a signed text is a few hundred bytes long.

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
    domain::{Lane, MAX_BODY_BYTES, from_hex, to_hex},
};

/// The prefix of a MAC: the version of its format.
const VERSION: &str = "v2:";

/// The prefix of a signed text, so that a key with a second use signs nothing of ours.
const PURPOSE: &[u8] = b"revoker history v2";

/// The same two for the ambiguity that a replay carries over.
const REPLAY_VERSION: &str = "r1:";
const REPLAY_PURPOSE: &[u8] = b"revoker replay v1";

/// The bytes of a MAC.
const MAC_BYTES: usize = 32;

/// The MAC of a parked job; `None` without keys.
pub(super) fn of(parked: Received<'_>, queues: &Queues, keys: &HistoryKeys) -> Option<String> {
    signed(VERSION, &message(parked, queues), keys)
}

/// The MAC of a dead letter, for its replay; `None` without keys.
pub(super) fn of_dead_letter(
    dead: Received<'_>,
    queues: &Queues,
    keys: &HistoryKeys,
) -> Option<String> {
    signed(REPLAY_VERSION, &replay_message(dead, queues), keys)
}

fn signed(version: &str, message: &[u8], keys: &HistoryKeys) -> Option<String> {
    Some(format!("{version}{}", to_hex(keys.sign(message)?.as_ref())))
}

/// Whether a message carries the right MAC of a parked job for one of these keys.
pub(super) fn is_right(received: Received<'_>, queues: &Queues, keys: &HistoryKeys) -> bool {
    verified(VERSION, received, keys, || message(received, queues))
}

/// Whether a replayed job carries the right MAC of its dead letter for one of these keys.
pub(super) fn is_right_of_replay(
    received: Received<'_>,
    queues: &Queues,
    keys: &HistoryKeys,
) -> bool {
    verified(REPLAY_VERSION, received, keys, || replay_message(received, queues))
}

fn verified(
    version: &str,
    received: Received<'_>,
    keys: &HistoryKeys,
    message: impl FnOnce() -> Vec<u8>,
) -> bool {
    let headers = Headers(received.properties.headers().as_ref());
    let mac = headers.text(MAC).and_then(|mac| parse(version, mac));
    // A larger body is no job and has no history: it is not digested.
    mac.is_some_and(|mac| received.body.len() <= MAX_BODY_BYTES && keys.verify(&message(), &mac))
}

/// The MAC in the headers of a dead letter, for its replay. Other texts are not copied.
pub(super) fn to_replay(dead: Headers<'_>) -> Option<&str> {
    dead.text(MAC).filter(|mac| parse(REPLAY_VERSION, mac).is_some())
}

fn parse(version: &str, text: &str) -> Option<[u8; MAC_BYTES]> {
    from_hex(text.strip_prefix(version)?)
}

/// The text to sign of a dead letter or a replayed job, built as that of [`message`].
fn replay_message(received: Received<'_>, queues: &Queues) -> Vec<u8> {
    let Received { properties, body, .. } = received;
    let id = properties.message_id().as_ref().map(ShortString::as_str);
    let ambiguity = Headers(properties.headers().as_ref()).text(AMBIGUITY);
    let mut message = REPLAY_PURPOSE.to_vec();
    for part in [
        // The name of the family. `replay` may change the lane.
        Some(queues.lane(Lane::Interactive).as_str().as_bytes()),
        id.map(str::as_bytes),
        Some(Sha256::digest(body).as_slice()),
        ambiguity.map(str::as_bytes),
    ] {
        append(&mut message, part);
    }
    message
}

/// The text to sign. Each part follows its length, and an absent part differs from an empty one, so no two messages
/// yield the same text.
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
