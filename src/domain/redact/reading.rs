//! A text as its readers see it: without escapes, and whatever the case of its letters.

mod escapes;

use escapes::Family;

/// One character as it is read, and the bytes of the text that it stands for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Glyph {
    pub(super) c: char,
    pub(super) from: usize,
    pub(super) to: usize,
}

/// Escapes within escapes are undone so many times. A secret is read in the same way, so the bound is a
/// bound on work alone.
const MOST_ROUNDS: usize = 8;

/// Escapes of one family or of all of them, undone until none is left.
const FAMILIES: [&[Family]; 4] =
    [&[Family::Percent], &[Family::Backslash], &[Family::Entity], &Family::ALL];

/// A text as it stands, then with escapes undone. Each round is a reading of its own, and so is each family of
/// escapes, for what looks like an escape may be a part of a secret. The last one has none left.
pub(super) fn readings(text: &str) -> Vec<Vec<Glyph>> {
    let glyphs: Vec<Glyph> =
        text.char_indices().map(|(at, c)| Glyph { c, from: at, to: at + c.len_utf8() }).collect();
    let mut readings = vec![fold(&glyphs)];
    if !escapes::may_hold_one(&glyphs) {
        return readings;
    }
    for families in FAMILIES {
        let mut before = glyphs.clone();
        for _ in 0..MOST_ROUNDS {
            let Some(undone) = escapes::undo(&before, families) else { break };
            readings.push(fold(&undone));
            before = undone;
        }
    }
    readings
}

/// The letters and digits of a text whose escapes are undone. Encodings differ in their punctuation and in
/// their line breaks.
pub(super) fn bare(readings: &[Vec<Glyph>]) -> Vec<Glyph> {
    let unescaped = readings.last().into_iter().flatten();
    unescaped.filter(|glyph| glyph.c.is_alphanumeric()).copied().collect()
}

/// All letters in one case, and without characters that nobody sees. By way of the upper case: `ß` becomes
/// `SS` there, and never comes back.
fn fold(glyphs: &[Glyph]) -> Vec<Glyph> {
    let mut folded = Vec::with_capacity(glyphs.len());
    for glyph in glyphs.iter().filter(|glyph| !is_invisible(glyph.c)) {
        if glyph.c.is_ascii() {
            folded.push(Glyph { c: glyph.c.to_ascii_lowercase(), ..*glyph });
        } else {
            let lower = glyph.c.to_uppercase().flat_map(char::to_lowercase);
            folded.extend(lower.map(|c| Glyph { c, ..*glyph }));
        }
    }
    folded
}

/// Soft hyphen, zero-width characters, byte order mark.
const fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}')
}
