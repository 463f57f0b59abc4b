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
        let step = &STEPS[usize::from(*value)];
        let (adds, goes_on) = step.behind[last as usize];
        length = (length + usize::from(adds)) * usize::from(goes_on);
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

/// A byte in a row.
#[derive(Debug, Clone, Copy)]
struct Step {
    /// What it is for the bytes behind it.
    place: Place,
    /// How many characters it adds, and whether the row goes on (1) or ends (0), by the place of the byte before.
    behind: [(u8, u8); 3],
}

const STEPS: [Step; 256] = {
    let mut steps = [step(0); 256];
    let mut byte: u8 = 0;
    while byte < u8::MAX {
        byte += 1;
        steps[byte as usize] = step(byte);
    }
    steps
};

const fn step(byte: u8) -> Step {
    const ENDS: (u8, u8) = (0, 0);
    const GOES_ON: (u8, u8) = (0, 1);
    match byte {
        b' '..=b'~' => Step { place: Place::Other, behind: [(1, 1); 3] },
        // Invisible.
        0 => Step { place: Place::Other, behind: [GOES_ON; 3] },
        1..0x80 => Step { place: Place::Other, behind: [ENDS; 3] },
        0x80..0xc0 => {
            // In Latin-1, 0xad is invisible.
            let alone = if byte == 0xad { GOES_ON } else { ENDS };
            Step { place: Place::InCharacter, behind: [alone, GOES_ON, (MOST_OF_ONE, 1)] }
        }
        // `ß` in Latin-1.
        0xdf => Step { place: Place::InCharacter, behind: [(2, 1); 3] },
        0xc2..=0xc5 | 0xc7 | 0xcd | 0xe1 | 0xe2 | 0xef => {
            Step { place: Place::BeginsAscii, behind: [GOES_ON; 3] }
        }
        _ => Step { place: Place::InCharacter, behind: [ENDS; 3] },
    }
}

/// The most ASCII characters that another one becomes in the other case: `ﬃ`.
const MOST_OF_ONE: u8 = 3;

/// The most that one byte becomes: `ß` in Latin-1.
pub(super) const MOST_OF_A_BYTE: usize = 2;
