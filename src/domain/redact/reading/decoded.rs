//! Decodes a text from base64, hex, and lists of numbers.
//!
//! The result may be encoded again, so it is searched for the encoded forms of a secret as well. Two nested
//! encodings are found; three are not.

mod becoming_text;
mod digits;

use std::ops::ControlFlow;

use becoming_text::{MOST_OF_A_BYTE, becomes_text};
use digits::{NIBBLES, SEXTETS, Table, base64, digits_of, hex, positions};

use super::{
    Glyph,
    bytes::{Byte, characters, each_character},
    fold_one,
};

/// Every text that this one may encode, if it can hold a run of `shortest` characters.
pub(in crate::domain::redact) fn all(text: &[Glyph], shortest: usize) -> Vec<Vec<Glyph>> {
    let mut found = Vec::new();
    // No encoding has characters beyond ASCII.
    let ascii: Vec<u8> =
        text.iter().map(|glyph| u8::try_from(glyph.c).unwrap_or(u8::MAX)).collect();
    let _: ControlFlow<()> = decode(&ascii, shortest, &mut |row, places| {
        let row = row.iter().zip(places()).map(|(value, (first, last))| Byte {
            value: *value,
            from: text[first].from,
            to: text[last].to,
        });
        let row: Vec<Byte> = row.collect();
        let mut decoded = Vec::with_capacity(row.len());
        characters(&row, &mut decoded);
        found.push(decoded);
        ControlFlow::Continue(())
    });
    found
}

