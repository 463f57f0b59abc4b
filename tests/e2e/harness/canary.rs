//! Values that must never show. Every test's tokens, client secret and broker password contain one. The harness searches
//! all output of the product for them, in the forms that a careless formatter would print.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

/// Part of every token. `+` and `/` make its URL-encoded form differ from its text.
pub const TOKEN: &str = "cAn4ry+Tok/9vQ2xE7";
/// The secret of every client.
pub const SECRET: &str = "cAn4ry+Sec/7LmP4wB1";
/// The worker's password at the broker.
pub const PASSWORD: &str = "cAn4ry+Pwd/3KfW8rD5";

/// The key of the history headers, for workers with a key.
pub const HISTORY_KEY: &str = "cAn4ry+Key/6ZtX5nG9Jd8RqW3cVy7LbT1kF4h";

/// The length of a piece of a canary that a cut leaves. Each such piece must be found.
const CUT: usize = 12;

/// A file with the history key.
pub fn history_key_file() -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("history-keys");
    // The file is replaced in one step, so that a concurrent reader finds it complete.
    let unfinished = path.with_extension(std::process::id().to_string());
    std::fs::write(&unfinished, HISTORY_KEY).unwrap();
    std::fs::rename(&unfinished, &path).unwrap();
    path
}

/// A token of its own for each job of a test.
pub fn token(n: usize) -> String {
    format!("{TOKEN}-{n}")
}

/// Fails if `output`, printed by `who`, shows a canary in any form.
pub fn assert_clean(who: &str, output: &[u8]) {
    for canary in [TOKEN, SECRET, PASSWORD, HISTORY_KEY] {
        for form in forms(canary).into_iter().chain(cuts(canary)).chain(in_a_header(canary)) {
            if let Some(at) = find(output, form.as_bytes()) {
                let around =
                    &output[at.saturating_sub(300)..(at + form.len() + 100).min(output.len())];
                panic!(
                    "{who} shows the canary {canary} as {form}: …{}…",
                    String::from_utf8_lossy(around)
                );
            }
        }
    }
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

/// The pieces that a cut leaves of a plain canary.
fn cuts(canary: &str) -> Vec<String> {
    (0..=canary.len() - CUT).map(|from| canary[from..from + CUT].to_owned()).collect()
}

/// The forms of a form-encoded secret after its client's id in the header `Authorization`. An unencoded secret is one
/// of [`forms`].
fn in_a_header(canary: &str) -> impl Iterator<Item = String> {
    let in_a_form = canary.replace('+', "%2B").replace('/', "%2F");
    (0..3).map(move |alignment| base64_inside(in_a_form.as_bytes(), alignment))
}

/// Each character of a canary, in another encoding.
fn each(canary: &str, write: impl Fn(char) -> String) -> String {
    canary.chars().map(write).collect()
}

/// Each character as JSON may escape it.
pub fn escaped(text: &str) -> String {
    each(text, |c| format!("\\u{:04x}", u32::from(c)))
}

/// The forms in which bytes may be shown: plain, in another case, in hex, in base64, as a list of numbers, in a URL, in
/// HTML, in JSON.
pub fn forms(canary: &str) -> Vec<String> {
    let bytes = canary.as_bytes();
    let hex = bytes.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    let decimal: Vec<String> = bytes.iter().map(u8::to_string).collect();
    let mut forms = vec![
        canary.to_owned(),
        hex.to_uppercase(),
        hex,
        decimal.join(", "),
        decimal.join(","),
        decimal.join(" "),
        canary.replace('+', "%2B").replace('/', "%2F"),
        canary.replace('+', "%2b").replace('/', "%2f"),
        canary.replace('/', "%2F"),
        canary.replace('/', "%2f"),
        canary.replace('/', "\\/"),
        canary.to_uppercase(),
        canary.to_lowercase(),
        each(canary, |c| format!("%{:02X}", u32::from(c))),
        each(canary, |c| format!("%{:02x}", u32::from(c))),
        escaped(canary),
        each(canary, |c| format!("\\u{:04X}", u32::from(c))),
        each(canary, |c| format!("\\x{:02x}", u32::from(c))),
        each(canary, |c| format!("&#{};", u32::from(c))),
        each(canary, |c| format!("&#x{:X};", u32::from(c))),
        canary.replace('+', "\\u002b").replace('/', "\\u002f"),
        canary.replace('+', "\\u002B").replace('/', "\\u002F"),
        canary.replace('+', "&#43;").replace('/', "&#47;"),
        canary.replace('+', "&#x2B;").replace('/', "&#x2F;"),
        canary.replace('+', "&plus;").replace('/', "&sol;"),
        canary.replace('+', " "),
    ];
    for alignment in 0..3 {
        let standard = base64_inside(bytes, alignment);
        forms.push(standard.replace('+', "-").replace('/', "_"));
        forms.push(standard);
    }
    forms
}

/// The characters of a base64 text that `bytes` alone determine where they begin `alignment` bytes
/// past a multiple of three.
pub fn base64_inside(bytes: &[u8], alignment: usize) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bit = |at: usize| bytes[at / 8] >> (7 - at % 8) & 1;
    let skipped = (6 - alignment * 8 % 6) % 6;
    (skipped..=bytes.len() * 8 - 6)
        .step_by(6)
        .map(|first| (first..first + 6).fold(0, |index, at| index << 1 | bit(at)))
        .map(|index| char::from(ALPHABET[usize::from(index)]))
        .collect()
}

/// The guard itself must be able to fail: each form is found, and a clean text is not.
#[test]
fn every_form_of_a_canary_is_found() {
    for canary in [TOKEN, SECRET, PASSWORD, HISTORY_KEY] {
        for form in forms(canary).into_iter().chain(cuts(canary)).chain(in_a_header(canary)) {
            let output = format!("before {form} after");
            let found = std::panic::catch_unwind(|| assert_clean("a test", output.as_bytes()));
            assert!(found.is_err(), "{form} was overlooked");
        }
    }
    assert_clean("a test", b"fingerprint ba7816bf8f01, reason rejected");
}

/// Known answers for the base64 forms, which no other code checks.
#[test]
fn base64_forms_match_an_encoder() {
    // base64 of "abcdef", "?abcdef" and "??abcdef": YWJjZGVm, P2FiY2RlZg==, Pz9hYmNkZWY=
    assert_eq!(base64_inside(b"abcdef", 0), "YWJjZGVm");
    assert_eq!(base64_inside(b"abcdef", 1), "FiY2RlZ");
    assert_eq!(base64_inside(b"abcdef", 2), "hYmNkZW");
}
