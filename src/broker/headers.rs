//! The properties of messages: read into a [`MessageMetadata`], and written when a job moves to another queue.
//!
//! Only listed properties are copied, because others are harmful:
//!
//! - An inherited `expiration` makes the broker delete a dead letter.
//! - `CC` and `BCC` route a message to other queues.
//! - A foreign `user_id` closes the channel.
//! - A forged `x-death` makes the broker drop a parked job as a cycle.
//! - Headers larger than a frame close the connection.

mod fit;
mod mac;
pub(super) mod name;
mod reader;

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use lapin::{
    BasicProperties,
    types::{
        AMQPValue, FieldTable, ShortString,
        generation::{GenResult, gen_value},
    },
};

use self::name::{
    AMBIGUITY, AMBIGUOUS, ATTEMPTS, CODE, DEAD_AT, DETAIL, FINGERPRINT, FIRST_FAILED_AT,
    HEADERS_DROPPED, HTTP_STATUS, LANE, LAST_ERROR, MAC, PARKED, PARKED_AT, PAUSED_MS, REASON,
    REPLAYS,
};
pub(super) use self::{fit::fit, reader::Headers};
use super::{
    history_keys::HistoryKeys,
    queues::{Queues, short},
};
use crate::domain::{
    Ambiguity, DeadLetter, History, Lane, MessageMetadata, TraceContext,
    timestamp as timestamp_of_producer,
};

/// The most bytes of a producer's headers that are copied.
const MAX_COPIED_BYTES: usize = 16 * 1024;

/// The largest count that is read from a header.
const MAX_COUNT: u32 = 1_000_000;

/// The value of `delivery_mode` for a message that survives a restart of the broker.
const PERSISTENT: u8 = 2;

/// The W3C headers of a trace.
const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";

/// Copied first, so that a trace survives when other headers are left out.
const TRACE_HEADERS: [&str; 2] = [TRACEPARENT, TRACESTATE];

/// Headers in which the broker counts earlier deliveries. RabbitMQ 4.3 counts them apart from failures.
pub(super) const DELIVERY_COUNTS: [&str; 2] = ["x-acquired-count", "x-delivery-count"];

/// Never copied, in upper or lower case. Neither are [`DELIVERY_COUNTS`].
const DROPPED_HEADERS: [&str; 3] = ["cc", "bcc", "x-death"];

/// Prefixes that are never copied.
const DROPPED_PREFIXES: [&str; 3] = ["x-first-death-", "x-last-death-", name::PREFIX];

/// A message as it came from a queue.
#[derive(Clone, Copy)]
pub struct Received<'a> {
    /// Its properties.
    pub properties: &'a BasicProperties,
    /// Its body.
    pub body: &'a [u8],
    /// The lane of that queue.
    pub lane: Lane,
    /// Whether the broker delivered it before.
    pub redelivered: bool,
}

impl fmt::Debug for Received<'_> {
    /// Without body and properties: both may hold the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Received")
            .field("lane", &self.lane)
            .field("redelivered", &self.redelivered)
            .finish_non_exhaustive()
    }
}

/// Reads the metadata of a message. Its history headers are used, within bounds:
///
/// - with keys: if their MAC is right, so a worker wrote them for this job;
/// - without keys: if the message came out of one of our retry queues. A producer can forge that, so the
///   configuration refuses to presume anything without a key.
///
/// A replayed job has only the ambiguity of its dead letter. With keys it is used if its MAC is right. Without keys it
/// is used in any message that counts replays, because it only changes the label of a rejection.
///
/// All other history headers are ignored.
#[must_use]
pub fn read(
    received: Received<'_>,
    queues: &Queues,
    keys: &HistoryKeys,
    now: SystemTime,
) -> MessageMetadata {
    let headers = Headers(received.properties.headers().as_ref());
    let parked = if keys.are_given() {
        mac::is_right(received, queues, keys)
    } else {
        headers.text("x-first-death-queue").is_some_and(|queue| queues.is_retry(queue))
    };
    let history = if parked {
        headers.history(now)
    } else if headers.is_replayed()
        && (!keys.are_given() || mac::is_right_of_replay(received, queues, keys))
    {
        History { ambiguity: headers.ambiguity(), ..History::default() }
    } else {
        History::default()
    };
    MessageMetadata {
        history,
        ..metadata(received.properties, received.lane, received.redelivered)
    }
}