/// Whether every text that this ASCII text may encode, as found by [`all`], is harmless. It costs less than the search,
/// because only the search needs the places. `is_harmless` gets the characters of each in one case.
pub(in crate::domain::redact) fn are_harmless(
    text: &[u8],
    shortest: usize,
    is_harmless: impl Fn(&[char]) -> bool,
) -> bool {
    let decoded = decode(text, shortest, &mut |row, _| {
        let mut decoded = Vec::with_capacity(row.len());
        each_character(row, |c, _| fold_one(c, |c| decoded.push(c)));
        if is_harmless(&decoded) { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    decoded.is_continue()
}

/// The indexes of the first and the last character that encode a byte.
type Place = (usize, usize);

/// A longer text needs memory of its own to be decoded. Ids are shorter.
const SHORT: usize = 128;

/// Decodes a text in every way. The start of an encoding is unknown, so each position in a group of characters is tried.
/// Calls `found` with each row of bytes that becomes a text, and with what gives their places.
fn decode(
    text: &[u8],
    shortest: usize,
    found: &mut impl FnMut(&[u8], &dyn Fn() -> Vec<Place>) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let mut short = [0; 2 * SHORT];
    let mut long = Vec::new();
    let memory = if text.len() <= SHORT {
        &mut short[..2 * text.len()]
    } else {
        long.resize(2 * text.len(), 0);
        &mut long[..]
    };
    let (digits, row) = memory.split_at_mut(text.len());
    let mut add = |row: &[u8], places: &dyn Fn() -> Vec<Place>| {
        if becomes_text(row, shortest) { found(row, places) } else { ControlFlow::Continue(()) }
    };

    let sextets = digits_of(text, &SEXTETS, digits);
    for begins in 0..4 {
        let row = base64(behind(sextets, begins), row);
        // A group of four digits encodes three bytes.
        let first = |byte: usize| begins + byte / 3 * 4 + byte % 3;
        add(row, &|| places(text, &SEXTETS, row.len(), |byte| (first(byte), first(byte) + 1)))?;
    }
    let nibbles = digits_of(text, &NIBBLES, digits);
    for begins in 0..2 {
        let bytes = hex(behind(nibbles, begins), row);
        let first = |byte: usize| begins + byte * 2;
        add(bytes, &|| places(text, &NIBBLES, bytes.len(), |byte| (first(byte), first(byte) + 1)))?;
        // Dumps of 16-bit words show the second byte first. Both bytes get the place of the whole word.
        for begins in [begins, begins + 2] {
            let words = swapped(hex(behind(nibbles, begins), row));
            let first = |byte: usize| begins + byte / 2 * 4;
            add(words, &|| {
                places(text, &NIBBLES, words.len(), |byte| (first(byte), first(byte) + 3))
            })?;
        }
    }
    if count_numbers(text) * MOST_OF_A_BYTE >= shortest {
        for radix in [2, 8, 10] {
            let mut count = 0;
            for (place, (value, _)) in row.iter_mut().zip(numbers(text, radix)) {
                *place = value;
                count += 1;
            }
            add(&row[..count], &|| numbers(text, radix).map(|(_, place)| place).collect())?;
        }
    }
    ControlFlow::Continue(())
}

fn behind(digits: &[u8], begins: usize) -> &[u8] {
    digits.get(begins..).unwrap_or_default()
}

/// The place of each byte of a row, by the first and the last digit that encode the byte.
fn places(
    text: &[u8],
    table: &Table,
    bytes: usize,
    digits: impl Fn(usize) -> (usize, usize),
) -> Vec<Place> {
    let positions = positions(text, table);
    let place = |byte| {
        let (first, last) = digits(byte);
        (positions[first], positions[last])
    };
    (0..bytes).map(place).collect()
}

/// Whether the text has `shortest` printable ASCII characters in a row. Decoded prose mostly has not, and then
/// needs no search. RFC 6749 allows only such characters in secrets.
pub(super) fn may_be_text(decoded: &[Glyph], shortest: usize) -> bool {
    let seen = decoded.split(|glyph| !matches!(glyph.c, ' '..='~')).map(<[_]>::len).max();
    seen.is_some_and(|longest| longest >= shortest)
}

/// Each two bytes in the other order.
fn swapped(bytes: &mut [u8]) -> &[u8] {
    let whole = bytes.len() / 2 * 2;
    let words = &mut bytes[..whole];
    words.chunks_exact_mut(2).for_each(<[u8]>::reverse);
    words
}

/// The words of a text with their indexes, between other characters than letters and digits.
fn words(text: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut next = 0;
    text.split(|c| !c.is_ascii_alphanumeric()).map(move |word| {
        let begins = next;
        next += word.len() + 1;
        (begins, word)
    })
}

/// How many words of a text are numbers. Most ids have none or one, and are no lists of bytes.
fn count_numbers(text: &[u8]) -> usize {
    words(text).filter(|(_, word)| !word.is_empty() && word.iter().all(u8::is_ascii_digit)).count()
}

/// The numbers of a text that are bytes in this radix, with their places. Other words are skipped.
fn numbers(text: &[u8], radix: u32) -> impl Iterator<Item = (u8, Place)> {
    words(text).filter_map(move |(begins, word)| {
        let number = word.iter().try_fold(0_u32, |high, c| {
            high.checked_mul(radix)?.checked_add(char::from(*c).to_digit(radix)?)
        })?;
        let last = begins + word.len().checked_sub(1)?;
        Some((u8::try_from(number).ok()?, (begins, last)))
    })
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use proptest::prelude::*;

    use super::*;
    use crate::domain::redact::reading::{fold, plain_glyphs};

    fn is_kept(values: &[u8], shortest: usize) -> bool {
        becomes_text(values, shortest)
    }

    fn is_text(values: &[u8], shortest: usize) -> bool {
        let row: Vec<Byte> =
            values.iter().map(|value| Byte { value: *value, from: 0, to: 0 }).collect();
        let mut decoded = Vec::new();
        characters(&row, &mut decoded);
        may_be_text(&fold(&decoded), shortest)
    }

    proptest! {
        /// A check that excludes too much would let an encoded secret pass.
        #[test]
        fn bytes_that_become_text_are_not_excluded(
            texts in prop::collection::vec(
                prop_oneof![
                    any::<u8>().prop_map(|byte| vec![byte]),
                    "[ -~]{1,3}".prop_map(String::into_bytes),
                    "[ſKßﬀ-ﬆİǰ\u{ad}\u{200b}\0é]".prop_map(String::into_bytes),
                    any::<char>().prop_map(|c| c.to_string().into_bytes()),
                ],
                0..16,
            ),
            shortest in 1_usize..8,
        ) {
            let values = texts.concat();
            if is_text(&values, shortest) {
                prop_assert!(is_kept(&values, shortest), "{values:x?}");
            }
        }
    }

    proptest! {
        /// Ids are checked without places first.
        #[test]
        fn each_text_that_is_decoded_is_seen(
            text in "[0-9a-zA-Z_.:-]{0,48}|([0-9]{2,3}[.:-]){6,9}",
            shortest in 1_usize..8,
        ) {
            let seen = RefCell::new(Vec::new());
            let chars = |glyphs: &[Glyph]| -> String { glyphs.iter().map(|glyph| glyph.c).collect() };
            let all_are = are_harmless(text.as_bytes(), shortest, |decoded| {
                seen.borrow_mut().push(String::from_iter(decoded));
                true
            });
            prop_assert!(all_are);
            let found = all(&plain_glyphs(&text), shortest);
            let found: Vec<String> = found.iter().map(|glyphs| chars(&fold(glyphs))).collect();
            prop_assert_eq!(seen.into_inner(), found);
        }
    }

    /// Each character that is ASCII in the other case, or in Latin-1.
    #[test]
    fn no_character_that_becomes_ascii_is_excluded() {
        for c in '\0'..=char::MAX {
            let text = c.to_string();
            if is_text(text.as_bytes(), 1) {
                assert!(is_kept(text.as_bytes(), 1), "{c:?}");
            }
        }
        for byte in 0..=u8::MAX {
            if is_text(&[byte], 1) {
                assert!(is_kept(&[byte], 1), "{byte:x}");
            }
        }
    }

    #[test]
    fn words_of_16_bits_are_read_in_the_other_order() {
        assert_eq!(swapped(&mut [1, 2, 3, 4]), [2, 1, 4, 3]);
        assert_eq!(swapped(&mut [1, 2, 3]), [2, 1], "half a word is left out");
    }

    #[test]
    fn most_bytes_of_an_id_are_no_text() {
        let bytes = [0x0a, 0xf7, 0x65, 0x19, 0x16, 0xcd, 0x43, 0xdd, 0x84, 0x48, 0xeb, 0x21];
        assert!(!is_kept(&bytes, 6));
        assert!(is_kept(&bytes, 1));
    }
}
