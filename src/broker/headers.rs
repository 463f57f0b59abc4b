//! What a message says besides its body: read here into an [`Arrival`], and written here again when a
//! job moves to another queue.
//!
//! Only what is listed is copied. Each absence has been seen to do harm: an inherited `expiration`
//! makes a dead letter vanish, `CC` and `BCC` route it elsewhere, a foreign `user_id` closes the
//! channel, a forged `x-death` makes the broker drop a parked job as a cycle, headers beyond the frame
//! close the connection.

mod fit;
mod mac;
pub mod name;

use std::time::{Duration, SystemTime};

use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable, ShortString},
};

pub use self::fit::fit;
use self::name::{
    AMBIGUITY, AMBIGUOUS, ATTEMPTS, CODE, DEAD_AT, DETAIL, FINGERPRINT, FIRST_FAILED_AT,
    HEADERS_DROPPED, HTTP_STATUS, LANE, LAST_ERROR, MAC, PARKED, PARKED_AT, PAUSED_MS, REASON,
    REPLAYS,
};
use super::{
    history_keys::HistoryKeys,
    queues::{Queues, short},
};
use crate::domain::{
    Ambiguity, Arrival, DeadLetter, History, Lane, Parking, ResultLabel, TraceContext,
    timestamp as timestamp_of_producer,
};

/// Bytes of a producer's headers that are copied, in all.
const MAX_COPIED_BYTES: usize = 16 * 1024;

/// Beyond this a count in a header is noise.
const MAX_COUNT: u32 = 1_000_000;

/// The value of the property `delivery_mode` that makes a message survive a restart of the broker.
const PERSISTENT: u8 = 2;

/// The W3C headers of a trace.
const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";

/// Copied before all others, so that a trace survives whatever else has to stay behind.
const TRACE_HEADERS: [&str; 2] = [TRACEPARENT, TRACESTATE];

/// Never copied, in whatever case they are spelt.
const DROPPED_HEADERS: [&str; 5] = ["cc", "bcc", "x-death", "x-delivery-count", "x-acquired-count"];

/// Nor is anything that begins so.
const DROPPED_PREFIXES: [&str; 3] = ["x-first-death-", "x-last-death-", name::PREFIX];

/// A message as it came out of a queue.
#[derive(Debug, Clone, Copy)]
pub struct Received<'a> {
    /// Its properties.
    pub properties: &'a BasicProperties,
    /// Its body.
    pub body: &'a [u8],
    /// The lane whose queue it came out of.
    pub lane: Lane,
    /// Whether the broker delivered it before.
    pub redelivered: bool,
}

/// Reads what came with a message. Our own history headers are believed, within bounds:
///
/// - with keys, if their MAC is right: then a worker of ours wrote them, for this job;
/// - without, on a message that came out of one of our retry queues. Its producer can forge that, so such a
///   history must never buy a better ending: the configuration refuses to presume anything without a key.
///
/// Anywhere else they are a stranger's.
#[must_use]
pub fn read(
    received: Received<'_>,
    queues: &Queues,
    keys: &HistoryKeys,
    now: SystemTime,
) -> Arrival {
    let headers = Headers(received.properties.headers().as_ref());
    let believed = if keys.are_given() {
        mac::is_right(received, queues, keys)
    } else {
        headers.text("x-first-death-queue").is_some_and(|queue| queues.is_retry(queue))
    };
    let arrival = arrival(received.properties, received.lane, received.redelivered);
    if believed { Arrival { history: headers.history(now), ..arrival } } else { arrival }
}

