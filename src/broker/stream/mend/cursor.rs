//! A position in a payload.

use std::ops::Range;

use super::{Malformed, Mended};

/// Replaces a byte that is not text.
const NO_TEXT: u8 = b'?';

/// A position in a payload, and the repairs before it. Without `Debug`, which would print the payload.
pub(super) struct Cursor<'a> {
    pub(super) bytes: &'a mut [u8],
    /// At most the length.
    pub(super) at: usize,
    pub(super) mended: Mended,
}

impl<'a> Cursor<'a> {
    /// The start of a payload.
    pub(super) const fn new(bytes: &'a mut [u8], mended: Mended) -> Self {
        Self { bytes, at: 0, mended }
    }

    pub(super) fn skip(&mut self, count: usize) -> Result<Range<usize>, Malformed> {
        self.passed(self.bytes.len(), count).ok_or(Malformed::Short)
    }

    pub(super) fn u16(&mut self) -> Result<u16, Malformed> {
        self.within(self.bytes.len()).map(u16::from_be_bytes).ok_or(Malformed::Short)
    }

    /// Reads a length of 32 bits.
    pub(super) fn u32(&mut self) -> Result<usize, Malformed> {
        self.length(self.bytes.len()).ok_or(Malformed::Short)
    }

    /// Skips a short string and repairs it.
    pub(super) fn short_string(&mut self) -> Result<(), Malformed> {
        let [length] = self.within(self.bytes.len()).ok_or(Malformed::Short)?;
        let text = self.skip(length.into())?;
        self.text(text);
        Ok(())
    }

    /// Returns the repairs if this is the end of the payload.
    pub(super) const fn end(self) -> Result<Mended, Malformed> {
        if self.at == self.bytes.len() { Ok(self.mended) } else { Err(Malformed::Long) }
    }

    /// Skips `count` bytes if they end before `end`. Returns their range.
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

    pub(super) fn text(&mut self, place: Range<usize>) {
        self.mended.text |= mend_text(&mut self.bytes[place]);
    }
}

/// Replaces each byte that is not UTF-8. Returns whether there was one.
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
