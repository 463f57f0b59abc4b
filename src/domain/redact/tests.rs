mod echoes;

use std::fmt::Write as _;

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use proptest::{prelude::*, sample::select};

use super::*;

/// A token with every kind of character that an encoding changes.
const TOKEN: &str = "qX7+Vb/9zT\"k&Lw\\4%Rj=Hñm_2-Zp";

fn clean(secrets: &[&str], text: &str) -> String {
    let secrets: Vec<SecretString> = secrets.iter().map(|s| SecretString::from(*s)).collect();
    Redactor::new(&secrets).clean(text)
}

fn concerns(secret: &str, id: &str) -> bool {
    Redactor::new([&SecretString::from(secret)]).concerns(id)
}

/// A way to write a character or a byte, by its name.
type Encoding = (&'static str, fn(&str) -> Vec<String>);

fn characters(text: &str, write: impl Fn(char) -> String) -> Vec<String> {
    text.chars().map(write).collect()
}

fn utf16(c: char) -> String {
    c.encode_utf16(&mut [0; 2]).iter().fold(String::new(), |mut escaped, unit| {
        let _ = write!(escaped, "\\u{unit:04x}");
        escaped
    })
}

fn percent(c: char) -> String {
    c.to_string().bytes().fold(String::new(), |mut escaped, byte| {
        let _ = write!(escaped, "%{byte:02X}");
        escaped
    })
}

/// Encodings of single characters: a cut lies between two of them.
const BY_CHARACTER: [Encoding; 14] = [
    ("as it is", |text| characters(text, String::from)),
    ("upper case", |text| characters(text, |c| c.to_uppercase().collect())),
    ("lower case", |text| characters(text, |c| c.to_lowercase().collect())),
    ("JSON", |text| {
        characters(text, |c| {
            let json = serde_json::to_string(&c).unwrap();
            json[1..json.len() - 1].to_owned()
        })
    }),
    ("JSON with \\/", |text| {
        characters(text, |c| match c {
            '"' | '\\' | '/' => format!("\\{c}"),
            c => c.to_string(),
        })
    }),
    ("JSON in ASCII", |text| characters(text, utf16)),
    ("debug output", |text| characters(text, |c| c.escape_debug().to_string())),
    ("debug output in ASCII", |text| characters(text, |c| c.escape_unicode().to_string())),
    ("percent, all of it", |text| characters(text, percent)),
    ("percent, lower case", |text| characters(text, |c| percent(c).to_lowercase())),
    ("percent where it must", |text| {
        characters(text, |c| if c.is_ascii_alphanumeric() { c.into() } else { percent(c) })
    }),
    ("percent twice", |text| {
        characters(text, |c| {
            if c.is_ascii_alphanumeric() { c.into() } else { percent(c).replace('%', "%25") }
        })
    }),
    ("HTML, decimal", |text| characters(text, |c| format!("&#{};", u32::from(c)))),
    ("HTML, hex", |text| characters(text, |c| format!("&#x{:X};", u32::from(c)))),
];

/// Encodings of the whole text: a cut may lie anywhere.
const WHOLE: [Encoding; 7] = [
    ("hex", |text| vec![hex(text, "")]),
    ("hex, upper case", |text| vec![hex(text, "").to_uppercase()]),
    ("hex with colons", |text| vec![hex(text, ":")]),
    ("decimal bytes", |text| vec![format!("{:?}", text.as_bytes()).replace(['[', ']'], "")]),
    ("base64", |text| vec![STANDARD.encode(text)]),
    ("base64 for URLs", |text| vec![URL_SAFE_NO_PAD.encode(text)]),
    ("base64, upper case", |text| vec![STANDARD.encode(text).to_uppercase()]),
];

fn hex(text: &str, between: &str) -> String {
    let bytes: Vec<String> = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    bytes.join(between)
}

fn html(text: &str) -> String {
    let escapes = [("&", "&amp;"), ("\"", "&quot;"), ("+", "&plus;"), ("/", "&sol;")];
    escapes.iter().fold(text.to_owned(), |text, (c, name)| text.replace(c, name))
}

/// The letters and digits of a text. Line breaks and other alphabets do not change them.
fn bare(text: &str) -> Vec<char> {
    let bare = text.chars().filter(char::is_ascii_alphanumeric);
    bare.map(|c| c.to_ascii_lowercase()).collect()
}

fn assert_no_run(shown: &str, pieces: &[String], how: &str) {
    for run in pieces.windows(RUN) {
        let run = run.concat();
        assert!(!shown.contains(&run), "{run:?} of {how} is left in {shown:?}");
    }
}

fn assert_no_bare_run(shown: &str, encoded: &str, how: &str) {
    let (shown_bare, encoded) = (bare(shown), bare(encoded));
    for run in encoded.windows(RUN) {
        let found = shown_bare.windows(RUN).any(|shown| shown == run);
        assert!(!found, "{run:?} of {how} is left in {shown:?}");
    }
}

#[test]
fn every_form_of_a_secret_is_replaced_and_the_text_around_it_stays() {
    let of_the_client = format!("client:{TOKEN}");
    let whole = WHOLE.iter().map(|(how, write)| (*how, write(TOKEN).concat()));
    let by_character = BY_CHARACTER.iter().map(|(how, write)| (*how, write(TOKEN).concat()));
    let others = [
        ("HTML, named", html(TOKEN)),
        ("a URL's form", form(TOKEN)),
        ("a URL's form in base64", STANDARD.encode(form(TOKEN))),
        ("a line of a certificate", wrapped(&STANDARD.encode(TOKEN))),
        ("base64 in JSON", STANDARD.encode(TOKEN).replace('/', "\\/")),
        ("base64 in a URL", STANDARD.encode(TOKEN).replace('+', "%2B").replace('=', "%3D")),
    ];
    for (how, form) in by_character.chain(whole).chain(others) {
        let shown = clean(&[TOKEN], &format!("no such token <{form}> here"));
        assert_eq!(
            shown.replace("==", "").replace('=', ""),
            "no such token <[redacted]> here",
            "{how}"
        );
    }
    // One or two characters of the same base64 group may be left.
    for encoded in [STANDARD.encode(&of_the_client), URL_SAFE_NO_PAD.encode(&of_the_client)] {
        let shown = clean(&[TOKEN], &format!("Basic {encoded}"));
        assert!(shown.starts_with("Basic Y2xpZW50O[redacted]"), "{shown}");
    }
}

fn form(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

fn wrapped(text: &str) -> String {
    let lines: Vec<&str> =
        text.as_bytes().chunks(10).map(|line| std::str::from_utf8(line).unwrap()).collect();
    lines.join("\r\n")
}

#[test]
fn short_secrets_are_replaced_as_well() {
    assert_eq!(
        clean(&["tok-1", "sec"], "no tok-1 with sec, tok-1"),
        "no [redacted] with [redacted], [redacted]"
    );
    assert_eq!(clean(&[" tok"], "token 'tok'!"), "[redacted]en '[redacted]'!");
    assert_eq!(clean(&["a\"b"], r#"said a\"b"#), "said [redacted]");
    assert_eq!(clean(&["abc"], "hex 616263, base64 YWJj"), "hex [redacted], base64 [redacted]");
    assert_eq!(clean(&[""], "nothing to hide"), "nothing to hide");
}

#[test]
fn words_that_a_secret_shares_with_a_text_stay() {
    for (secret, text) in [
        ("a-refresh-token-of-mine", "Refresh Token no encontrado"),
        ("unknown-to-the-endpoint-2", "Refresh Token no existe"),
        ("qX7+Vb/9zTk", "qX7+V is no token"),
        ("eyJhbGciOiJIUzI1NiJ9", "trace 0af7651916cd43dd8448eb211c80319c of 2023-11-14T22:12:20Z"),
        (TOKEN, "100% of %zz, &nothing; and \\q \\u12 are no escapes: &#; %"),
    ] {
        assert_eq!(clean(&[secret], text), text);
    }
}

#[test]
fn a_cleaned_text_stays_on_one_line() {
    assert_eq!(clean(&[], "one\ntwo\u{1b}[31m"), "one two [31m");
    assert_eq!(clean(&["of no concern"], "one\ntwo\u{1b}[31m"), "one two [31m");
}

#[test]
fn a_part_of_a_secret_in_any_form_concerns_it() {
    for id in [
        "id-0123456789",
        "345678",
        "7",
        "id-MDEyMzQ1Njc4OQ",
        "30313233343536373839",
        "logout of 345678",
    ] {
        assert!(concerns("0123456789", id), "{id}");
    }
    for id in ["logout-7", "0af7651916cd43dd8448eb211c80319c", "job-23"] {
        assert!(!concerns("0123456789", id), "{id}");
    }
}

#[test]
fn a_long_secret_and_a_long_text_take_little() {
    // A repetitive text and a repetitive secret share a run at every position.
    let secret = "ab".repeat(8 * 1024);
    let text = "ab".repeat(32 * 1024);
    assert_eq!(clean(&[&secret], &text), REDACTED);
    let escaped = format!("%{}41", "25".repeat(1000));
    assert_eq!(clean(&["a secret"], &escaped), escaped);
}

#[test]
fn a_text_is_cut_by_characters() {
    assert_eq!(cut("ñandú", 5), "ñandú");
    assert_eq!(cut("ñandúes", 5), "ñand…");
}

fn any_token() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[A-Za-z0-9_-]{16,100}",
        2 => "[A-Za-z0-9+/]{16,100}={0,2}",
        2 => "[!-~]{16,100}",
        1 => "\\PC{16,60}",
    ]
}

/// A control character is shown as a blank, which may complete a secret.
#[test]
fn a_secret_with_a_blank_is_redacted_where_a_control_character_stands_for_it() {
    for (secret, text) in [("a b", "-a\0b-"), (" ", "-\u{85}-")] {
        assert_eq!(clean(&[secret], text), "-[redacted]-");
    }
}

/// The readings of a text are kept for the next job, whose secrets are others.
#[test]
fn a_text_that_comes_again_is_searched_for_the_secrets_of_each_job() {
    let text = "token first-secret-1 or second-secret-2 is unknown";
    for _ in 0..2 {
        assert_eq!(clean(&["no-such-token"], text), text);
        let first = clean(&["first-secret-1"], text);
        assert!(!first.contains("first") && first.contains("unknown"), "{first}");
        assert_eq!(clean(&["no-such-token"], text), text);
        let second = clean(&["second-secret-2"], text);
        assert!(!second.contains("second") && second.contains("unknown"), "{second}");
        let short = clean(&["unknown"], text);
        assert!(!short.contains("unknown"), "{short}");
    }
}

proptest! {
    #[test]
    fn no_cut_of_an_escaped_secret_is_left(
        token in any_token(), encoding in select(&BY_CHARACTER), from in 0usize..90, length in RUN..100,
        before in "[ -~]{0,12}",
    ) {
        let (how, write) = encoding;
        let pieces = write(&token);
        let from = from.min(pieces.len() - RUN);
        let cut = &pieces[from..(from + length).min(pieces.len())];
        // An escape at the end of `before` would change the following text.
        let before = before.trim_end_matches(|c: char| c.is_ascii_alphanumeric());
        let text = format!("{before} {}: no such token", cut.concat());
        assert_no_run(&clean(&[&token], &text), cut, how);
    }

    #[test]
    fn no_cut_of_an_encoded_secret_is_left(
        token in any_token(), encoding in select(&WHOLE), before in "[ -~]{0,8}", behind in "[ -~]{0,8}",
        from in 0usize..200, length in 12usize..300,
    ) {
        let (how, write) = encoding;
        let encoded = write(&format!("{before}{token}{behind}")).concat();
        let inside = write(&token).concat();
        let from = from.min(encoded.len() / 2);
        let cut = &encoded[from..(from + length).min(encoded.len())];
        let shown = clean(&[&token], &format!("no such token: {cut} !"));
        // Base64 of the whole contains base64 of the secret only if the secret begins at a group.
        if how.starts_with("base64") && before.len() % 3 != 0 {
            prop_assert!(shown.contains(REDACTED) || cut.len() < 40, "{shown}");
        } else {
            assert_no_bare_run(&shown, &inside[..inside.len() - 4], how);
        }
    }

    #[test]
    fn no_text_makes_the_search_panic(token in "\\PC{1,40}", text in ".{0,80}|[%&#\\\\ux0-9a-f;{}]{0,80}") {
        let shown = clean(&[&token], &text);
        prop_assert!(!shown.contains(char::is_control));
        prop_assert!(!shown.replace(REDACTED, "").contains(&token) || REDACTED.contains(&token));
        let _ = concerns(&token, &text);
    }
}
