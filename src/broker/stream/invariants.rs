//! The invariants of all bytes that a broker could send, for property tests and for `fuzz/`.

#![allow(clippy::panic, reason = "an invariant that does not hold ends the test")]

use std::{
    io,
    task::{Context, Poll, Waker},
};

use lapin::protocol::{basic::parse_properties, parse_class};
use tokio::time::Instant;

use super::{
    frames::{AROUND, HEAD},
    handle::StreamHandle,
    mend,
    methods::Negotiated,
    reader::StreamReader,
    wire::ByteSource,
};
use crate::broker::headers::name::HEADERS_DROPPED;

/// Our limits for the negotiation. The low frame size is reached in tests.
const OURS: Negotiated = Negotiated { frame_max: 8192, heartbeat: 10 };

/// The sizes of reads: as the peer and the network split the bytes, and as lapin's buffer has room.
#[derive(Debug, Clone, Copy)]
pub struct Cuts {
    state: u32,
    most: usize,
}

impl Cuts {
    /// Cuts from a seed, into pieces of at most `most` bytes.
    #[must_use]
    pub const fn new(seed: u8, most: usize) -> Self {
        Self { state: seed as u32 + 1, most }
    }

    fn next(&mut self) -> usize {
        // A linear congruential generator: only reproducibility matters.
        self.state = self.state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        1 + usize::try_from(self.state >> 8).unwrap_or(0) % self.most
    }
}

/// A broker that sends these bytes and closes the connection.
struct ScriptedSource<'a> {
    rest: &'a [u8],
    cuts: Cuts,
    waited: bool,
}

impl ByteSource for ScriptedSource<'_> {
    fn receive(&mut self, _cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        self.waited = !self.waited;
        if self.waited {
            return Poll::Pending;
        }
        let count = self.cuts.next().min(buffer.len()).min(self.rest.len());
        let (read, rest) = self.rest.split_at(count);
        buffer[..count].copy_from_slice(read);
        self.rest = rest;
        Poll::Ready(Ok(count))
    }

    fn rest(&mut self, _cx: &mut Context<'_>, _until: Option<Instant>) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

/// Returns the bytes that lapin gets, and the error that ends the stream, if there is one.
#[must_use]
pub fn read(sent: &[u8], cuts: Cuts) -> (Vec<u8>, Option<String>) {
    let mut reader = StreamReader::new(OURS, StreamHandle::default());
    let mut source = ScriptedSource { rest: sent, cuts, waited: false };
    let mut room = Cuts { most: cuts.most + AROUND, ..cuts };
    let mut cx = Context::from_waker(Waker::noop());
    let mut got = Vec::new();
    let mut buffer = vec![0; room.most];
    loop {
        let size = room.next();
        match reader.poll(&mut source, &mut cx, &mut buffer[..size]) {
            Poll::Pending => {}
            Poll::Ready(Ok(0)) => return (got, None),
            Poll::Ready(Ok(count)) => got.extend_from_slice(&buffer[..count]),
            Poll::Ready(Err(error)) => return (got, Some(error.to_string())),
        }
    }
}

/// Reads bytes as a broker's stream. The first byte selects how they are split, and whether the others are raw or
/// payloads of frames. A payload follows its kind and two bytes of length.
///
/// # Panics
///
/// If an invariant is violated.
pub fn hold(bytes: &[u8]) {
    let Some((&how, bytes)) = bytes.split_first() else { return };
    if how & 1 == 0 {
        hold_of(bytes, how);
    } else {
        hold_of(&framed(bytes), how);
    }
}

/// Frames of these payloads.
fn framed(mut bytes: &[u8]) -> Vec<u8> {
    let mut frames = Vec::new();
    while let [kind, high, low, rest @ ..] = bytes {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(rest.len());
        let (payload, rest) = rest.split_at(length);
        frames.extend(frame(1 + kind % 3, payload));
        bytes = rest;
    }
    frames
}

/// One frame, on channel 1.
#[must_use]
pub fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
    [&[kind, 0, 1], &length[..], payload, &[0xCE]].concat()
}

