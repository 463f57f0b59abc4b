//! Undoes escapes: percent-encoding, HTML entities, the backslashes of JSON and of debug output,
//! quoted-printable.
//!
//! Each decoded character keeps the position of its escape, because a secret that is found must be replaced
//! in the original text. Libraries do not keep these positions.

use super::{
    Glyph,
    bytes::{Byte, characters},
};

/// A family of escapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    /// Escapes of URLs: `%2B`, `%u002B`.
    Percent,
    /// Escapes of JSON and of debug output: `\/`, `\u002b`, `\x2b`.
    Backslash,
    /// Escapes of HTML: `&plus;`, `&#43;`.
    Entity,
    /// Escapes of mail: `=2B`.
    Quoted,
}

impl Family {
    pub(super) const ALL: [Self; 4] = [Self::Percent, Self::Backslash, Self::Entity, Self::Quoted];

    /// The family whose escapes begin with this character.
    const fn of(begins: char) -> Option<Self> {
        match begins {
            '%' => Some(Self::Percent),
            '\\' => Some(Self::Backslash),
            '&' => Some(Self::Entity),
            '=' => Some(Self::Quoted),
            _ => None,
        }
    }
}

/// The HTML entities of ASCII characters, and of invisible characters that can split a word.
const ENTITIES: [(&str, char); 52] = [
    ("shy", '\u{ad}'),
    ("zwnj", '\u{200c}'),
    ("zwj", '\u{200d}'),
    ("ZeroWidthSpace", '\u{200b}'),
    ("NoBreak", '\u{2060}'),
    ("ensp", ' '),
    ("emsp", ' '),
    ("thinsp", ' '),
    ("hairsp", ' '),
    ("Tab", '\t'),
    ("NewLine", '\n'),
    ("nbsp", ' '),
    ("excl", '!'),
    ("quot", '"'),
    ("QUOT", '"'),
    ("num", '#'),
    ("dollar", '$'),
    ("percnt", '%'),
    ("amp", '&'),
    ("AMP", '&'),
    ("apos", '\''),
    ("lpar", '('),
    ("rpar", ')'),
    ("ast", '*'),
    ("midast", '*'),
    ("plus", '+'),
    ("comma", ','),
    ("hyphen", '-'),
    ("dash", '-'),
    ("period", '.'),
    ("sol", '/'),
    ("colon", ':'),
    ("semi", ';'),
    ("lt", '<'),
    ("LT", '<'),
    ("equals", '='),
    ("gt", '>'),
    ("GT", '>'),
    ("quest", '?'),
    ("commat", '@'),
    ("lsqb", '['),
    ("lbrack", '['),
    ("bsol", '\\'),
    ("rsqb", ']'),
    ("rbrack", ']'),
    ("Hat", '^'),
    ("lowbar", '_'),
    ("grave", '`'),
    ("lcub", '{'),
    ("verbar", '|'),
    ("rcub", '}'),
    ("tilde", '~'),
];

/// Whether a text contains the first character of an escape.
pub(super) fn may_hold_one(glyphs: &[Glyph]) -> bool {
    glyphs.iter().any(|glyph| Family::of(glyph.c).is_some())
}

/// Undoes the outermost escapes of these families; `None` if there are none.
pub(super) fn undo(glyphs: &[Glyph], families: &[Family]) -> Option<Vec<Glyph>> {
    let mut undone = Vec::new();
    let mut copied = 0;
    let mut at = 0;
    while at < glyphs.len() {
        let (rest, before) = (&glyphs[at..], &glyphs[copied..at]);
        let is_meant = Family::of(rest[0].c).is_some_and(|family| families.contains(&family));
        let length = if is_meant {
            bytes(rest, &mut undone, before).or_else(|| character(rest, &mut undone, before))
        } else {
            None
        };
        at += length.unwrap_or(1);
        if length.is_some() {
            copied = at;
        }
    }
    if copied == 0 {
        return None;
    }
    undone.extend_from_slice(&glyphs[copied..]);
    Some(undone)
}

/// Decodes consecutive byte escapes, and appends `before` and the result to `undone`. Returns the length of the escapes
/// in characters.
fn bytes(rest: &[Glyph], undone: &mut Vec<Glyph>, before: &[Glyph]) -> Option<usize> {
    let mut row: Vec<Byte> = Vec::new();
    let mut length = 0;
    while let Some((byte, more)) = byte(&rest[length..])
        && rest[length].c == rest[0].c
    {
        let from = rest[length].from;
        length += more;
        row.push(Byte { value: byte, from, to: rest[length - 1].to });
    }
    if row.is_empty() {
        return None;
    }
    undone.extend_from_slice(before);
    characters(&row, undone);
    Some(length)
}

