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
    let mut push = |c: char, count: usize| {
        let (own, behind) = rest.split_at(count);
        if let (Some(first), Some(last)) = (own.first(), own.last()) {
            characters.push(Glyph { c, from: first.from, to: last.to });
        }
        rest = behind;
    };
    for chunk in raw.utf8_chunks() {
        chunk.valid().chars().for_each(|c| push(c, c.len_utf8()));
        chunk.invalid().iter().for_each(|byte| push(char::from(*byte), 1));
    }
}
