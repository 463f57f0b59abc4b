//! Bytes that were read and not handed on yet.

/// Kept for the next time; what is larger is given back to the system once it is empty.
const KEPT: usize = 64 * 1024;

/// A queue of bytes: first those that may be handed on, then those that wait for more.
#[derive(Debug, Default)]
pub struct ReadBuffer {
    bytes: Vec<u8>,
    /// Handed on already.
    begin: usize,
    /// May be handed on up to here.
    ready: usize,
}

impl ReadBuffer {
    /// Hands on what may be; how many bytes that was.
    pub fn hand_on(&mut self, out: &mut [u8]) -> usize {
        let ready = &self.bytes[self.begin..self.ready];
        let count = ready.len().min(out.len());
        out[..count].copy_from_slice(&ready[..count]);
        self.begin += count;
        if self.begin == self.bytes.len() {
            self.clear();
        }
        count
    }

    /// Whether something may be handed on.
    pub const fn is_ready(&self) -> bool {
        self.begin < self.ready
    }

    /// What waits for more.
    pub fn waiting(&self) -> &[u8] {
        &self.bytes[self.ready..]
    }

    /// The same, to be mended.
    pub fn waiting_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.ready..]
    }

    /// So many bytes of what waits may be handed on.
    pub const fn release(&mut self, count: usize) {
        self.ready += count;
    }

    /// Appends what waits for more.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// What waits for more, to be changed in length. Nothing may be ready.
    pub fn edit<T>(&mut self, edit: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        self.bytes.drain(..self.ready);
        (self.begin, self.ready) = (0, 0);
        edit(&mut self.bytes)
    }

    /// Drops everything.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(KEPT);
        (self.begin, self.ready) = (0, 0);
    }
}
