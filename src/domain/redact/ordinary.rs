//! A quick check of ordinary ids, such as UUIDs: most of them show nothing of a secret.
//!
//! The whole search prepares every form of a secret and every reading of a text. For the id of each recorded job, that
//! would cost more than the rest of its record. Here, the forms of a secret are computed character by character, and only
//! where a run may be shared: one pair of neighbouring characters in each run. "Nothing" is certain. Otherwise, and for
//! ids and secrets with unusual characters, the whole search decides.

use url::form_urlencoded;

use super::{
    RUN_OF_AN_ID,
    forms::{ENCODED_RUN, GROUP, LEAST as LEAST_ENCODED, decimal, plain_run},
    pairs::Pairs,
    reading::{decoded, unmarked},
};

/// A longer id is not ordinary.
const LONGEST: usize = 128;

/// Whether an id certainly shows nothing of these secrets.
pub(super) fn shows_nothing<'a>(
    id: &str,
    secrets: &(impl Iterator<Item = &'a str> + Clone),
) -> bool {
    let shortest = secrets.clone().map(|secret| plain_run(secret.len(), RUN_OF_AN_ID)).min();
    let Some(shortest) = shortest.map(|run| run.min(RUN_OF_AN_ID)) else { return true };
    if shortest < 2 || !is_ordinary(id) {
        return false;
    }
    let secrets: Option<Vec<Secret<'_>>> = secrets.clone().map(Secret::of).collect();
    let Some(secrets) = secrets else { return false };
    let reads_harmless = |id: &str| {
        let is_harmless = |text: &[char]| share_nothing(&text.iter().copied(), &secrets);
        share_nothing(&id.bytes().map(lower), &secrets)
            && decoded::are_harmless(id.as_bytes(), shortest, is_harmless)
    };
    reads_harmless(id) && (!has_prefix(id) || unmarked(id).is_none_or(|id| reads_harmless(&id)))
}

/// Whether these secrets share no run with a text, as it is and as its letters and digits. The text is in lower case.
fn share_nothing(text: &(impl Iterator<Item = char> + Clone), secrets: &[Secret<'_>]) -> bool {
    let bare = || text.clone().filter(|c| c.is_alphanumeric());
    let plain = Pairs::of(text.clone());
    let bare = Bare { pairs: Pairs::of(bare()), digits: most_digits(bare()) };
    secrets.iter().all(|secret| secret.shares_nothing(&plain, &bare))
}

/// The letters and digits of a text.
struct Bare {
    pairs: Pairs,
    /// The most digits in a row.
    digits: usize,
}

fn most_digits(text: impl Iterator<Item = char>) -> usize {
    let counted = text.scan(0, |length, c| {
        *length = if c.is_ascii_digit() { *length + 1 } else { 0 };
        Some(*length)
    });
    counted.max().unwrap_or_default()
}

/// Whether an id has only characters that escape no others. Then its readings that are not decoded are the id as it is, the
/// id without prefixes of numbers, and the letters and digits of both.
fn is_ordinary(id: &str) -> bool {
    id.len() <= LONGEST
        && id.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.' | b':'))
}

/// Whether an id may have a prefix of a number, such as `0x`. One in ten UUIDs has.
fn has_prefix(id: &str) -> bool {
    id.as_bytes()
        .windows(2)
        .any(|two| two[0] == b'0' && matches!(two[1], b'x' | b'X' | b'o' | b'O' | b'b' | b'B'))
}

/// A secret that has only characters that neither escape others nor need an escape in JSON. So its only readings are the
/// secret as it is, and its letters and digits.
struct Secret<'a> {
    plain: &'a [u8],
    bare: Vec<u8>,
    /// The secret in a URL form, if it differs.
    in_a_form: Option<String>,
}

impl<'a> Secret<'a> {
    /// `None` for a secret with other characters. Base64 may end with `=`.
    fn of(secret: &'a str) -> Option<Self> {
        let plain = secret.as_bytes();
        // Without a branch for each character, because a token is random.
        let is_kept = plain.iter().fold(true, |all, c| all & is_kept_in_a_form(*c));
        let others = b"+/:@|~";
        let is_ordinary = is_kept
            || secret
                .trim_end_matches('=')
                .bytes()
                .all(|c| is_kept_in_a_form(c) || others.contains(&c));
        is_ordinary.then(|| Self {
            plain,
            bare: plain.iter().copied().filter(u8::is_ascii_alphanumeric).collect(),
            in_a_form: (!is_kept).then(|| form_urlencoded::byte_serialize(plain).collect()),
        })
    }

