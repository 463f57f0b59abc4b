//! A quick check of ordinary ids, such as UUIDs: most of them show nothing of a secret.
//!
//! The whole search prepares every form of a secret and every reading of a text. For the id of each recorded job, that
//! would cost more than the rest of its record. Here, the forms of a secret are computed character by character, and most
//! of them only where a run may be shared: one pair of neighbouring characters in each run. "Nothing" is certain.
//! Otherwise, and for ids and secrets with unusual characters, the whole search decides.

use url::form_urlencoded;

use super::{
    RUN_OF_AN_ID,
    forms::{ENCODED_RUN, GROUP, LEAST as LEAST_ENCODED, decimal, plain_run},
    pairs::{Pairs, may_hold_run},
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
    let share_nothing = |text: &Text| secrets.clone().all(|secret| shares_nothing(secret, text));
    let reads_harmless = |id: &str| {
        share_nothing(&Text::of(id.bytes().map(lower)))
            && decoded::are_harmless(id.as_bytes(), shortest, |text| {
                share_nothing(&Text::of(text.iter().copied()))
            })
    };
    reads_harmless(id) && (!has_prefix(id) || unmarked(id).is_none_or(|id| reads_harmless(&id)))
}

/// A text in lower case, read in two ways: as it is, and as its letters and digits.
struct Text {
    /// The pairs of both readings. One set excludes slightly less than two sets would, and costs half.
    pairs: Pairs,
    /// The most digits in a row, of the letters and digits.
    digits: usize,
}

impl Text {
    fn of(text: impl Iterator<Item = char>) -> Self {
        let mut read = Self { pairs: Pairs::none(), digits: 0 };
        // `before_others` is the character before the latest row of characters that are neither letters nor digits.
        let (mut last, mut before_others, mut digits) = (None, None, 0);
        for c in text {
            let before = last.replace(c);
            if let Some(before) = before {
                read.pairs.add(before, c);
            }
            if c.is_alphanumeric() {
                if let Some(before) = before_others.take() {
                    read.pairs.add(before, c);
                }
                digits = if c.is_ascii_digit() { digits + 1 } else { 0 };
                read.digits = read.digits.max(digits);
            } else if before_others.is_none() {
                before_others = before;
            }
        }
        read
    }
}

/// Whether an id has only characters that escape no others. Then its readings that are not decoded are the id as it is, the
/// id without prefixes of numbers, and the letters and digits of both.
fn is_ordinary(id: &str) -> bool {
    id.len() <= LONGEST && all_are(id.as_bytes(), |c| is_kept_in_a_form(c) || c == b':')
}

/// Whether an id may have a prefix of a number, such as `0x`. One in ten UUIDs has.
fn has_prefix(id: &str) -> bool {
    id.as_bytes()
        .windows(2)
        .any(|two| two[0] == b'0' && matches!(two[1], b'x' | b'X' | b'o' | b'O' | b'b' | b'B'))
}

/// Whether all bytes have a property. Without a branch for each byte, because an id is random.
fn all_are(bytes: &[u8], property: impl Fn(u8) -> bool) -> bool {
    bytes.iter().fold(true, |all, c| all & property(*c))
}

/// Whether a secret has only characters that neither escape others nor need an escape in JSON. Then its only readings
/// are the secret as it is, and its letters and digits. Base64 may end with `=`.
fn is_ordinary_secret(secret: &str) -> bool {
    let is_ordinary = |c| is_kept_in_a_form(c) || b"+/:@|~".contains(&c);
    is_kept(secret) || secret.trim_end_matches('=').bytes().all(is_ordinary)
}

/// Whether a secret is the same in a URL form.
fn is_kept(secret: &str) -> bool {
    all_are(secret.as_bytes(), is_kept_in_a_form)
}

/// Whether no form of an ordinary secret shares a run with a text. The forms are those of [`forms::of`](super::forms::of).
fn shares_nothing(secret: &str, text: &Text) -> bool {
    let (plain, pairs) = (secret.as_bytes(), &text.pairs);
    let run_of_digits = encoded_run(plain.len() * 2);
    let shares_in_a_form = || {
        let in_a_form: String = form_urlencoded::byte_serialize(plain).collect();
        encodings_may_share(pairs, in_a_form.as_bytes())
    };
    !(plain_may_share(pairs, plain)
        || text.digits >= run_of_digits && pairs.may_share_in_order(decimal(plain), run_of_digits)
        || encodings_may_share(pairs, plain)
        || !is_kept(secret) && shares_in_a_form())
}

