//! The trace of a job, as its producer sent it by the rules of W3C Trace Context.
//!
//! Both values go to the endpoint and into the log. So only valid values pass, and neither is longer than the rules
//! allow.

use std::{fmt, ops::Range};

/// The supported version of `traceparent`.
const VERSION: &str = "00";

/// The length of a `traceparent` of that version, in characters.
const PARENT_CHARS: usize = 55;

/// The positions of the two ids in it.
const TRACE_ID: Range<usize> = 3..35;
const PARENT_ID: Range<usize> = 36..52;

/// The longest `tracestate` that is passed on: the minimum that section 3.3.1.5 asks for.
const MAX_STATE_CHARS: usize = 512;

/// The most members of a `tracestate`, by section 3.3.1.1.
const MAX_STATE_MEMBERS: usize = 32;

/// The longest key and the longest value of a member.
const MAX_MEMBER_CHARS: usize = 256;

/// A valid `traceparent`, with its `tracestate` if that is valid as well.
#[derive(Clone, PartialEq, Eq)]
pub struct TraceContext {
    /// Inline, because each job with a trace copies it. The rules allow ASCII characters only.
    parent: [u8; PARENT_CHARS],
    state: Option<String>,
}

impl fmt::Debug for TraceContext {
    /// Without the producer's texts: they may show the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TraceContext").finish_non_exhaustive()
    }
}

impl TraceContext {
    /// Reads both headers; `None` without a valid `traceparent`. An invalid or too long `tracestate` is
    /// dropped.
    ///
    /// Source: <https://www.w3.org/TR/trace-context/>, sections 3.2 and 3.3.
    #[must_use]
    pub fn parse(traceparent: &str, tracestate: Option<&str>) -> Option<Self> {
        let parent = parent(traceparent)?;
        let state = tracestate.filter(|state| is_state(state)).map(str::to_owned);
        Some(Self { parent, state })
    }

    /// The value of the header `traceparent`.
    #[must_use]
    pub fn traceparent(&self) -> &str {
        str::from_utf8(&self.parent).unwrap_or_default()
    }

    /// The value of the header `tracestate`.
    #[must_use]
    pub fn tracestate(&self) -> Option<&str> {
        self.state.as_deref()
    }

    /// The trace id, 32 hex digits.
    #[must_use]
    pub fn trace_id(&self) -> &str {
        self.part(TRACE_ID)
    }

    /// The trace without the parts for which `shows` finds a secret. Version and flags are too short to show
    /// one. `None` if an id shows one.
    #[must_use]
    pub fn without(mut self, shows: impl Fn(&str) -> bool) -> Option<Self> {
        if [TRACE_ID, PARENT_ID].into_iter().any(|id| shows(self.part(id)))
            || shows(self.traceparent())
        {
            return None;
        }
        self.state = self.state.filter(|state| !shows(state));
        Some(self)
    }

    /// A part of the `traceparent`, which was checked before.
    fn part(&self, place: Range<usize>) -> &str {
        self.traceparent().get(place).unwrap_or_default()
    }
}

/// The `traceparent` to pass on. One of a later version is rewritten in this version, as section 3.2.4 asks
/// for. Of its flags only "sampled" is known.
fn parent(value: &str) -> Option<[u8; PARENT_CHARS]> {
    let (head, rest) = value.split_at_checked(PARENT_CHARS)?;
    let mut fields = head.split('-');
    let (version, trace, parent, flags) =
        (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let sound = fields.next().is_none()
        && is_hex(version, 2)
        && is_hex(trace, 32)
        && is_hex(parent, 16)
        && is_hex(flags, 2)
        && is_set(trace)
        && is_set(parent);
    match version {
        _ if !sound => None,
        VERSION if rest.is_empty() => head.as_bytes().try_into().ok(),
        VERSION | "ff" => None,
        _ if !rest.is_empty() && !rest.starts_with('-') => None,
        _ => {
            let sampled = u8::from_str_radix(flags, 16).ok()? & 1;
            format!("{VERSION}-{trace}-{parent}-{sampled:02x}").as_bytes().try_into().ok()
        }
    }
}

fn is_hex(field: &str, length: usize) -> bool {
    field.len() == length && field.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Whether an id is set: all zeros mean that it is not.
fn is_set(field: &str) -> bool {
    field.bytes().any(|b| b != b'0')
}

fn is_state(value: &str) -> bool {
    if value.len() > MAX_STATE_CHARS {
        return false;
    }
    let mut keys: Vec<&str> = Vec::new();
    for member in value.split(',') {
        let member = member.trim_matches([' ', '\t']);
        // An empty member is allowed and ignored.
        if member.is_empty() {
            continue;
        }
        let Some((key, value)) = member.split_once('=') else { return false };
        let sound = is_key(key) && is_value(value) && !keys.contains(&key);
        if !sound || keys.len() == MAX_STATE_MEMBERS {
            return false;
        }
        keys.push(key);
    }
    !keys.is_empty()
}

fn is_key(key: &str) -> bool {
    let begins = key.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    begins
        && key.len() <= MAX_MEMBER_CHARS
        && key
            .bytes()
            .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'*' | b'/' | b'@'))
}

fn is_value(value: &str) -> bool {
    !value.is_empty()
        && value.len() <= MAX_MEMBER_CHARS
        && value.bytes().all(|b| matches!(b, b' '..=b'~') && b != b',' && b != b'=')
}

#[cfg(test)]
mod tests;
