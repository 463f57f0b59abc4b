//! A quick check of ordinary ids, such as UUIDs: most of them show nothing of a secret.
//!
//! The whole search prepares every form of a secret and every reading of a text. For the id of each recorded job, that
//! would cost more than the rest of its record. Here, the forms of a secret are streams of characters without memory of
//! their own, and only pairs of neighbouring characters are compared. "Nothing" is certain. Otherwise, and for ids and
//! secrets with unusual characters, the whole search decides.

use url::form_urlencoded;

use super::{
    RUN_OF_AN_ID,
    forms::{ENCODED_RUN, LEAST as LEAST_ENCODED, plain_run},
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
    if shortest < 2 || !is_ordinary(id) || !secrets.clone().all(is_ordinary_secret) {
        return false;
    }
    let is_harmless = |text: &[char]| share_nothing(text, secrets.clone());
    let reads_harmless = |id: &str| {
        let folded: Vec<char> = folded(id.bytes()).collect();
        is_harmless(&folded) && decoded::are_harmless(id.as_bytes(), shortest, is_harmless)
    };
    reads_harmless(id) && (!has_prefix(id) || unmarked(id).is_none_or(|id| reads_harmless(&id)))
}

/// Whether these secrets share no run with a text, as it is and as its letters and digits. The text is in lower case.
fn share_nothing<'a>(text: &[char], mut secrets: impl Iterator<Item = &'a str>) -> bool {
    let plain = Pairs::of(text.iter().copied());
    let bare = Pairs::of(text.iter().copied().filter(|c| c.is_alphanumeric()));
    secrets.all(|secret| shares_nothing(secret, &plain, &bare))
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

/// Whether a secret has only characters that neither escape others nor need an escape in JSON. Then its only readings are
/// the secret as it is, and its letters and digits. Base64 may end with `=`.
fn is_ordinary_secret(secret: &str) -> bool {
    secret.trim_end_matches('=').bytes().all(|c| {
        c.is_ascii_alphanumeric()
            || matches!(c, b'-' | b'_' | b'.' | b'~' | b'+' | b'/' | b':' | b'@' | b'|')
    })
}

/// Whether no form of a secret shares a run with the id. The forms are those of [`forms::of`](super::forms::of).
fn shares_nothing(secret: &str, plain: &Pairs, bare: &Pairs) -> bool {
    let bytes = || secret.bytes();
    let own = plain_run(secret.len(), RUN_OF_AN_ID);
    if plain.may_share(folded(bytes()), own)
        || bare.may_share(folded(bytes().filter(u8::is_ascii_alphanumeric)), RUN_OF_AN_ID)
        || bare.may_share(folded(bytes().flat_map(decimal)), encoded_run(secret.len() * 2))
    {
        return false;
    }
    let in_a_form = || form_urlencoded::byte_serialize(secret.as_bytes()).flat_map(str::bytes);
    let may_share = encodings_may_share(bytes, secret.len(), bare);
    let length = in_a_form().count();
    !may_share && (length == secret.len() || !encodings_may_share(in_a_form, length, bare))
}

/// The characters of ASCII bytes, without regard to case.
fn folded(bytes: impl Iterator<Item = u8>) -> impl Iterator<Item = char> {
    bytes.map(|byte| char::from(byte.to_ascii_lowercase()))
}

fn encodings_may_share<I: Iterator<Item = u8>>(
    bytes: impl Fn() -> I,
    length: usize,
    bare: &Pairs,
) -> bool {
    // At least a quarter of base64's characters are letters and digits.
    bare.may_share(folded(bytes().flat_map(hex)), encoded_run(length * 2))
        || (0..3)
            .any(|at| bare.may_share(folded(Base64::new(bytes(), at)), encoded_run(length / 4)))
}

/// The least run of an encoded form with at least this many characters.
fn encoded_run(characters: usize) -> usize {
    characters.clamp(LEAST_ENCODED, ENCODED_RUN)
}

fn hex(byte: u8) -> [u8; 2] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]
}

/// The digits of a byte.
fn decimal(byte: u8) -> impl Iterator<Item = u8> {
    let digits = [byte / 100, byte / 10 % 10, byte % 10];
    let leading = digits.iter().take(2).take_while(|digit| **digit == 0).count();
    digits.into_iter().skip(leading).map(|digit| b'0' + digit)
}

/// The letters and digits of the base64 form of some bytes that begin `at` bytes after a multiple of three.
struct Base64<I> {
    bytes: I,
    bits: u32,
    count: u32,
}

impl<I: Iterator<Item = u8>> Base64<I> {
    /// Leaves out the characters that the bytes before determine.
    fn new(mut bytes: I, at: usize) -> Self {
        // Of the first byte, the bits that begin a character of their own.
        let own = [8, 4, 6][at];
        let first = bytes.next();
        let bits = first.map_or(0, |byte| u32::from(byte) & ((1 << own) - 1));
        Self { bytes, bits, count: if first.is_some() { own } else { 0 } }
    }
}

impl<I: Iterator<Item = u8>> Iterator for Base64<I> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        loop {
            if self.count < 6 {
                self.bits = (self.bits << 8 | u32::from(self.bytes.next()?)) & 0xffff;
                self.count += 8;
            }
            self.count -= 6;
            let c = match (self.bits >> self.count & 63) as u8 {
                sextet @ 0..26 => b'a' + sextet,
                sextet @ 26..52 => b'a' + sextet - 26,
                sextet @ 52..62 => b'0' + sextet - 52,
                _ => continue,
            };
            return Some(c);
        }
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
        redact::{
            Redactor,
            forms::{self, base64_inside},
        },
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
    fn the_streams_are_the_encodings() {
        let bare = |encoded: &str| -> String {
            let bare = encoded.chars().filter(char::is_ascii_alphanumeric);
            bare.map(|c| c.to_ascii_lowercase()).collect()
        };
        let text = |stream: Vec<u8>| String::from_utf8(stream).unwrap();
        for secret in ["a", "ab", "abc", "\u{7f}xyz~", "many more characters than that"] {
            for at in 0..3 {
                let encoded = text(Base64::new(secret.bytes(), at).collect());
                assert_eq!(encoded, bare(&base64_inside(secret.as_bytes(), at)), "{secret} {at}");
            }
            let digits = text(secret.bytes().flat_map(super::decimal).collect());
            assert_eq!(digits, forms::decimal(secret.as_bytes()));
            assert_eq!(text(secret.bytes().flat_map(hex).collect()), to_hex(secret.as_bytes()));
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
            secret in "[A-Za-z0-9._~+/@-]{1,24}={0,2}",
            other in "[a-z]{0,12}",
            (before, behind) in ("[a-zA-Z0-9_.:-]{0,9}", "[a-zA-Z0-9_.:-]{0,9}"),
            (from, to) in (0_usize..26, 0_usize..26),
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
