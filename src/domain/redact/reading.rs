//! The readings of a text: without escapes, decoded, and with all letters in one case.

mod bytes;
pub(super) mod decoded;
mod escapes;
mod marks;

use escapes::Family;

/// One character of a reading, and the bytes of the text that it stands for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Glyph {
    pub(super) c: char,
    pub(super) from: usize,
    pub(super) to: usize,
}

impl From<Glyph> for char {
    fn from(glyph: Glyph) -> Self {
        glyph.c
    }
}

/// How many levels of nested escapes are undone. A secret is read in the same way, so this bounds only the
/// work.
const MOST_ROUNDS: usize = 8;

/// The families of escapes: each one alone, and all together.
const FAMILIES: [&[Family]; 5] =
    [&[Family::Percent], &[Family::Backslash], &[Family::Entity], &[Family::Quoted], &Family::ALL];

/// One reading of a text, with all letters in one case.
pub(super) struct Reading {
    /// Whether it has only letters and digits.
    pub(super) is_bare: bool,
    pub(super) glyphs: Vec<Glyph>,
}

/// Every reading of a text. A decoded text that cannot hold a run of `shortest` characters is left out.
///
/// First the plain readings: as it is, without escapes, without tags. Then letters and digits alone, because
/// encodings and echoes differ in punctuation and line breaks. Then the decoded texts.
pub(super) fn ways_to_read(text: &str, shortest: usize) -> impl Iterator<Item = Reading> {
    let readings = readings(text);
    let last = readings.last().cloned().unwrap_or_default();
    let unmarked = marks::remove(&last);
    let decoded =
        [&last].into_iter().chain(&unmarked).flat_map(|text| decoded::all(text, shortest));
    let decoded: Vec<_> = decoded.collect();
    let plain: Vec<Vec<Glyph>> =
        readings.iter().chain(&unmarked).map(|glyphs| fold(glyphs)).collect();
    let mut bare: Vec<Vec<Glyph>> = readings
        .first()
        .into_iter()
        .chain([&last])
        .chain(&unmarked)
        .map(|glyphs| bare(&fold(glyphs)))
        .collect();
    bare.dedup_by(|one, other| one.iter().map(|glyph| glyph.c).eq(other.iter().map(|g| g.c)));
    let decoded = decoded.into_iter().map(|glyphs| fold(&glyphs));
    let decoded = decoded.filter(move |glyphs| decoded::may_be_text(glyphs, shortest));
    let plain = plain.into_iter().map(|glyphs| Reading { is_bare: false, glyphs });
    let bare_ones = bare.into_iter().map(|glyphs| Reading { is_bare: true, glyphs });
    let decoded = decoded.flat_map(|glyphs| {
        let bare = Reading { is_bare: true, glyphs: self::bare(&glyphs) };
        [Reading { is_bare: false, glyphs }, bare]
    });
    plain.chain(bare_ones).chain(decoded)
}

/// The two readings of a secret that differ most: as it is, and with everything undone that looks like an
/// escape.
pub(super) fn of_a_secret(secret: &str) -> impl Iterator<Item = Vec<Glyph>> {
    let mut readings = readings(secret);
    let last = if readings.len() > 1 { readings.pop() } else { None };
    readings.into_iter().take(1).chain(last).map(|glyphs| fold(&glyphs))
}

/// A text as it is.
fn plain_glyphs(text: &str) -> Vec<Glyph> {
    text.char_indices().map(|(at, c)| Glyph { c, from: at, to: at + c.len_utf8() }).collect()
}

/// A text without tags and prefixes of numbers; `None` if it has none.
pub(super) fn unmarked(text: &str) -> Option<String> {
    let unmarked = marks::remove(&plain_glyphs(text))?;
    Some(unmarked.iter().map(|glyph| glyph.c).collect())
}

/// A text as it is, then with escapes undone. Each round and each family of escapes gives one reading, because
/// a part of a secret may look like an escape. The last reading has no escapes left.
fn readings(text: &str) -> Vec<Vec<Glyph>> {
    let glyphs = plain_glyphs(text);
    if !escapes::may_hold_one(&glyphs) {
        return vec![glyphs];
    }
    let mut readings = vec![glyphs.clone()];
    for families in FAMILIES {
        let mut before = glyphs.clone();
        for _ in 0..MOST_ROUNDS {
            let Some(undone) = escapes::undo(&before, families) else { break };
            readings.push(undone.clone());
            before = undone;
        }
    }
    readings
}

/// The letters and digits alone.
pub(super) fn bare(glyphs: &[Glyph]) -> Vec<Glyph> {
    glyphs.iter().filter(|glyph| glyph.c.is_alphanumeric()).copied().collect()
}

/// A character in lower case. It is converted to upper case first, because `ß` becomes `SS` there.
fn other_case(c: char) -> impl Iterator<Item = char> {
    c.to_uppercase().flat_map(char::to_lowercase)
}

/// All letters in lower case, without invisible characters.
fn fold(glyphs: &[Glyph]) -> Vec<Glyph> {
    let mut folded = Vec::with_capacity(glyphs.len());
    for glyph in glyphs {
        fold_one(glyph.c, |c| folded.push(Glyph { c, ..*glyph }));
    }
    folded
}

/// Calls `push` with what becomes of a character there.
fn fold_one(c: char, mut push: impl FnMut(char)) {
    match c {
        _ if is_invisible(c) => {}
        '\0'..='\x7f' => push(c.to_ascii_lowercase()),
        _ => other_case(c).for_each(push),
    }
}

/// Soft hyphen, zero-width characters, byte order mark; and NUL, which UTF-16 puts between ASCII characters.
const fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\0' | '\u{ad}' | '\u{34f}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}'
    )
}
