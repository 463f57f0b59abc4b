//! Decodes a text from base64, hex, and lists of numbers.
//!
//! The result may be encoded again, so it is searched for the encoded forms of a secret as well. Two nested
//! encodings are found; three are not.

mod becoming_text;

use becoming_text::{MOST_OF_A_BYTE, becomes_text};

use super::{
    Glyph,
    bytes::{Byte, characters},
    fold,
};

/// Every text that this one may encode, if it can hold a run of `shortest` characters.
pub(in crate::domain::redact) fn all(text: &[Glyph], shortest: usize) -> Vec<Vec<Glyph>> {
    let mut texts = Texts { shortest, values: Vec::new(), found: Vec::new() };
    decode(text, &mut texts);
    texts.found
}

/// Whether every text that this ASCII text may encode, as found by [`all`], is harmless. It costs less than the search.
/// `is_harmless` gets the characters of each in one case.
pub(in crate::domain::redact) fn are_harmless(
    text: &[u8],
    shortest: usize,
    is_harmless: impl Fn(&[char]) -> bool,
) -> bool {
    let mut check = Check { shortest, values: Vec::new(), is_harmless, so_far: true };
    decode(text, &mut check);
    check.so_far
}

/// A decoded byte, and the characters that encode it.
#[derive(Debug, Clone, Copy)]
struct Decoded<G> {
    value: u8,
    first: G,
    last: G,
}

/// Takes the rows of bytes that a text may encode.
trait Rows<G> {
    /// Only texts with this many printable ASCII characters in a row are wanted.
    fn shortest(&self) -> usize;

    fn add(&mut self, row: impl Iterator<Item = Decoded<G>> + Clone);
}

/// Decodes a text in every way. The start of an encoding is unknown, so each position in a group of characters is tried.
fn decode<G: Copy + Into<char>>(text: &[G], rows: &mut impl Rows<G>) {
    let mut digits = Vec::with_capacity(text.len());
    digits.extend(digits_of(text, sextet));
    for begins in 0..4 {
        rows.add(base64(&digits, begins));
    }
    digits.clear();
    digits.extend(digits_of(text, nibble));
    for begins in 0..2 {
        let bytes = || hex(&digits, begins);
        rows.add(bytes());
        // Dumps of 16-bit words show the second byte first.
        for begins in 0..2 {
            rows.add(swapped(bytes().skip(begins)));
        }
    }
    if count_numbers(text) * MOST_OF_A_BYTE >= rows.shortest() {
        for radix in [2, 8, 10] {
            rows.add(numbers(text, radix));
        }
    }
}

/// The rows of bytes that are texts.
struct Texts {
    shortest: usize,
    found: Vec<Vec<Glyph>>,
    /// The bytes of a row. Most rows of an id are no text, and need no memory of their own.
    values: Vec<u8>,
}

impl Rows<Glyph> for Texts {
    fn shortest(&self) -> usize {
        self.shortest
    }

    fn add(&mut self, row: impl Iterator<Item = Decoded<Glyph>> + Clone) {
        if becomes_text(row.clone().map(|byte| byte.value), self.shortest, &mut self.values) {
            self.found.push(text_of(row.map(placed)));
        }
    }
}

/// A byte with its place in the text.
const fn placed(byte: Decoded<Glyph>) -> Byte {
    Byte { value: byte.value, from: byte.first.from, to: byte.last.to }
}

fn text_of(row: impl Iterator<Item = Byte>) -> Vec<Glyph> {
    let row: Vec<Byte> = row.collect();
    let mut text = Vec::with_capacity(row.len());
    characters(&row, &mut text);
    text
}

/// Whether each row that is a text is harmless.
struct Check<F> {
    shortest: usize,
    values: Vec<u8>,
    is_harmless: F,
    so_far: bool,
}

impl<F: Fn(&[char]) -> bool> Rows<u8> for Check<F> {
    fn shortest(&self) -> usize {
        self.shortest
    }

    fn add(&mut self, row: impl Iterator<Item = Decoded<u8>> + Clone) {
        if !self.so_far {
            return;
        }
        if becomes_text(row.map(|byte| byte.value), self.shortest, &mut self.values) {
            // Only the search needs the places.
            let row = self.values.iter().map(|value| Byte { value: *value, from: 0, to: 0 });
            let text: Vec<char> = fold(&text_of(row)).iter().map(|glyph| glyph.c).collect();
            self.so_far = (self.is_harmless)(&text);
        }
    }
}

