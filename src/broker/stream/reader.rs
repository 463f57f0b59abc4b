//! Reads the broker's bytes for lapin, as far as they may pass.
//!
//! The transport is read into lapin's buffer and scanned there. Bytes that may not pass yet are moved out: the start of
//! a frame, or the bytes after a message that must wait.

use std::{
    fmt, io,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    frames::{HEAD, SIGN_OF_LIFE, ScanResult, Scanner},
    handle::StreamHandle,
    methods::Negotiated,
    oversized::{self, Cut},
    read_buffer::ReadBuffer,
    wire::ByteSource,
};

/// A smaller start of a frame is copied, and the following bytes are read behind it. For a larger one, only the rest is
/// read.
const SMALL: usize = 4096;

/// The most bytes of one read, and so the most that are held for a waiting message.
const MOST_READ: usize = 512 * 1024;

/// The most bytes of one read for the rest of a frame.
const PART: usize = 32 * 1024;

/// The reading side of a stream.
pub(super) struct StreamReader {
    scanner: Scanner,
    handle: StreamHandle,
    held: ReadBuffer,
    /// The state of the bytes after the ones that may pass.
    next: ScanResult,
    /// The number of next bytes to leave out.
    left_out: usize,
    /// A buffer for the rest of frames, once needed.
    part: Option<Box<[u8]>>,
    /// The bytes left of a heartbeat that is being passed on.
    sign: usize,
    /// When lapin last got bytes.
    last: Instant,
}

impl fmt::Debug for StreamReader {
    /// Without the bytes of frames: they hold tokens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamReader").field("scanner", &self.scanner).finish_non_exhaustive()
    }
}

impl StreamReader {
    /// The reading side of a new stream. `ours` are our limits for the negotiation.
    pub(super) fn new(ours: Negotiated, handle: StreamHandle) -> Self {
        Self {
            scanner: Scanner::new(ours, handle.clone()),
            handle,
            held: ReadBuffer::default(),
            next: ScanResult::Needs(HEAD),
            left_out: 0,
            part: None,
            sign: 0,
            last: Instant::now(),
        }
    }

    /// Reads into `out`; `Ok(0)` is the end. Fails with the transport's error, or if the broker's bytes are
    /// unreadable.
    pub(super) fn poll(
        &mut self,
        source: &mut impl ByteSource,
        cx: &mut Context<'_>,
        out: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let count = ready!(self.read(source, cx, out))?;
        self.last = Instant::now();
        Poll::Ready(Ok(count))
    }

    fn read(
        &mut self,
        source: &mut impl ByteSource,
        cx: &mut Context<'_>,
        out: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            if self.sign > 0 {
                return Poll::Ready(Ok(self.hand_on_sign(out)));
            }
            if self.held.is_ready() {
                return Poll::Ready(Ok(self.held.hand_on(out)));
            }
            match self.next {
                ScanResult::Fault(fault) => {
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, fault)));
                }
                ScanResult::Waits => ready!(self.wait(source, cx))?,
                ScanResult::Oversized => self.cut(),
                ScanResult::Needs(count) if self.fits(count, out) => {
                    let read = ready!(self.read_through(source, cx, out))?;
                    if let Some(count) = read {
                        return Poll::Ready(Ok(count));
                    }
                }
                ScanResult::Needs(count) => {
                    if ready!(self.read_on(source, cx, count))? {
                        return Poll::Ready(Ok(0));
                    }
                }
            }
        }
    }

    /// Whether `out` has room for a frame of `needs` bytes, and reading it there is worthwhile.
    fn fits(&self, needs: usize, out: &[u8]) -> bool {
        let held = self.held.waiting().len();
        self.left_out == 0 && held < SMALL && held < out.len() && needs <= out.len()
    }

    /// Reads into `out`, behind the held bytes. `None` if nothing may pass yet.
    fn read_through(
        &mut self,
        source: &mut impl ByteSource,
        cx: &mut Context<'_>,
        out: &mut [u8],
    ) -> Poll<io::Result<Option<usize>>> {
        let held = self.held.waiting();
        let begin = held.len();
        let end = out.len().min(begin + MOST_READ);
        let out = &mut out[..end];
        out[..begin].copy_from_slice(held);
        let count = ready!(source.receive(cx, &mut out[begin..]))?;
        if count == 0 {
            return Poll::Ready(Ok(Some(0)));
        }
        self.held.clear();
        let read = &mut out[..begin + count];
        let (passed, next) = self.scanner.scan(read);
        self.held.push(&read[passed..]);
        self.next = next;
        Poll::Ready(Ok((passed > 0).then_some(passed)))
    }

    /// Reads the rest of a frame of `needs` bytes. Returns whether the stream has ended.
    fn read_on(
        &mut self,
        source: &mut impl ByteSource,
        cx: &mut Context<'_>,
        needs: usize,
    ) -> Poll<io::Result<bool>> {
        let missing = needs.saturating_sub(self.held.waiting().len()).max(1);
        let part = self.part.get_or_insert_with(|| vec![0; PART].into_boxed_slice());
        let room = self.left_out.saturating_add(missing).min(PART);
        let count = ready!(source.receive(cx, &mut part[..room]))?;
        if count == 0 {
            return Poll::Ready(Ok(true));
        }
        let left_out = count.min(self.left_out);
        self.left_out -= left_out;
        self.held.push(&part[left_out..count]);
        self.scan_held();
        Poll::Ready(Ok(false))
    }

    fn scan_held(&mut self) {
        let (passed, next) = self.scanner.scan(self.held.waiting_mut());
        self.held.release(passed);
        self.next = next;
    }

    /// Cuts the headers of the waiting frame.
    fn cut(&mut self) {
        let limit = self.scanner.limit();
        match self.held.edit(|held| oversized::cut(held, limit)) {
            Ok(Cut::Needs(count)) => self.next = ScanResult::Needs(count),
            Ok(Cut::Done { left_out }) => {
                self.left_out = left_out;
                self.scanner.left_out();
                self.scan_held();
            }
            Err(fault) => self.next = ScanResult::Fault(fault),
        }
    }

    /// Waits until the waiting message fits the budget, or lapin needs a heartbeat. Without heartbeats, lapin would
    /// count this stream as lost, because it is not read meanwhile.
    fn wait(&mut self, source: &mut impl ByteSource, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.handle.account().wait(cx.waker());
        self.scan_held();
        if self.next != ScanResult::Waits || self.held.is_ready() {
            self.handle.stall(false);
            return Poll::Ready(Ok(()));
        }
        self.handle.stall(true);
        let heartbeat = Duration::from_secs(self.scanner.negotiated().heartbeat.into()) / 2;
        let due = (!heartbeat.is_zero()).then(|| self.last + heartbeat);
        ready!(source.rest(cx, due))?;
        self.sign = SIGN_OF_LIFE.len();
        Poll::Ready(Ok(()))
    }

    fn hand_on_sign(&mut self, out: &mut [u8]) -> usize {
        let rest = &SIGN_OF_LIFE[SIGN_OF_LIFE.len() - self.sign..];
        let count = rest.len().min(out.len());
        out[..count].copy_from_slice(&rest[..count]);
        self.sign -= count;
        count
    }
}

impl Drop for StreamReader {
    fn drop(&mut self) {
        self.handle.close();
    }
}

#[cfg(test)]
mod tests;
