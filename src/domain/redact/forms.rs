//! The forms in which an echo may show a secret.

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use url::form_urlencoded;

use super::{
    reading::{Glyph, bare, of_a_secret},
    runs::hashes,
};

/// So many characters in a row of an encoded form tell something of the secret.
const RUN: usize = 8;

/// An encoded form shorter than this is found in texts that have nothing to do with it.
const LEAST: usize = 6;

/// Bytes that share one group of base64: how a secret reads there depends on where in a group it begins.
const GROUP: usize = 3;

/// So many letters and digits in a row tell something whatever they are. It is longer than two ordinary words.
const LONG_RUN: usize = 16;

/// One form of a secret.
pub(super) struct Form {
    /// Whether its letters and digits are all there is.
    pub(super) is_bare: bool,
    /// Its characters.
    pub(super) characters: Vec<char>,
    /// So many of them in a row tell something.
    pub(super) run: usize,
    /// A hash of each such row, in order.
    pub(super) hashes: Vec<u64>,
    /// Which rows count; all of them where it is empty.
    counts: Vec<bool>,
}

impl Form {
    fn new(is_bare: bool, characters: Vec<char>, run: usize) -> Self {
        let hashes = hashes(characters.iter().copied(), run);
        Self { is_bare, characters, run, hashes, counts: Vec::new() }
    }

    /// Whether the row at this place in the order counts.
    pub(super) fn counts(&self, nth: usize) -> bool {
        self.counts.get(nth).is_none_or(|counts| *counts)
    }

    fn plain(characters: Vec<char>, most: usize) -> Self {
        let run = plain_run(characters.len(), most);
        Self::new(false, characters, run)
    }

    /// `None` for one that is too short to be told from anything else.
    fn encoded(encoded: &str) -> Option<Self> {
        let characters: Vec<char> = encoded
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .map(|c| c.to_ascii_lowercase())
            .collect();
        let run = RUN.min(characters.len());
        (run >= LEAST).then(|| Self::new(true, characters, run))
    }
}

/// The letters and digits of a secret, whatever stands between them in a text: blanks, hyphens, line breaks.
///
/// Prose has no punctuation then either, so a short row counts only where no words read like it: with a digit,
/// or with a small letter before a capital.
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

/// So many characters in a row tell something of a secret of that length: half of a short one.
fn plain_run(length: usize, most: usize) -> usize {
    const SHORT: usize = 4;
    if length <= SHORT { length } else { length.div_ceil(2).clamp(SHORT, most) }
}

/// Every form of a secret. `most` characters of a plain one in a row always tell something.
///
/// Plain, with and without its punctuation, and as it is read if it holds what looks like an escape; in hex, in base64 of either alphabet and wherever it begins in a
/// longer text, and as a list of decimal bytes. These encodings also of the secret as a URL's form or as a
/// JSON string would have it, which is how it goes into basic authentication, or into a call.
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
        forms.extend(Form::encoded(&hex(bytes)));
        forms.extend((0..GROUP).filter_map(|at| Form::encoded(&base64_inside(bytes, at))));
    }
    forms.extend(Form::encoded(&decimal(secret.as_bytes())));
    forms
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut hex, byte| {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn decimal(bytes: &[u8]) -> String {
    bytes.iter().map(u8::to_string).collect()
}

/// The characters of a base64 text that `bytes` alone determine where they begin `at` bytes past a
/// multiple of three.
fn base64_inside(bytes: &[u8], at: usize) -> String {
    const BITS: usize = 6;
    let behind = [&[0; GROUP][..at], bytes].concat();
    let encoded = STANDARD_NO_PAD.encode(&behind);
    let begins = (at * 8).div_ceil(BITS);
    let ends = behind.len() * 8 / BITS;
    encoded.get(begins..ends).unwrap_or_default().to_owned()
}