fn hold_of(sent: &[u8], how: u8) {
    let (got, error) = read(sent, Cuts::new(how, 1 + usize::from(how)));
    let (same, same_error) = read(sent, Cuts::new(how, 1 << 17));
    assert!(got == same && error == same_error, "the cuts make a difference");
    if got.first() == Some(&b'A') {
        return;
    }
    let mut rest = &got[..];
    while let Some((kind, payload)) = next(&mut rest) {
        match (kind, payload) {
            (3 | 8, _) => {}
            (1, Some(payload)) => hold_of_method(payload),
            (2, Some(payload)) => hold_of_header(payload),
            (kind, _) => panic!("a part of a frame, or one of type {kind}"),
        }
    }
    let left_out = HEADERS_DROPPED.as_bytes();
    if !got.windows(left_out.len()).any(|some| some == left_out) {
        hold_of_changes(sent, &got);
    }
}

/// The next frame that lapin gets. An incomplete payload is `None`.
fn next<'a>(got: &mut &'a [u8]) -> Option<(u8, Option<&'a [u8]>)> {
    if got.is_empty() {
        return None;
    }
    let Some(&[kind, _, _, ref length @ ..]) = got.first_chunk::<HEAD>() else {
        panic!("a part of the head of a frame")
    };
    let size = AROUND + usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
    let frame = got.get(..size);
    *got = got.get(size..).unwrap_or_default();
    Some((kind, frame.map(|frame| &frame[HEAD..size - 1])))
}

/// lapin reads each method that the stream parses. It may or may not read a method that the stream does not know.
fn hold_of_method(payload: &[u8]) {
    let read = parse_class(payload).is_ok_and(|(rest, _)| rest.is_empty());
    let &[c0, c1, m0, m1, ..] = payload else { panic!("a method without a name") };
    let known = mend::is_mended(u16::from_be_bytes([c0, c1]), u16::from_be_bytes([m0, m1]));
    assert!(read || !known, "lapin cannot read {payload:?}");
}

/// lapin reads the header, and its nesting is bounded, because lapin reads nested tables by recursion.
fn hold_of_header(payload: &[u8]) {
    let read = payload.get(12..).map(parse_properties);
    assert!(read.is_some_and(|read| read.is_ok_and(|(rest, _)| rest.is_empty())));
}

/// The only changes are bytes that are not text, types of tables or arrays, and limits of the connection.
fn hold_of_changes(sent: &[u8], got: &[u8]) {
    assert!(sent.len() >= got.len());
    let mut rest = got;
    let mut at = 0;
    while let Some((kind, payload)) = next(&mut rest) {
        let end = got.len() - rest.len();
        let changed = |at: &usize| sent[*at] != got[*at];
        for place in (at..end).filter(changed) {
            let limit = payload.is_some_and(|payload| payload.starts_with(&[0, 10, 0, 30]));
            let mended = got[place] == b'?' && !sent[place].is_ascii()
                || got[place] == b'x' && matches!(sent[place], b'A' | b'F');
            assert!(kind != 3 && (mended || limit), "byte {place} was changed");
        }
        at = end;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::frames::SIGN_OF_LIFE, *};

    proptest! {
        #[test]
        fn any_sent_bytes_are_readable_or_end_the_stream(
            bytes in prop::collection::vec(any::<u8>(), 0..2048),
        ) {
            hold(&bytes);
        }

        /// Bodies of any size, with heartbeats between them.
        #[test]
        fn valid_frames_pass_unchanged(
            sizes in prop::collection::vec(0..8000_usize, 0..20),
            how in any::<u8>(),
        ) {
            let frames = sizes.iter().map(|size| frame(3, &vec![0xCE; *size]));
            let sent: Vec<u8> = frames.flat_map(|body| [body, SIGN_OF_LIFE.to_vec()].concat()).collect();
            prop_assert_eq!(read(&sent, Cuts::new(how, 1 + usize::from(how))), (sent, None));
        }
    }
}
