//! Decodes a text from base64, hex, and lists of numbers.
//!
//! The result may be encoded again, so it is searched for the encoded forms of a secret as well. Two nested
//! encodings are found; three are not.

use super::{
    Glyph,
    bytes::{Byte, characters},
};

/// Every text that this one may encode. The start of an encoding is unknown, so each position in a group of
/// characters is tried.
pub(super) fn all(text: &[Glyph]) -> impl Iterator<Item = Vec<Glyph>> + use<> {
    let sextets = digits(text, sextet);
    let nibbles = digits(text, |c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()));
    let mut rows: Vec<Vec<Byte>> = (0..4).map(|begins| base64(&sextets, begins)).collect();
    for begins in 0..2 {
        let bytes = hex(&nibbles, begins);
        // Dumps of 16-bit words show the second byte first.
        rows.extend((0..2).map(|begins| swapped(&bytes, begins)));
        rows.push(bytes);
    }
    rows.extend([2, 8, 10].map(|radix| numbers(text, radix)));
    rows.into_iter().map(|row| {
        let mut decoded = Vec::with_capacity(row.len());
        characters(&row, &mut decoded);
        decoded
    })
}

/// Whether the text has `shortest` printable ASCII characters in a row. Decoded prose mostly has not, and then
/// needs no search. RFC 6749 allows only such characters in secrets.
pub(super) fn may_be_text(decoded: &[Glyph], shortest: usize) -> bool {
    let seen = decoded.split(|glyph| !matches!(glyph.c, ' '..='~')).map(<[_]>::len).max();
    seen.is_some_and(|longest| longest >= shortest)
}

/// The value and position of each character that is a digit of the encoding; others are skipped.
fn digits(text: &[Glyph], digit_of: impl Fn(char) -> Option<u8>) -> Vec<Byte> {
    let digit =
        |glyph: &Glyph| Some(Byte { value: digit_of(glyph.c)?, from: glyph.from, to: glyph.to });
    text.iter().filter_map(digit).collect()
}

/// The value of a digit of base64, of either alphabet.
fn sextet(c: char) -> Option<u8> {
    let byte = u8::try_from(c).ok()?;
    Some(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    })
}

fn base64(sextets: &[Byte], begins: usize) -> Vec<Byte> {
    let groups = sextets.get(begins..).unwrap_or_default().chunks(4);
    groups
        .flat_map(|group| {
            group.windows(2).enumerate().map(|(nth, pair)| {
                let shift = 2 * (nth + 1);
                let value = pair[0].value << shift | pair[1].value >> (6 - shift);
                Byte { value, from: pair[0].from, to: pair[1].to }
            })
        })
        .collect()
}

fn hex(nibbles: &[Byte], begins: usize) -> Vec<Byte> {
    let pairs = nibbles.get(begins..).unwrap_or_default().chunks_exact(2);
    pairs
        .map(|pair| Byte {
            value: pair[0].value << 4 | pair[1].value,
            from: pair[0].from,
            to: pair[1].to,
        })
        .collect()
}

/// Each two bytes in the other order. Both keep the position of the pair.
fn swapped(bytes: &[Byte], begins: usize) -> Vec<Byte> {
    let pairs = bytes.get(begins..).unwrap_or_default().chunks_exact(2);
    pairs
        .flat_map(|pair| {
            let (from, to) = (pair[0].from, pair[1].to);
            [pair[1].value, pair[0].value].map(|value| Byte { value, from, to })
        })
        .collect()
}

/// The numbers of a text that are bytes in this radix. Words between them are skipped.
fn numbers(text: &[Glyph], radix: u32) -> Vec<Byte> {
    let words = text.split(|glyph| !glyph.c.is_ascii_alphanumeric());
    let number = |word: &[Glyph]| {
        let number = word.iter().try_fold(0_u32, |high, glyph| {
            high.checked_mul(radix)?.checked_add(glyph.c.to_digit(radix)?)
        })?;
        let (first, last) = (word.first()?, word.last()?);
        Some(Byte { value: u8::try_from(number).ok()?, from: first.from, to: last.to })
    };
    words.filter_map(number).collect()
}
