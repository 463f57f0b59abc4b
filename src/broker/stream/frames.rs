//! Finds the frames in the bytes read, and repairs them before lapin gets them.
//!
//! Only the length of a body is checked. Every other frame passes as a whole, because bytes that lapin has cannot be
//! changed. So the rest of a buffer may be the beginning of a frame.

use thiserror::Error;

use super::{
    budget::{Delivered, cost},
    handle::StreamHandle,
    mend::{self, Malformed, Mended},
    methods::{self, DEFAULT_FRAME_MAX, Negotiated, Notice},
};

/// The bytes of type, channel and length of a frame.
pub(super) const HEAD: usize = 7;

/// The byte that ends a frame.
const END: u8 = 0xCE;

/// The bytes around the payload of a frame.
pub(super) const AROUND: usize = HEAD + 1;

/// The least frame size of AMQP: lapin takes no lower one.
const LEAST_FRAME_MAX: u32 = 4096;

/// A broker of another AMQP version answers with a header of this first byte and length.
const OTHER_VERSION: (u8, usize) = (b'A', 8);

const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;
const HEARTBEAT: u8 = 8;

pub(super) const SIGN_OF_LIFE: [u8; AROUND] = [HEARTBEAT, 0, 0, 0, 0, 0, 0, END];

/// Why bytes are not a stream of frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum FrameFault {
    #[error("the peer sent a frame of type {0}: it may not speak AMQP 0-9-1, or speaks TLS")]
    Type(u8),
    #[error("the broker sent a frame of {size} bytes, and frame_max of this connection is {limit}")]
    TooLarge { size: u64, limit: usize },
    #[error("the broker sent a frame that does not end where it says")]
    NoEnd,
    #[error("the broker sent {what} that cannot be read: {fault}")]
    Payload { what: &'static str, fault: Malformed },
}

/// The state of the bytes after the passed ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ScanResult {
    /// A frame that needs at least this many bytes.
    Needs(usize),
    /// A message that must wait for the budget.
    Waits,
    /// A content header larger than a frame may be.
    Oversized,
    /// A fault that ends the connection.
    Fault(FrameFault),
}

/// The position in a stream.
#[derive(Debug)]
pub(super) struct Scanner {
    negotiated: Negotiated,
    /// The number of bytes that pass unread.
    opaque: usize,
    /// Whether the last of them ends a frame.
    ends: bool,
    /// Whether nothing was read yet.
    fresh: bool,
    /// The message whose content header comes next, and the repairs so far.
    coming: Option<IncomingMessage>,
    handle: StreamHandle,
}

#[derive(Debug, Clone, Copy)]
struct IncomingMessage {
    delivered: Delivered,
    mended: Mended,
}

impl Scanner {
    /// The start of a stream. `ours` are our limits for the negotiation.
    pub(super) const fn new(ours: Negotiated, handle: StreamHandle) -> Self {
        Self { negotiated: ours, opaque: 0, ends: false, fresh: true, coming: None, handle }
    }

    /// The negotiated values, or ours before the negotiation.
    pub(super) const fn negotiated(&self) -> Negotiated {
        self.negotiated
    }

    /// The largest frame allowed now, in bytes.
    pub(super) fn limit(&self) -> usize {
        let limit = match self.negotiated.frame_max {
            // Nothing is negotiated yet.
            0 => DEFAULT_FRAME_MAX,
            negotiated => negotiated.max(LEAST_FRAME_MAX),
        };
        usize::try_from(limit).unwrap_or(usize::MAX)
    }

    /// Scans the bytes behind the passed ones. Returns how many may pass, and the state after them.
    pub(super) fn scan(&mut self, bytes: &mut [u8]) -> (usize, ScanResult) {
        let mut passed = 0;
        let next = loop {
            let (count, ended) = self.pass_unseen(&bytes[passed..]);
            passed += count;
            if let Err(fault) = ended {
                break ScanResult::Fault(fault);
            }
            if self.opaque > 0 {
                break ScanResult::Needs(1);
            }
            match self.frame(&mut bytes[passed..]) {
                Ok(count) => passed += count,
                Err(next) => break next,
            }
        };
        (passed, next)
    }

    /// Passes bytes that need no reading, but not a wrong end byte.
    fn pass_unseen(&mut self, bytes: &[u8]) -> (usize, Result<(), FrameFault>) {
        let count = self.opaque.min(bytes.len());
        if count > 0 && count == self.opaque && self.ends && bytes[count - 1] != END {
            return (count - 1, Err(FrameFault::NoEnd));
        }
        self.opaque -= count;
        (count, Ok(()))
    }