    /// Whether no form of the secret shares a run with a text. The forms are those of [`forms::of`](super::forms::of).
    fn shares_nothing(&self, plain: &Pairs, bare: &Bare) -> bool {
        let run_of_digits = encoded_run(self.plain.len() * 2);
        let shares_digits =
            || may_share(&bare.pairs, decimal(self.plain).as_bytes(), run_of_digits);
        let shares_encoded = |bytes| encodings_may_share(&bare.pairs, bytes);
        !(may_share(plain, self.plain, plain_run(self.plain.len(), RUN_OF_AN_ID))
            || may_share(&bare.pairs, &self.bare, RUN_OF_AN_ID)
            || bare.digits >= run_of_digits && shares_digits()
            || shares_encoded(self.plain)
            || self.in_a_form.as_ref().is_some_and(|text| shares_encoded(text.as_bytes())))
    }
}

/// Whether a URL form shows this character as it is.
const fn is_kept_in_a_form(c: u8) -> bool {
    c.is_ascii_alphanumeric() | matches!(c, b'-' | b'_' | b'.')
}

fn may_share(text: &Pairs, form: &[u8], run: usize) -> bool {
    text.may_share(form.len(), |nth| lower(form[nth]), run)
}

/// An ASCII character without regard to case.
const fn lower(byte: u8) -> char {
    byte.to_ascii_lowercase() as char
}

fn encodings_may_share(text: &Pairs, bytes: &[u8]) -> bool {
    let hex_digits = bytes.len() * 2;
    text.may_share(hex_digits, |nth| hex_digit(bytes, nth), encoded_run(hex_digits))
        || (0..GROUP).any(|at| base64_may_share(text, bytes, at))
}

fn base64_may_share(text: &Pairs, bytes: &[u8], at: usize) -> bool {
    let skipped = base64_skips(at);
    let length = (bytes.len() * 8 - skipped) / BITS_OF_BASE64;
    let character = |nth| base64_character(bytes, skipped + BITS_OF_BASE64 * nth);
    if !bytes.contains(&b'~') {
        return text.may_share(length, character, encoded_run(length));
    }
    let bare: Vec<char> = (0..length).map(character).filter(char::is_ascii_alphanumeric).collect();
    text.may_share(bare.len(), |nth| bare[nth], encoded_run(bare.len()))
}

/// The least run of an encoded form with at least this many characters.
fn encoded_run(characters: usize) -> usize {
    characters.clamp(LEAST_ENCODED, ENCODED_RUN)
}

/// The digit with this index of the bytes in hex.
fn hex_digit(bytes: &[u8], nth: usize) -> char {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let byte = bytes[nth / 2];
    char::from(DIGITS[usize::from(if nth.is_multiple_of(2) { byte >> 4 } else { byte & 15 })])
}

/// The bits of a character of base64.
const BITS_OF_BASE64: usize = 6;

/// The first bits of some bytes that begin `at` bytes after a multiple of three, up to the first character of their own.
const fn base64_skips(at: usize) -> usize {
    (at * 8).div_ceil(BITS_OF_BASE64) * BITS_OF_BASE64 - at * 8
}

