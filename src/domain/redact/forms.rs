//! The forms in which an echo may show a secret.

use std::sync::OnceLock;

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use url::form_urlencoded;

use super::{
    reading::{Glyph, bare, of_a_secret},
    runs::hashes,
};
use crate::domain::hex::to_hex;

/// This many characters in a row of an encoded form reveal something of the secret.
pub(super) const ENCODED_RUN: usize = 8;

/// A shorter encoded form would also occur in unrelated texts.
pub(super) const LEAST: usize = 6;

/// The bytes in one group of base64. The encoding of a secret depends on its position in a group.
pub(super) const GROUP: usize = 3;

/// This many letters and digits in a row always reveal something: more than two ordinary words.
const LONG_RUN: usize = 16;

pub(super) struct Form {
    /// Whether it has only letters and digits.
    pub(super) is_bare: bool,
    pub(super) characters: Vec<char>,
    /// This many of them in a row reveal something.
    pub(super) run: usize,
    /// The hash of each such run, in order. Computed for the first text that may share one.
    hashes: OnceLock<Vec<u64>>,
    /// Which runs count; all of them if this is empty.
    counts: Vec<bool>,
}

impl Form {
    fn new(is_bare: bool, characters: Vec<char>, run: usize) -> Self {
        Self { is_bare, characters, run, hashes: OnceLock::new(), counts: Vec::new() }
    }

    /// The hash of each run, in order.
    pub(super) fn hashes(&self) -> &[u64] {
        self.hashes.get_or_init(|| hashes(self.characters.iter().copied(), self.run))
    }

    /// Whether the run with this index counts.
    pub(super) fn counts(&self, nth: usize) -> bool {
        self.counts.get(nth).is_none_or(|counts| *counts)
    }

    fn plain(characters: Vec<char>, most: usize) -> Self {
        let run = plain_run(characters.len(), most);
        Self::new(false, characters, run)
    }

    /// `None` if it is too short to be distinguished from unrelated text.
    fn encoded(encoded: &str) -> Option<Self> {
        let mut characters = Vec::with_capacity(encoded.len());
        let bare = encoded.chars().filter(char::is_ascii_alphanumeric);
        characters.extend(bare.map(|c| c.to_ascii_lowercase()));
        let run = ENCODED_RUN.min(characters.len());
        (run >= LEAST).then(|| Self::new(true, characters, run))
    }
}

/// The letters and digits of a secret, with anything between them in a text: blanks, hyphens, line breaks.
///
/// Prose loses its punctuation as well. So a short run counts only if it cannot be words: it has a digit, or a
/// small letter before a capital.
fn spread(secret: &str, glyphs: &[Glyph], most: usize) -> impl Iterator<Item = Form> {
    let glyphs = bare(glyphs);
    let characters: Vec<char> = glyphs.iter().map(|glyph| glyph.c).collect();
    let is_digit: Vec<bool> = characters.iter().map(|c| c.is_numeric()).collect();
    let is_hump = |glyph: &Glyph| {
        let is_capital = secret[glyph.from..].starts_with(char::is_uppercase);
        is_capital && secret[..glyph.from].ends_with(char::is_lowercase)
    };
    let is_hump: Vec<bool> = glyphs.iter().map(is_hump).collect();
    let run = most.min(characters.len());
    let short = (run >= LEAST).then(|| {
        let counts = is_digit.windows(run).zip(is_hump.windows(run));
        let counts =
            counts.map(|(digits, humps)| digits.contains(&true) || humps[1..].contains(&true));
        Form { counts: counts.collect(), ..Form::new(true, characters.clone(), run) }
    });
    let long = (characters.len() >= LONG_RUN).then(|| Form::new(true, characters, LONG_RUN));
    short.into_iter().chain(long)
}

/// How many characters in a row reveal something of a secret of that length: half of a short one.
pub(super) fn plain_run(length: usize, most: usize) -> usize {
    const SHORT: usize = 4;
    if length <= SHORT { length } else { length.div_ceil(2).clamp(SHORT, most) }
}

/// Every form of a secret. `most` characters in a row of a plain form always reveal something.
///
/// The forms are: plain, with and without punctuation and escapes; hex; base64 of either alphabet at every position of
/// a group; decimal bytes. Hex and base64 are also computed of the secret in a URL form (basic authentication) or in a
/// JSON string (a call).
pub(super) fn of(secret: &str, most: usize) -> Vec<Form> {
    let trimmed = Some(secret.trim()).filter(|trimmed| *trimmed != secret);
    let mut forms = Vec::new();
    for secret in [secret].into_iter().chain(trimmed) {
        for reading in of_a_secret(secret) {
            forms.push(Form::plain(reading.iter().map(|glyph| glyph.c).collect(), most));
            forms.extend(spread(secret, &reading, most));
        }
    }
    let in_a_form: String = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let in_json = serde_json::to_string(secret).unwrap_or_default();
    let in_json = in_json.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    let escaped = [Some(in_a_form.as_str()), in_json].into_iter().flatten();
    for text in [secret].into_iter().chain(escaped.filter(|text| *text != secret)) {
        let bytes = text.as_bytes();
        forms.extend(Form::encoded(&to_hex(bytes)));
        forms.extend((0..GROUP).filter_map(|at| Form::encoded(&base64_inside(bytes, at))));
    }
    forms.extend(Form::encoded(&decimal(secret.as_bytes()).collect::<String>()));
    forms
}

/// The digits of these bytes as decimal numbers.
pub(super) fn decimal(bytes: &[u8]) -> impl Iterator<Item = char> {
    bytes.iter().flat_map(|byte| {
        let digits = [byte / 100, byte / 10 % 10, byte % 10];
        let leading_zeros = usize::from(*byte < 100) + usize::from(*byte < 10);
        digits.into_iter().skip(leading_zeros).map(|digit| char::from(b'0' + digit))
    })
}

/// The characters of a base64 text that `bytes` alone determine, if they begin `at` bytes after a multiple of
/// three.
pub(super) fn base64_inside(bytes: &[u8], at: usize) -> String {
    const BITS: usize = 6;
    let behind = [&[0; GROUP][..at], bytes].concat();
    let encoded = STANDARD_NO_PAD.encode(&behind);
    let begins = (at * 8).div_ceil(BITS);
    let ends = behind.len() * 8 / BITS;
    encoded.get(begins..ends).unwrap_or_default().to_owned()
}
