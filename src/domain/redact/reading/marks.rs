//! Removes marks between the characters of an echo: HTML tags and prefixes of numbers.

use super::Glyph;

/// The longest tag, in characters, so that a `<` alone costs little.
const MAX_TAG: usize = 64;

/// The text without tags and prefixes of numbers (`0x71`, `U+0071`); `None` if it has none.
pub(super) fn remove(glyphs: &[Glyph]) -> Option<Vec<Glyph>> {
    let mut left = Vec::with_capacity(glyphs.len());
    let mut at = 0;
    while let Some(glyph) = glyphs.get(at) {
        let rest = &glyphs[at..];
        if let Some(length) = tag(rest).or_else(|| prefix(rest)) {
            at += length;
        } else {
            left.push(*glyph);
            at += 1;
        }
    }
    (left.len() < glyphs.len()).then_some(left)
}

fn tag(rest: &[Glyph]) -> Option<usize> {
    if rest.first()?.c != '<' || !matches!(rest.get(1)?.c, 'a'..='z' | 'A'..='Z' | '/' | '!') {
        return None;
    }
    let end = rest.iter().take(MAX_TAG).skip(1).position(|glyph| matches!(glyph.c, '<' | '>'))? + 1;
    (rest[end].c == '>').then_some(end + 1)
}

fn prefix(rest: &[Glyph]) -> Option<usize> {
    let [first, second, digit, ..] = rest else { return None };
    let is_prefix =
        matches!((first.c, second.c), ('0', 'x' | 'X' | 'o' | 'O' | 'b' | 'B') | ('u' | 'U', '+'));
    (is_prefix && digit.c.is_ascii_hexdigit()).then_some(2)
}