/// The character of base64 that these bytes have at this bit, in lower case. Of the characters of an ordinary secret, only
/// `~` has one that is neither letter nor digit.
fn base64_character(bytes: &[u8], bit: usize) -> char {
    let (byte, shift) = (bit / 8, 16 - BITS_OF_BASE64 - bit % 8);
    let two = u16::from_be_bytes([bytes[byte], bytes.get(byte + 1).copied().unwrap_or_default()]);
    match (two >> shift & 63) as u8 {
        letter @ 0..52 => char::from(b'a' + letter % 26),
        digit @ 52..62 => char::from(b'0' + digit - 52),
        _ => '+',
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
    use proptest::prelude::*;
    use secrecy::SecretString;

    use super::*;
    use crate::domain::{
        hex::to_hex,
        redact::{Redactor, forms::base64_inside},
    };

    #[test]
    fn the_id_of_most_jobs_is_ordinary_and_shows_nothing() {
        let token = "2YotnFZFEjr1zCsicMWpAA";
        for id in ["logout-7", "5c1e2f3b-8a9d-4e6f-7a8b-9c0d1e2f3a4d", "01JD4Z5Q8V9M3K7T2R6P"] {
            assert!(shows_nothing(id, &[token, "ana@example.com"].into_iter()), "{id}");
        }
        for id in ["2YotnF", "MllvdG5GWkZFanIxekNz", "32596f746e465a46", "a b", "nFZFEj%72"] {
            assert!(!shows_nothing(id, &[token].into_iter()), "{id}");
        }
        assert!(!shows_nothing("logout-7", &["t"].into_iter()), "too short to decide");
    }

    #[test]
    fn the_characters_by_index_are_the_encodings() {
        let bare = |encoded: &str| -> String {
            let bare = encoded.chars().filter(char::is_ascii_alphanumeric);
            bare.map(|c| c.to_ascii_lowercase()).collect()
        };
        for secret in ["a", "ab", "abc", "\u{7f}xyz~", "many more characters than that"] {
            let bytes = secret.as_bytes();
            for at in 0..GROUP {
                let bits =
                    (base64_skips(at)..=bytes.len() * 8 - BITS_OF_BASE64).step_by(BITS_OF_BASE64);
                let encoded: String = bits
                    .map(|bit| base64_character(bytes, bit))
                    .filter(char::is_ascii_alphanumeric)
                    .collect();
                assert_eq!(encoded, bare(&base64_inside(bytes, at)), "{secret} {at}");
            }
            let hex: String = (0..bytes.len() * 2).map(|nth| hex_digit(bytes, nth)).collect();
            assert_eq!(hex, to_hex(bytes));
        }
    }

    fn each(bytes: &[u8], write: impl Fn(u8) -> String) -> String {
        bytes.iter().map(|byte| write(*byte)).collect::<Vec<_>>().concat()
    }

    /// A way to write a part of a secret into an id.
    fn written(part: &str, way: usize) -> String {
        let bytes = part.as_bytes();
        let form: String = form_urlencoded::byte_serialize(bytes).collect();
        match way {
            0 => part.to_owned(),
            1 => part.to_ascii_uppercase(),
            2 => to_hex(bytes),
            3 => STANDARD_NO_PAD.encode(part),
            4 => STANDARD_NO_PAD.encode(to_hex(bytes)),
            5 => each(bytes, |byte| format!("{byte:03}")),
            6 => each(bytes, |byte| format!("{byte}-")),
            7 => each(bytes, |byte| format!("{byte:o}.")),
            8 => to_hex(form.as_bytes()),
            9 => STANDARD_NO_PAD.encode(form),
            10 => each(bytes, |byte| format!("0x{byte:02X}-")),
            11 => to_hex(STANDARD_NO_PAD.encode(part).as_bytes()),
            12 => STANDARD_NO_PAD.encode(part.to_ascii_uppercase()),
            13 => STANDARD_NO_PAD.encode(STANDARD_NO_PAD.encode(part)),
            14 => to_hex(each(bytes, |byte| format!("{byte} ")).as_bytes()),
            15 => each(bytes, |byte| format!("00{byte:02x}")),
            16 => to_hex(format!("{}\u{e9}", part.replace('s', "\u{17f}")).as_bytes()),
            _ => each(bytes, |byte| format!("{}-", char::from(byte))),
        }
    }

    proptest! {
        /// A check that is wrong would let a secret pass.
        #[test]
        fn an_id_that_shows_nothing_passes_the_whole_search(
            secret in "[A-Za-z0-9._~+/@:|-]{1,40}={0,2}",
            other in "[a-z]{0,12}",
            (before, behind) in ("[a-zA-Z0-9_.:-]{0,9}", "[a-zA-Z0-9_.:-]{0,9}"),
            (from, to) in (0_usize..42, 0_usize..42),
            way in 0_usize..18,
        ) {
            let part = secret.get(from.min(to)..from.max(to).min(secret.len())).unwrap_or_default();
            let id = format!("{before}{}{behind}", written(part, way));
            let secrets = [secret.as_str(), other.as_str()].into_iter().filter(|text| !text.is_empty());
            if shows_nothing(&id, &secrets) {
                let secrets: Vec<SecretString> = secrets.map(SecretString::from).collect();
                prop_assert!(!Redactor::new(&secrets).is_found_in(&id), "{id}");
            }
        }
    }
}