/// The byte of an escape, `%2B`, `=2B`, `\x2b` or `\053`, and the escape's length in characters.
fn byte(rest: &[Glyph]) -> Option<(u8, usize)> {
    let at = |nth: usize| rest.get(nth).map(|glyph| glyph.c);
    let number = |from: usize, length: usize, radix: u32| {
        let digits = (from..from + length).map(|nth| at(nth)?.to_digit(radix));
        u8::try_from(digits.reduce(|high, low| Some(high? * radix + low?))??).ok()
    };
    match (at(0)?, at(1)?) {
        ('%' | '=', _) => Some((number(1, 2, 16)?, 3)),
        ('\\', 'x' | 'X') => Some((number(2, 2, 16)?, 4)),
        ('\\', '0'..='3') => Some((number(1, 3, 8)?, 4)),
        _ => None,
    }
}

/// Decodes a character escape, and appends `before` and the result to `undone`. Returns the length of the escape in
/// characters.
fn character(rest: &[Glyph], undone: &mut Vec<Glyph>, before: &[Glyph]) -> Option<usize> {
    let at = |nth: usize| rest.get(nth).map(|glyph| glyph.c);
    let (c, length) = match at(0)? {
        '\\' => backslash(rest)?,
        '%' if matches!(at(1), Some('u' | 'U')) => utf16(rest)?,
        '&' => entity(rest)?,
        _ => return None,
    };
    undone.extend_from_slice(before);
    undone.push(Glyph { c, from: rest[0].from, to: rest[length - 1].to });
    Some(length)
}

fn backslash(rest: &[Glyph]) -> Option<(char, usize)> {
    let c = match rest.get(1)?.c {
        c @ ('/' | '\\' | '"' | '\'') => c,
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'u' | 'U' | 'x' | 'X' if rest.get(2)?.c == '{' => {
            let digits = number(&rest[3..], 16, 6)?;
            let closed = rest.get(3 + digits.1)?.c == '}';
            return closed.then_some((char::from_u32(digits.0)?, 4 + digits.1));
        }
        'U' => return utf32(rest).or_else(|| utf16(rest)),
        'u' => return utf16(rest),
        _ => return None,
    };
    Some((c, 2))
}

/// `\U000000e9`.
fn utf32(rest: &[Glyph]) -> Option<(char, usize)> {
    match digits(rest.get(2..)?, 16, 8)? {
        (number, 8) => Some((char::from_u32(number)?, 10)),
        _ => None,
    }
}

/// `\u00e9` or `%u00e9`, or two of them for a character beyond 16 bits.
fn utf16(rest: &[Glyph]) -> Option<(char, usize)> {
    const LENGTH: usize = 6;
    let unit = |from: usize| match digits(rest.get(from + 2..)?, 16, 4)? {
        (unit, 4) => u16::try_from(unit).ok(),
        _ => None,
    };
    let is_escape = |from: usize| {
        let begins = |nth: usize| rest.get(from + nth).map(|glyph| glyph.c);
        begins(0) == Some(rest[0].c) && matches!(begins(1), Some('u' | 'U'))
    };
    let first = unit(0)?;
    let second = is_escape(LENGTH).then(|| unit(LENGTH)).flatten();
    let mut units = char::decode_utf16([first].into_iter().chain(second));
    match units.next()?.ok() {
        Some(c) => Some((c, c.len_utf16() * LENGTH)),
        None => Some((char::REPLACEMENT_CHARACTER, LENGTH)),
    }
}

/// `&plus;`, `&#43;` or `&#x2b;`. A number needs no semicolon.
fn entity(rest: &[Glyph]) -> Option<(char, usize)> {
    let at = |nth: usize| rest.get(nth).map(|glyph| glyph.c);
    if at(1)? == '#' {
        let (begins, radix) = if matches!(at(2)?, 'x' | 'X') { (3, 16) } else { (2, 10) };
        let (number, length) = number(&rest[begins..], radix, 7)?;
        let end = begins + length;
        return Some((char::from_u32(number)?, end + usize::from(at(end) == Some(';'))));
    }
    ENTITIES.iter().find_map(|(name, c)| {
        let fits = name.chars().chain([';']).enumerate().all(|(nth, c)| at(nth + 1) == Some(c));
        fits.then_some((*c, name.len() + 2))
    })
}

/// The number at the beginning, with at most `most` digits after leading zeros, and its length in characters.
fn number(rest: &[Glyph], radix: u32, most: usize) -> Option<(u32, usize)> {
    let zeros = rest.iter().take_while(|glyph| glyph.c == '0').count();
    match digits(&rest[zeros..], radix, most) {
        Some((number, length)) => Some((number, zeros + length)),
        None => (zeros > 0).then_some((0, zeros)),
    }
}

/// The number at the beginning, with at most `most` digits, and its number of digits.
fn digits(rest: &[Glyph], radix: u32, most: usize) -> Option<(u32, usize)> {
    let digits: Vec<u32> =
        rest.iter().take(most).map_while(|glyph| glyph.c.to_digit(radix)).collect();
    let number = digits.iter().copied().reduce(|high, low| high * radix + low)?;
    Some((number, digits.len()))
}