/// Reads the metadata of a message without its history.
pub(super) fn metadata(
    properties: &BasicProperties,
    lane: Lane,
    redelivered: bool,
) -> MessageMetadata {
    let headers = Headers(properties.headers().as_ref());
    MessageMetadata {
        lane,
        message_id: properties.message_id().as_ref().map(ToString::to_string),
        published_at: properties.timestamp().and_then(timestamp_of_producer),
        redelivered,
        trace: headers
            .text(TRACEPARENT)
            .and_then(|traceparent| TraceContext::parse(traceparent, headers.text(TRACESTATE))),
        history: History::default(),
    }
}

/// The properties of a dead letter. With keys, its ambiguity is signed for a replay.
pub(super) fn of_dead_letter(
    original: &BasicProperties,
    body: &[u8],
    lane: Lane,
    letter: &DeadLetter,
    history: &History,
    queues: &Queues,
    keys: &HistoryKeys,
) -> BasicProperties {
    let mut headers = copied(original);
    put_history(&mut headers, lane, history);
    let mut put = |name: &str, value| {
        headers.insert(short(name), value);
    };
    put(REASON, text(letter.reason.as_str()));
    put(DETAIL, text(&letter.detail));
    if let Some(code) = &letter.code {
        put(CODE, text(code));
    }
    if let Some(status) = letter.http_status {
        put(HTTP_STATUS, AMQPValue::LongInt(status.into()));
    }
    let first = history.first_failed_at.unwrap_or(letter.dead_at);
    put(FIRST_FAILED_AT, timestamp(first));
    put(DEAD_AT, timestamp(letter.dead_at));
    if let Some(fingerprint) = letter.fingerprint {
        put(FINGERPRINT, text(&fingerprint.to_string()));
    }
    let dead = properties(original, headers);
    if history.ambiguity.is_none() {
        return dead;
    }
    let letter = Received { properties: &dead, body, lane, redelivered: false };
    let mac = mac::of_dead_letter(letter, queues, keys);
    with_mac(dead, mac)
}

/// The properties of a parked job. With keys, its history is signed.
pub(super) fn of_parked(
    original: &BasicProperties,
    body: &[u8],
    lane: Lane,
    history: &History,
    queues: &Queues,
    keys: &HistoryKeys,
) -> BasicProperties {
    let mut headers = copied(original);
    put_history(&mut headers, lane, history);
    headers.insert(short(PARKED), count(history.stays));
    if let Some(at) = history.parked_at {
        headers.insert(short(PARKED_AT), timestamp(at));
    }
    let parked = properties(original, headers);
    let job = Received { properties: &parked, body, lane, redelivered: false };
    let mac = mac::of(job, queues, keys);
    with_mac(parked, mac)
}

fn with_mac(properties: BasicProperties, mac: Option<String>) -> BasicProperties {
    let Some(mac) = mac else { return properties };
    let mut headers = properties.headers().clone().unwrap_or_default();
    headers.insert(short(MAC), text(&mac));
    properties.with_headers(headers)
}

/// The properties of a replayed dead letter: a new job with a count of replays. Of its history it keeps only the
/// ambiguity: a rejection must not count as that of a token that was never called.
pub(super) fn of_replayed(original: &BasicProperties) -> BasicProperties {
    let mut headers = copied(original);
    let written = Headers(original.headers().as_ref());
    let before = written.count(REPLAYS).unwrap_or(0);
    headers.insert(short(REPLAYS), count(before + 1));
    if let Some(ambiguity) = written.ambiguity() {
        put_ambiguity(&mut headers, Some(ambiguity));
        if let Some(mac) = mac::to_replay(written) {
            headers.insert(short(MAC), text(mac));
        }
    }
    properties(original, headers)
}

/// The properties of a job that `enqueue` publishes.
pub(super) fn of_job(sent_at: SystemTime) -> BasicProperties {
    BasicProperties::default()
        .with_content_type("application/json".into())
        .with_delivery_mode(PERSISTENT)
        .with_timestamp(unix_seconds(sent_at))
}

/// The properties of an outcome event.
pub(super) fn of_event(id: &str, kind: &str, at: SystemTime) -> BasicProperties {
    BasicProperties::default()
        .with_content_type("application/cloudevents+json".into())
        .with_delivery_mode(PERSISTENT)
        .with_message_id(short(id))
        .with_type(short(kind))
        .with_timestamp(unix_seconds(at))
}