    /// Passes the frame at the start, or its head, whose rest passes unread. Fails with the reason that it cannot.
    fn frame(&mut self, bytes: &mut [u8]) -> Result<usize, ScanResult> {
        if let (Some(&kind), true) = (bytes.first(), self.fresh) {
            self.fresh = false;
            if kind == OTHER_VERSION.0 {
                (self.opaque, self.ends) = (OTHER_VERSION.1, false);
                return Ok(0);
            }
        }
        let Some(&[kind, channel @ .., l0, l1, l2, l3]) = bytes.first_chunk::<HEAD>() else {
            // A bad frame is detected by its first byte.
            return Err(match bytes.first() {
                Some(&kind) if !is_known(kind) => ScanResult::Fault(FrameFault::Type(kind)),
                _ => ScanResult::Needs(HEAD),
            });
        };
        let length = u64::from(u32::from_be_bytes([l0, l1, l2, l3]));
        let (size, limit) = (length + AROUND as u64, self.limit());
        let whole = usize::try_from(size).ok().filter(|whole| *whole <= limit);
        match (kind, whole) {
            (HEADER, None) => Err(ScanResult::Oversized),
            (METHOD | BODY | HEARTBEAT, None) => {
                Err(ScanResult::Fault(FrameFault::TooLarge { size, limit }))
            }
            (BODY | HEARTBEAT, Some(whole)) => {
                (self.opaque, self.ends) = (whole - HEAD, true);
                Ok(HEAD)
            }
            (METHOD | HEADER, Some(whole)) => {
                let Some(frame) = bytes.get_mut(..whole) else {
                    return Err(ScanResult::Needs(whole));
                };
                let [_, _, _, _, _, _, _, payload @ .., END] = frame else {
                    return Err(ScanResult::Fault(FrameFault::NoEnd));
                };
                let channel = u16::from_be_bytes(channel);
                if kind == METHOD {
                    self.method(channel, payload)?;
                } else {
                    self.header(channel, payload)?;
                }
                Ok(whole)
            }
            (other, _) => Err(ScanResult::Fault(FrameFault::Type(other))),
        }
    }

    fn method(&mut self, channel: u16, payload: &mut [u8]) -> Result<(), ScanResult> {
        let mended = mend::method(payload)
            .map_err(|fault| ScanResult::Fault(FrameFault::Payload { what: "a method", fault }))?;
        match methods::notice(payload) {
            Notice::Delivery(tag) => {
                self.coming =
                    Some(IncomingMessage { delivered: Delivered { channel, tag }, mended });
            }
            Notice::OtherContent => self.coming = None,
            Notice::ChannelOpened => self.handle.channel_opened(channel),
            Notice::ChannelClosed(cause) => {
                self.handle.account().channel_closed(channel);
                self.handle.channel_closed_by_broker(channel, cause);
            }
            Notice::Closing(cause) => self.handle.closed_by_broker(cause),
            Notice::Tune => {
                self.negotiated =
                    methods::tune(payload, self.negotiated).unwrap_or(self.negotiated);
            }
            Notice::Nothing => {}
        }
        Ok(())
    }

    fn header(&mut self, channel: u16, payload: &mut [u8]) -> Result<(), ScanResult> {
        let coming = self.coming.filter(|coming| coming.delivered.channel == channel);
        let cost = cost(payload.len(), body_size(payload));
        if coming.is_some_and(|coming| !self.handle.account().charge(coming.delivered, cost)) {
            return Err(ScanResult::Waits);
        }
        let before = coming.map(|coming| coming.mended).unwrap_or_default();
        let mended = mend::content_header(payload, before).map_err(|fault| {
            ScanResult::Fault(FrameFault::Payload { what: "a content header", fault })
        })?;
        if coming.is_some() {
            self.handle.count_repairs(mended);
            self.coming = None;
        }
        Ok(())
    }

    /// Records that the headers of the next message were left out.
    pub(super) const fn left_out(&mut self) {
        if let Some(coming) = &mut self.coming {
            coming.mended.size = true;
        }
    }
}

const fn is_known(kind: u8) -> bool {
    matches!(kind, METHOD | HEADER | BODY | HEARTBEAT)
}

/// The body size in a content header; 0 if it is too short, which is found later.
fn body_size(header: &[u8]) -> u64 {
    header.get(4..12).and_then(|size| size.first_chunk()).copied().map_or(0, u64::from_be_bytes)
}

#[cfg(test)]
mod tests;
