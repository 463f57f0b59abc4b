//! Turns the bytes that a text encodes into characters.

use super::Glyph;

/// One byte, and the bytes of the text that it stands for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Byte {
    pub(super) value: u8,
    pub(super) from: usize,
    pub(super) to: usize,
}

/// Reads bytes as UTF-8. Bytes that are no UTF-8 are most likely Latin-1.
pub(super) fn characters(row: &[Byte], characters: &mut Vec<Glyph>) {
    let raw: Vec<u8> = row.iter().map(|byte| byte.value).collect();
    let mut rest = row;
    each_character(&raw, |c, count| {
        let (own, behind) = rest.split_at(count);
        if let (Some(first), Some(last)) = (own.first(), own.last()) {
            characters.push(Glyph { c, from: first.from, to: last.to });
        }
        rest = behind;
    });
}

/// Calls `tell` with each of these characters, and with the count of its bytes.
pub(super) fn each_character(row: &[u8], mut tell: impl FnMut(char, usize)) {
    for chunk in row.utf8_chunks() {
        chunk.valid().chars().for_each(|c| tell(c, c.len_utf8()));
        chunk.invalid().iter().for_each(|byte| tell(char::from(*byte), 1));
    }
}