fn put_history(headers: &mut FieldTable, lane: Lane, history: &History) {
    headers.insert(short(LANE), text(lane.as_str()));
    headers.insert(short(ATTEMPTS), count(history.attempts));
    if let Some(first) = history.first_failed_at {
        headers.insert(short(FIRST_FAILED_AT), timestamp(first));
    }
    if !history.paused.is_zero() {
        let millis = i64::try_from(history.paused_millis()).unwrap_or(i64::MAX);
        headers.insert(short(PAUSED_MS), AMQPValue::LongLongInt(millis));
    }
    if let Some(error) = history.last_error {
        headers.insert(short(LAST_ERROR), text(error.as_str()));
    }
    put_ambiguity(headers, history.ambiguity);
}

fn put_ambiguity(headers: &mut FieldTable, ambiguity: Option<Ambiguity>) {
    headers.insert(short(AMBIGUOUS), AMQPValue::Boolean(ambiguity.is_some()));
    if let Some(ambiguity) = ambiguity {
        headers.insert(short(AMBIGUITY), text(ambiguity.as_str()));
    }
}

/// The copied properties, with these headers.
fn properties(original: &BasicProperties, headers: FieldTable) -> BasicProperties {
    let mut copy = BasicProperties::default().with_delivery_mode(PERSISTENT).with_headers(headers);
    macro_rules! copy {
        ($($get:ident => $set:ident),*) => {
            $(if let Some(value) = original.$get() {
                copy = copy.$set(value.clone());
            })*
        };
    }
    copy!(
        content_type => with_content_type, content_encoding => with_content_encoding,
        message_id => with_message_id, correlation_id => with_correlation_id,
        kind => with_type, app_id => with_app_id
    );
    if let Some(seconds) = original.timestamp() {
        copy = copy.with_timestamp(*seconds);
    }
    copy
}

/// The copied headers of the producer, and our marker header if some were left out for their size.
fn copied(original: &BasicProperties) -> FieldTable {
    let mut copy = FieldTable::default();
    let Some(original) = original.headers().as_ref() else { return copy };
    let mut room = MAX_COPIED_BYTES;
    // The stream sets this if the headers were larger than a frame. A producer may set it too, which does no harm.
    let mut left_out = original.inner().get(HEADERS_DROPPED) == Some(&AMQPValue::Boolean(true));
    for (name, value) in in_order_of_worth(original) {
        match room.checked_sub(size(name, value)) {
            Some(rest) => {
                room = rest;
                copy.insert(name.clone(), value.clone());
            }
            None => left_out = true,
        }
    }
    if left_out {
        copy.insert(short(HEADERS_DROPPED), AMQPValue::Boolean(true));
    }
    if let Some(replays) = Headers(Some(original)).count(REPLAYS) {
        copy.insert(short(REPLAYS), count(replays));
    }
    copy
}

/// The producer's headers to copy, the most important first.
fn in_order_of_worth(headers: &FieldTable) -> impl Iterator<Item = (&ShortString, &AMQPValue)> {
    let is_trace = |name: &ShortString| TRACE_HEADERS.contains(&name.as_str());
    let first = headers.into_iter().filter(move |(name, _)| is_trace(name));
    let others =
        headers.into_iter().filter(move |(name, _)| !is_trace(name) && is_copied(name.as_str()));
    first.chain(others)
}

/// Whether a header may be copied to another queue.
pub(super) fn is_copied(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    !DROPPED_HEADERS.iter().chain(&DELIVERY_COUNTS).any(|dropped| name == *dropped)
        && !DROPPED_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// The size of a header on the wire in bytes: length and name, type, value.
fn size(name: &ShortString, value: &AMQPValue) -> usize {
    octets(gen_value(value)(Vec::new().into())).saturating_add(1 + name.as_str().len())
}

/// The size of what was encoded, in bytes. Writing to memory cannot fail. Properties that cannot be encoded fit
/// nowhere.
fn octets(encoded: GenResult<Vec<u8>>) -> usize {
    encoded.map_or(usize::MAX, |encoded| encoded.into_inner().0.len())
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.as_bytes().into())
}

fn count(value: u32) -> AMQPValue {
    AMQPValue::LongInt(i32::try_from(value.min(MAX_COUNT)).unwrap_or(i32::MAX))
}

fn timestamp(time: SystemTime) -> AMQPValue {
    AMQPValue::Timestamp(unix_seconds(time))
}

fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Converts a timestamp of AMQP (Unix seconds) to a time.
pub(super) fn at(seconds: u64) -> Option<SystemTime> {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

#[cfg(any(test, fuzzing))]
pub mod invariants;
#[cfg(test)]
mod tests;
