//! A place in a payload.

use std::ops::Range;

use super::{Malformed, Mended};

/// Stands for a byte that is no text.
const NO_TEXT: u8 = b'?';

/// A place in a payload, and what was mended before it.
#[derive(Debug)]
pub struct Cursor<'a> {
    pub(super) bytes: &'a mut [u8],
    /// Never behind the end of the bytes.
    pub(super) at: usize,
    pub(super) mended: Mended,
}

impl<'a> Cursor<'a> {
    /// The beginning of a payload.
    pub const fn new(bytes: &'a mut [u8]) -> Self {
        Self { bytes, at: 0, mended: Mended { text: false, nesting: false, size: false } }
    }

    /// Passes over so many bytes.
    pub fn skip(&mut self, count: usize) -> Result<Range<usize>, Malformed> {
        self.passed(self.bytes.len(), count).ok_or(Malformed::Short)
    }

    /// Reads a number of 16 bits.
    pub fn u16(&mut self) -> Result<u16, Malformed> {
        self.within(self.bytes.len()).map(u16::from_be_bytes).ok_or(Malformed::Short)
    }

    /// Reads a length of 32 bits.
    pub fn u32(&mut self) -> Result<usize, Malformed> {
        self.length(self.bytes.len()).ok_or(Malformed::Short)
    }

    /// Passes over a short string, and mends it.
    pub fn short_string(&mut self) -> Result<(), Malformed> {
        let [length] = self.within(self.bytes.len()).ok_or(Malformed::Short)?;
        let text = self.skip(length.into())?;
        self.text(text);
        Ok(())
    }

    /// What was mended, if this is the end of the payload.
    pub const fn end(self) -> Result<Mended, Malformed> {
        if self.at == self.bytes.len() { Ok(self.mended) } else { Err(Malformed::Long) }
    }

    /// Passes over so many bytes, if they end before `end`; where they are.
    pub(super) fn passed(&mut self, end: usize, count: usize) -> Option<Range<usize>> {
        let begin = self.at;
        (count <= end - begin).then(|| {
            self.at += count;
            begin..self.at
        })
    }

    /// Reads `N` bytes, if they end before `end`.
    pub(super) fn within<const N: usize>(&mut self, end: usize) -> Option<[u8; N]> {
        let bytes = self.bytes[self.at..end].first_chunk().copied()?;
        self.at += N;
        Some(bytes)
    }

    /// Reads a length of 32 bits, if it ends before `end`.
    pub(super) fn length(&mut self, end: usize) -> Option<usize> {
        self.within(end)
            .map(|length| usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX))
    }

    /// Mends a text.
    pub(super) fn text(&mut self, place: Range<usize>) {
        self.mended.text |= mend_text(&mut self.bytes[place]);
    }
}

/// Replaces each byte that is no part of UTF-8; whether there was any.
fn mend_text(text: &mut [u8]) -> bool {
    let mut mended = false;
    let mut rest = text;
    while let Err(error) = std::str::from_utf8(rest) {
        let begin = error.valid_up_to();
        let end = error.error_len().map_or(rest.len(), |length| begin + length);
        rest[begin..end].fill(NO_TEXT);
        rest = &mut rest[end..];
        mended = true;
    }
    mended
}
