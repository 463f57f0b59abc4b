//! The digits of base64 and hex, and the bytes that they encode.
//!
//! Decoding is most of the cost of searching an id. So these loops write into slices.

/// The value of each byte that is a digit of an encoding, [`NONE`] for any other byte.
pub(super) type Table = [u8; 256];

/// The value of a byte that is no digit.
const NONE: u8 = u8::MAX;

/// The digits of base64, of either alphabet.
pub(super) static SEXTETS: Table = tables().0;

/// The digits of hex.
pub(super) static NIBBLES: Table = tables().1;

const fn tables() -> (Table, Table) {
    let (mut sextets, mut nibbles) = ([NONE; 256], [NONE; 256]);
    let mut byte: u8 = 0;
    while byte < 128 {
        sextets[byte as usize] = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => NONE,
        };
        nibbles[byte as usize] = match byte {
            b'A'..=b'F' => byte - b'A' + 10,
            b'a'..=b'f' => byte - b'a' + 10,
            b'0'..=b'9' => byte - b'0',
            _ => NONE,
        };
        byte += 1;
    }
    (sextets, nibbles)
}

/// Writes the values of the digits of a text to `digits`, which is as long as the text. Other characters are skipped.
pub(super) fn digits_of<'a>(text: &[u8], table: &Table, digits: &'a mut [u8]) -> &'a [u8] {
    let mut count = 0;
    for c in text {
        let value = table[usize::from(*c)];
        // Without a branch, because an id mixes digits and others.
        digits[count] = value;
        count += usize::from(value != NONE);
    }
    &digits[..count]
}

/// The indexes of these digits in the text.
pub(super) fn positions(text: &[u8], table: &Table) -> Vec<usize> {
    let is_digit = |(_, c): &(usize, &u8)| table[usize::from(**c)] != NONE;
    text.iter().enumerate().filter(is_digit).map(|(at, _)| at).collect()
}

/// Writes the bytes that digits of base64 encode to the beginning of `row`. Bits that make no whole byte are dropped.
pub(super) fn base64<'a>(sextets: &[u8], row: &'a mut [u8]) -> &'a [u8] {
    let bytes = sextets.len() * 3 / 4;
    let row = &mut row[..bytes];
    let groups = sextets.chunks_exact(4);
    let last = groups.remainder();
    let mut threes = row.chunks_exact_mut(3);
    for (three, group) in threes.by_ref().zip(groups) {
        three[0] = group[0] << 2 | group[1] >> 4;
        three[1] = group[1] << 4 | group[2] >> 2;
        three[2] = group[2] << 6 | group[3];
    }
    for (nth, (byte, pair)) in threes.into_remainder().iter_mut().zip(last.windows(2)).enumerate() {
        let shift = 2 * (nth + 1);
        *byte = pair[0] << shift | pair[1] >> (6 - shift);
    }
    row
}

/// Writes the bytes that digits of hex encode to the beginning of `row`.
pub(super) fn hex<'a>(nibbles: &[u8], row: &'a mut [u8]) -> &'a mut [u8] {
    let row = &mut row[..nibbles.len() / 2];
    for (byte, pair) in row.iter_mut().zip(nibbles.chunks_exact(2)) {
        *byte = pair[0] << 4 | pair[1];
    }
    row
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

    use super::*;
    use crate::domain::hex::to_hex;

    #[test]
    fn what_is_encoded_is_decoded() {
        for length in 0..8 {
            let bytes: Vec<u8> = (0..=u8::MAX).rev().step_by(31).take(length).collect();
            let texts = [URL_SAFE_NO_PAD.encode(&bytes), to_hex(&bytes)];
            let [mut digits, mut row] = [[0; 16]; 2];
            assert_eq!(
                base64(digits_of(texts[0].as_bytes(), &SEXTETS, &mut digits), &mut row),
                bytes
            );
            assert_eq!(hex(digits_of(texts[1].as_bytes(), &NIBBLES, &mut digits), &mut row), bytes);
        }
    }

    /// Each byte of base64 needs the digits that hold its bits, wherever the group begins.
    #[test]
    fn a_row_may_begin_at_any_digit() {
        let sextets: Vec<u8> = (0..64).rev().step_by(5).collect();
        let bits: Vec<u8> = sextets
            .iter()
            .flat_map(|sextet| (0..6).rev().map(move |bit| sextet >> bit & 1))
            .collect();
        for begins in 0..4 {
            let mut row = [0; 16];
            let bytes = bits[begins * 6..].chunks_exact(8);
            let naive: Vec<u8> =
                bytes.map(|byte| byte.iter().fold(0, |high, bit| high << 1 | bit)).collect();
            assert_eq!(base64(&sextets[begins..], &mut row), naive, "{begins}");
        }
    }

    #[test]
    fn other_characters_are_skipped() {
        let mut digits = [0; 6];
        assert_eq!(digits_of(b"0.g\xff:F", &NIBBLES, &mut digits), [0, 15]);
        assert_eq!(positions(b"0.g\xff:F", &NIBBLES), [0, 5]);
    }
}
