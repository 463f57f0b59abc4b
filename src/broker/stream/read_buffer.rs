//! Bytes that were read and not passed on yet.

/// The capacity that is kept; more is released once the buffer is empty.
const KEPT: usize = 64 * 1024;

/// A queue of bytes: first the bytes that may pass, then the bytes that wait for more. Without `Debug`, which would print
/// tokens.
#[derive(Default)]
pub(super) struct ReadBuffer {
    bytes: Vec<u8>,
    /// The end of the passed bytes.
    begin: usize,
    /// The end of the bytes that may pass.
    ready: usize,
}

impl ReadBuffer {
    /// Copies bytes that may pass to `out`. Returns their number.
    pub(super) fn hand_on(&mut self, out: &mut [u8]) -> usize {
        let ready = &self.bytes[self.begin..self.ready];
        let count = ready.len().min(out.len());
        out[..count].copy_from_slice(&ready[..count]);
        self.begin += count;
        if self.begin == self.bytes.len() {
            self.clear();
        }
        count
    }

    pub(super) const fn is_ready(&self) -> bool {
        self.begin < self.ready
    }

    /// The bytes that wait for more.
    pub(super) fn waiting(&self) -> &[u8] {
        &self.bytes[self.ready..]
    }

    /// The same bytes, to be repaired.
    pub(super) fn waiting_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.ready..]
    }

    /// Lets `count` of the waiting bytes pass.
    pub(super) const fn release(&mut self, count: usize) {
        self.ready += count;
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Changes the waiting bytes, also in length. No byte may be ready.
    pub(super) fn edit<T>(&mut self, edit: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        self.bytes.drain(..self.ready);
        (self.begin, self.ready) = (0, 0);
        edit(&mut self.bytes)
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(KEPT);
        (self.begin, self.ready) = (0, 0);
    }
}