/// Reads what came with a message but for its history.
#[must_use]
pub fn arrival(properties: &BasicProperties, lane: Lane, redelivered: bool) -> Arrival {
    let headers = Headers(properties.headers().as_ref());
    Arrival {
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

/// The properties of a dead letter.
#[must_use]
pub fn of_dead_letter(
    original: &BasicProperties,
    lane: Lane,
    letter: &DeadLetter,
) -> BasicProperties {
    let mut headers = copied(original);
    put_history(&mut headers, lane, &letter.history);
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
    let first = letter.history.first_failed_at.unwrap_or(letter.dead_at);
    put(FIRST_FAILED_AT, timestamp(first));
    put(DEAD_AT, timestamp(letter.dead_at));
    if let Some(fingerprint) = letter.fingerprint {
        put(FINGERPRINT, text(&fingerprint.to_string()));
    }
    properties(original, headers)
}

/// The properties of a job on its way to a retry queue; with keys, its history is signed.
#[must_use]
pub fn of_parked(
    original: &BasicProperties,
    body: &[u8],
    lane: Lane,
    parking: &Parking,
    queues: &Queues,
    keys: &HistoryKeys,
) -> BasicProperties {
    let mut headers = copied(original);
    put_history(&mut headers, lane, &parking.history);
    headers.insert(short(PARKED), count(parking.history.stays));
    if let Some(at) = parking.history.parked_at {
        headers.insert(short(PARKED_AT), timestamp(at));
    }
    let mut properties = properties(original, headers.clone());
    let parked = Received { properties: &properties, body, lane, redelivered: false };
    if let Some(mac) = mac::of(parked, queues, keys) {
        headers.insert(short(MAC), text(&mac));
        properties = properties.with_headers(headers);
    }
    properties
}

/// The properties of a dead letter on its way back into a lane: a fresh job, but for the count of its
/// replays.
#[must_use]
pub fn of_replayed(original: &BasicProperties) -> BasicProperties {
    let mut headers = copied(original);
    let before = Headers(original.headers().as_ref()).count(REPLAYS).unwrap_or(0);
    headers.insert(short(REPLAYS), count(before + 1));
    properties(original, headers)
}

/// The properties of a job that we produce ourselves.
#[must_use]
pub fn of_job(sent_at: SystemTime) -> BasicProperties {
    BasicProperties::default()
        .with_content_type("application/json".into())
        .with_delivery_mode(PERSISTENT)
        .with_timestamp(unix_seconds(sent_at))
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
    headers.insert(short(AMBIGUOUS), AMQPValue::Boolean(history.ambiguity.is_some()));
    if let Some(ambiguity) = history.ambiguity {
        headers.insert(short(AMBIGUITY), text(ambiguity.as_str()));
    }
}

/// The properties that travel, with these headers.
fn properties(original: &BasicProperties, headers: FieldTable) -> BasicProperties {
    let mut copy = BasicProperties::default().with_delivery_mode(PERSISTENT).with_headers(headers);
    if let Some(value) = original.content_type() {
        copy = copy.with_content_type(value.clone());
    }
    if let Some(value) = original.content_encoding() {
        copy = copy.with_content_encoding(value.clone());
    }
    if let Some(value) = original.message_id() {
        copy = copy.with_message_id(value.clone());
    }
    if let Some(value) = original.correlation_id() {
        copy = copy.with_correlation_id(value.clone());
    }
    if let Some(value) = original.timestamp() {
        copy = copy.with_timestamp(*value);
    }
    if let Some(value) = original.kind() {
        copy = copy.with_type(value.clone());
    }
    if let Some(value) = original.app_id() {
        copy = copy.with_app_id(value.clone());
    }
    copy
}

/// The producer's headers that travel, and a header of ours if some were left out for their size.
fn copied(original: &BasicProperties) -> FieldTable {
    let mut copy = FieldTable::default();
    let Some(original) = original.headers().as_ref() else { return copy };
    let mut room = MAX_COPIED_BYTES;
    // The stream says so of headers that were larger than a frame. A stranger may say so too: it harms nobody.
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

/// The producer's headers that travel, those first that are to be kept where not all can be.
fn in_order_of_worth(headers: &FieldTable) -> impl Iterator<Item = (&ShortString, &AMQPValue)> {
    let is_trace = |name: &ShortString| TRACE_HEADERS.contains(&name.as_str());
    let first = headers.into_iter().filter(move |(name, _)| is_trace(name));
    let others =
        headers.into_iter().filter(move |(name, _)| !is_trace(name) && is_copied(name.as_str()));
    first.chain(others)
}

/// Whether a header is one of the producer's that may go on to another queue.
#[must_use]
pub fn is_copied(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    !DROPPED_HEADERS.contains(&name.as_str())
        && !DROPPED_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// The bytes of one header on the wire: a length and the name, a type, the value.
fn size(name: &ShortString, value: &AMQPValue) -> usize {
    2 + name.as_str().len() + value_size(value)
}

fn value_size(value: &AMQPValue) -> usize {
    const LENGTH: usize = 4;
    match value {
        AMQPValue::Void => 0,
        AMQPValue::Boolean(_) | AMQPValue::ShortShortInt(_) | AMQPValue::ShortShortUInt(_) => 1,
        AMQPValue::ShortInt(_) | AMQPValue::ShortUInt(_) => 2,
        AMQPValue::LongInt(_) | AMQPValue::LongUInt(_) | AMQPValue::Float(_) => 4,
        AMQPValue::DecimalValue(_) => 5,
        AMQPValue::LongLongInt(_) | AMQPValue::Double(_) | AMQPValue::Timestamp(_) => 8,
        AMQPValue::ShortString(text) => 1 + text.as_str().len(),
        AMQPValue::LongString(text) => LENGTH + text.len(),
        AMQPValue::ByteArray(bytes) => LENGTH + bytes.len(),
        AMQPValue::FieldArray(array) => {
            LENGTH + array.as_slice().iter().map(|value| 1 + value_size(value)).sum::<usize>()
        }
        AMQPValue::FieldTable(table) => {
            LENGTH + table.into_iter().map(|(name, value)| size(name, value)).sum::<usize>()
        }
    }
}

/// A message's headers, read with suspicion.
#[derive(Debug, Clone, Copy)]
pub struct Headers<'a>(pub Option<&'a FieldTable>);

impl<'a> Headers<'a> {
    /// The header of that name, whatever it is.
    #[must_use]
    pub fn get(self, name: &str) -> Option<&'a AMQPValue> {
        self.0?.inner().get(name)
    }

    /// A header that is text.
    #[must_use]
    pub fn text(self, name: &str) -> Option<&'a str> {
        match self.get(name)? {
            AMQPValue::LongString(text) => std::str::from_utf8(text.as_bytes()).ok(),
            AMQPValue::ShortString(text) => Some(text.as_str()),
            _ => None,
        }
    }

    /// A header that is a number, brought within bounds.
    #[must_use]
    pub fn count(self, name: &str) -> Option<u32> {
        u32::try_from(self.integer(name)?.clamp(0, MAX_COUNT.into())).ok()
    }

    /// A header that is a number of milliseconds; what is negative is none.
    #[must_use]
    pub fn millis(self, name: &str) -> Option<u64> {
        u64::try_from(self.integer(name)?).ok()
    }

    fn integer(self, name: &str) -> Option<i64> {
        Some(match self.get(name)? {
            AMQPValue::ShortShortInt(value) => i64::from(*value),
            AMQPValue::ShortShortUInt(value) => i64::from(*value),
            AMQPValue::ShortInt(value) => i64::from(*value),
            AMQPValue::ShortUInt(value) => i64::from(*value),
            AMQPValue::LongInt(value) => i64::from(*value),
            AMQPValue::LongUInt(value) => i64::from(*value),
            AMQPValue::LongLongInt(value) => *value,
            _ => return None,
        })
    }

    /// A header that is a time.
    #[must_use]
    pub fn time(self, name: &str) -> Option<SystemTime> {
        match self.get(name)? {
            AMQPValue::Timestamp(seconds) => at(*seconds),
            _ => None,
        }
    }

    fn history(self, now: SystemTime) -> History {
        History {
            attempts: self.count(ATTEMPTS).unwrap_or(0),
            stays: self.count(PARKED).unwrap_or(0).max(1),
            // A first failure in the future would keep a job from ever being given up.
            first_failed_at: self.time(FIRST_FAILED_AT).map(|first| first.min(now)),
            last_error: self.text(LAST_ERROR).and_then(ResultLabel::from_name),
            ambiguity: self.text(AMBIGUITY).and_then(Ambiguity::from_name),
            paused: self.millis(PAUSED_MS).map(History::paused_for).unwrap_or_default(),
            parked_at: self.time(PARKED_AT).map(|at| at.min(now)),
        }
    }
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

/// A timestamp of AMQP's, in Unix seconds, as a time.
#[must_use]
pub fn at(seconds: u64) -> Option<SystemTime> {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

#[cfg(any(test, fuzzing))]
pub mod invariants;
#[cfg(test)]
mod tests;