/// Whether a text may share a run with a secret as it is, or with its letters and digits.
fn plain_may_share(text: &Pairs, plain: &[u8]) -> bool {
    let run = plain_run(plain.len(), RUN_OF_AN_ID);
    let pair = |nth| [lower(plain[nth]), lower(plain[nth + 1])];
    // One check excludes both: it takes each pair with another character as shared. So a run of letters and digits is a
    // row of at least as many pairs, and `run` is no longer than such a run.
    let may_be_shared = |nth: usize| {
        text.has(pair(nth))
            || !(plain[nth].is_ascii_alphanumeric() && plain[nth + 1].is_ascii_alphanumeric())
    };
    let bare = || plain.iter().filter(|c| c.is_ascii_alphanumeric()).map(|c| lower(*c));
    may_hold_run(plain.len(), may_be_shared, run)
        && (text.may_share(plain.len(), pair, run) || text.may_share_in_order(bare(), RUN_OF_AN_ID))
}

/// Whether a URL form shows this character as it is.
const fn is_kept_in_a_form(c: u8) -> bool {
    c.is_ascii_alphanumeric() | matches!(c, b'-' | b'_' | b'.')
}

/// An ASCII character without regard to case.
const fn lower(byte: u8) -> char {
    byte.to_ascii_lowercase() as char
}

fn encodings_may_share(text: &Pairs, bytes: &[u8]) -> bool {
    let hex_digits = bytes.len() * 2;
    let is_bare = !bytes.contains(&b'~');
    text.may_share(hex_digits, |nth| hex_pair(bytes, nth), encoded_run(hex_digits))
        || (0..GROUP).any(|at| base64_may_share(text, bytes, at, is_bare))
}

/// `is_bare` says that the encoding has only letters and digits.
fn base64_may_share(text: &Pairs, bytes: &[u8], at: usize, is_bare: bool) -> bool {
    let skipped = base64_skips(at);
    let length = (bytes.len() * 8 - skipped) / BITS_OF_BASE64;
    let pair = |nth| base64_pair(bytes, skipped + BITS_OF_BASE64 * nth);
    if is_bare {
        return text.may_share(length, pair, encoded_run(length));
    }
    let all = (0..length).map(|nth| base64_character(bytes, skipped + BITS_OF_BASE64 * nth));
    let bare: Vec<char> = all.filter(char::is_ascii_alphanumeric).collect();
    text.may_share(bare.len(), |nth| [bare[nth], bare[nth + 1]], encoded_run(bare.len()))
}

/// The least run of an encoded form with at least this many characters.
fn encoded_run(characters: usize) -> usize {
    characters.clamp(LEAST_ENCODED, ENCODED_RUN)
}

/// The two digits that begin with this index of the bytes in hex.
fn hex_pair(bytes: &[u8], nth: usize) -> [char; 2] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let byte = bytes[nth / 2];
    let two = if nth.is_multiple_of(2) { byte } else { byte << 4 | bytes[nth / 2 + 1] >> 4 };
    [two >> 4, two & 15].map(|digit| char::from(DIGITS[usize::from(digit)]))
}

/// The bits of a character of base64.
const BITS_OF_BASE64: usize = 6;

/// The first bits of some bytes that begin `at` bytes after a multiple of three, up to the first character of their own.
const fn base64_skips(at: usize) -> usize {
    (at * 8).div_ceil(BITS_OF_BASE64) * BITS_OF_BASE64 - at * 8
}

/// The characters of base64 in lower case. Of the characters of an ordinary secret, only `~` has one that is neither letter
/// nor digit.
const BASE64: &[u8; 64] = b"abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz0123456789++";

/// The character of base64 that these bytes have at this bit.
fn base64_character(bytes: &[u8], bit: usize) -> char {
    base64_pair(bytes, bit)[0]
}

/// The two characters of base64 that these bytes have from this bit.
fn base64_pair(bytes: &[u8], bit: usize) -> [char; 2] {
    let bytes = bytes.get(bit / 8..).unwrap_or_default();
    let three = match bytes {
        [one, two, three, ..] => [0, *one, *two, *three],
        [one, two] => [0, *one, *two, 0],
        [one] => [0, *one, 0, 0],
        [] => [0; 4],
    };
    let three = u32::from_be_bytes(three);
    let two = three >> (24 - 2 * BITS_OF_BASE64 - bit % 8);
    [two >> BITS_OF_BASE64, two].map(|sextet| char::from(BASE64[(sextet & 63) as usize]))
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
                for bit in
                    (base64_skips(at)..(bytes.len() * 8).saturating_sub(11)).step_by(BITS_OF_BASE64)
                {
                    let pair = [bit, bit + BITS_OF_BASE64].map(|bit| base64_character(bytes, bit));
                    assert_eq!(base64_pair(bytes, bit), pair, "{secret} {bit}");
                }
            }
            let hex: String = (0..bytes.len()).flat_map(|nth| hex_pair(bytes, nth * 2)).collect();
            assert_eq!(hex, to_hex(bytes));
            let hex: String =
                (1..bytes.len()).flat_map(|nth| hex_pair(bytes, nth * 2 - 1)).collect();
            assert_eq!(hex, to_hex(bytes)[1..bytes.len() * 2 - 1]);
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
