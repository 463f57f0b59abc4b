//! Whether decoded bytes become a text that may hold a part of a secret. Most rows of an id do not, and need no search.

use crate::domain::redact::reading::{bytes::each_character, is_invisible, other_case};

/// Whether [`may_be_text`](super::may_be_text) is true of these bytes, once they are characters in one case. "No" is certain.
pub(super) fn becomes_text(row: &[u8], shortest: usize) -> bool {
    // A bound excludes most rows; only the others are read.
    row.len() * MOST_OF_A_BYTE >= shortest
        && most_in_a_row(row) >= shortest
        && may_become_text(row, shortest)
}

/// The same for a row that the bound does not exclude.
fn may_become_text(row: &[u8], shortest: usize) -> bool {
    let (mut longest, mut length) = (0, 0);
    let mut add = |c: char| {
        match c {
            ' '..='~' => length += 1,
            _ if is_invisible(c) => {}
            // The only letter of Latin-1 that is ASCII in the other case.
            'ß' => length += 2,
            '\0'..='\u{ff}' => length = 0,
            _ => {
                for c in other_case(c) {
                    length = if matches!(c, ' '..='~') { length + 1 } else { 0 };
                    longest = longest.max(length);
                }
            }
        }
        longest = longest.max(length);
    };
    each_character(row, |c, _| add(c));
    longest >= shortest
}

/// An upper bound of the printable ASCII characters in a row that these bytes become, without reading them as UTF-8.
///
/// The bytes are nearly random. So each step looks up what to do, because a processor would guess every third branch
/// wrongly.
fn most_in_a_row(row: &[u8]) -> usize {
    let (mut longest, mut length, mut last) = (0, 0, Place::Other);
    for value in row {
        let step = &STEPS[usize::from(*value)][last as usize];
        length = (length + usize::from(step.adds)) * usize::from(step.goes_on);
        longest = longest.max(length);
        last = step.place;
    }
    longest
}

/// What a byte is for the bytes behind it.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// It begins no character.
    Other,
    /// It may begin a character, or continue one.
    InCharacter,
    /// It may begin a character that is ASCII in the other case, or that is invisible.
    BeginsAscii,
}

/// What a byte does to a row. With a size of four bytes, one load reads all of it.
#[derive(Debug, Clone, Copy)]
#[repr(align(4))]
struct Step {
    /// How many characters it adds.
    adds: u8,
    /// Whether the row goes on (1) or ends (0).
    goes_on: u8,
    /// What the byte is for the bytes behind it.
    place: Place,
}

/// The steps of each byte, by the place of the byte before.
static STEPS: [[Step; 3]; 256] = {
    let mut all = [steps(0); 256];
    let mut byte: u8 = 0;
    while byte < u8::MAX {
        byte += 1;
        all[byte as usize] = steps(byte);
    }
    all
};

const fn steps(byte: u8) -> [Step; 3] {
    [step(Place::Other, byte), step(Place::InCharacter, byte), step(Place::BeginsAscii, byte)]
}

const fn step(before: Place, byte: u8) -> Step {
    let place = match byte {
        0..0x80 => Place::Other,
        0xc2..=0xc5 | 0xc7 | 0xcd | 0xe1 | 0xe2 | 0xef => Place::BeginsAscii,
        _ => Place::InCharacter,
    };
    let (adds, goes_on) = match (byte, before) {
        (b' '..=b'~', _) => (1, 1),
        // `ß` in Latin-1.
        (0xdf, _) => (2, 1),
        (0x80..0xc0, Place::BeginsAscii) => (MOST_OF_ONE, 1),
        // NUL, and 0xad in Latin-1, are invisible.
        (0 | 0xad, _) | (0x80..0xc0, Place::InCharacter) => (0, 1),
        _ if matches!(place, Place::BeginsAscii) => (0, 1),
        _ => (0, 0),
    };
    Step { adds, goes_on, place }
}

/// The most ASCII characters that another one becomes in the other case: `ﬃ`.
const MOST_OF_ONE: u8 = 3;

/// The most that one byte becomes: `ß` in Latin-1.
pub(super) const MOST_OF_A_BYTE: usize = 2;