/// Whether the text has `shortest` printable ASCII characters in a row. Decoded prose mostly has not, and then
/// needs no search. RFC 6749 allows only such characters in secrets.
pub(super) fn may_be_text(decoded: &[Glyph], shortest: usize) -> bool {
    let seen = decoded.split(|glyph| !matches!(glyph.c, ' '..='~')).map(<[_]>::len).max();
    seen.is_some_and(|longest| longest >= shortest)
}

/// The value of each character that is a digit of the encoding; others are skipped.
fn digits_of<G: Copy + Into<char>>(
    text: &[G],
    digit: impl Fn(char) -> Option<u8>,
) -> impl Iterator<Item = (u8, G)> {
    text.iter().filter_map(move |c| Some((digit((*c).into())?, *c)))
}

/// The value of a digit of hex.
fn nibble(c: char) -> Option<u8> {
    c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// The value of a digit of base64, of either alphabet.
fn sextet(c: char) -> Option<u8> {
    let sextet = *SEXTETS.get(c as usize)?;
    (sextet < 64).then_some(sextet)
}

/// The sextet of each ASCII character that is one.
const SEXTETS: [u8; 128] = {
    let mut sextets = [u8::MAX; 128];
    let mut byte: u8 = 0;
    while byte < 128 {
        sextets[byte as usize] = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => u8::MAX,
        };
        byte += 1;
    }
    sextets
};

fn base64<G: Copy>(sextets: &[(u8, G)], begins: usize) -> impl Iterator<Item = Decoded<G>> + Clone {
    let pairs = sextets.get(begins..).unwrap_or_default().windows(2).enumerate();
    // A group of four digits encodes three bytes.
    pairs.filter(|(nth, _)| nth % 4 != 3).map(|(nth, pair)| {
        let ((high, first), (low, last)) = (pair[0], pair[1]);
        let shift = 2 * (nth % 4 + 1);
        Decoded { value: high << shift | low >> (6 - shift), first, last }
    })
}

fn hex<G: Copy>(nibbles: &[(u8, G)], begins: usize) -> impl Iterator<Item = Decoded<G>> + Clone {
    let pairs = nibbles.get(begins..).unwrap_or_default().chunks_exact(2);
    pairs.map(|pair| {
        let ((high, first), (low, last)) = (pair[0], pair[1]);
        Decoded { value: high << 4 | low, first, last }
    })
}

/// Each two bytes in the other order. Both keep the position of the pair.
fn swapped<G: Copy>(
    bytes: impl Iterator<Item = Decoded<G>> + Clone,
) -> impl Iterator<Item = Decoded<G>> + Clone {
    let seconds = bytes.clone().skip(1).step_by(2);
    bytes.step_by(2).zip(seconds).flat_map(|(one, other)| {
        let (first, last) = (one.first, other.last);
        [other.value, one.value].map(|value| Decoded { value, first, last })
    })
}

/// The words of a text, between other characters than letters and digits.
fn words<G: Copy + Into<char>>(text: &[G]) -> impl Iterator<Item = &[G]> + Clone {
    text.split(|c| !Into::<char>::into(*c).is_ascii_alphanumeric())
}

/// How many words of a text are numbers. Most ids have none or one, and are no lists of bytes.
fn count_numbers<G: Copy + Into<char>>(text: &[G]) -> usize {
    let is_digit = |c: &G| Into::<char>::into(*c).is_ascii_digit();
    words(text).filter(|word| !word.is_empty() && word.iter().all(is_digit)).count()
}

/// The numbers of a text that are bytes in this radix. Other words are skipped.
fn numbers<G: Copy + Into<char>>(
    text: &[G],
    radix: u32,
) -> impl Iterator<Item = Decoded<G>> + Clone {
    let number = move |word: &[G]| {
        let number = word.iter().try_fold(0_u32, |high, c| {
            high.checked_mul(radix)?.checked_add(Into::<char>::into(*c).to_digit(radix)?)
        })?;
        let (first, last) = (*word.first()?, *word.last()?);
        Some(Decoded { value: u8::try_from(number).ok()?, first, last })
    };
    words(text).filter_map(number)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use proptest::prelude::*;

    use super::*;
    use crate::domain::redact::reading::plain_glyphs;

    fn is_kept(values: &[u8], shortest: usize) -> bool {
        becomes_text(values.iter().copied(), shortest, &mut Vec::new())
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
    fn most_bytes_of_an_id_are_no_text() {
        let bytes = [0x0a, 0xf7, 0x65, 0x19, 0x16, 0xcd, 0x43, 0xdd, 0x84, 0x48, 0xeb, 0x21];
        assert!(!is_kept(&bytes, 6));
        assert!(is_kept(&bytes, 1));
    }
}
