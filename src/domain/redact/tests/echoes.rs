//! Tests of the forms in which servers showed a whole token, and of similar forms. Each also covers a cut of 8
//! characters.

use base64::engine::general_purpose::URL_SAFE;

use super::*;

/// A secret with a digit in every 8 characters: divided letters alone may be words.
const DIVIDED: &str = "q7Xk2VbR9zT4mLw8cP1hJ6uD3sF5yG0e";

/// The most characters that may remain at the ends of an encoded cut: a prefix, or a shared character of a base64
/// group.
const LEFT: usize = 6;

type Write = fn(&str) -> String;

fn bytes(text: &str, between: &str, write: impl Fn(u8) -> String) -> String {
    text.bytes().map(write).collect::<Vec<_>>().join(between)
}

fn utf16_le(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn utf16_be(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

fn hex_of(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

/// Bytes in pairs, the second one first, like `od -x`, which pads the last pair.
fn words(text: &str) -> String {
    let words =
        text.as_bytes().chunks(2).map(|word| hex_of(&[word.get(1).copied().unwrap_or(0), word[0]]));
    words.collect::<Vec<_>>().join(" ")
}

const NUMBERS: [(&str, Write); 17] = [
    ("0x71 0x58", |text| bytes(text, " ", |byte| format!("{byte:#04x}"))),
    ("0x71,0x58", |text| bytes(text, ",", |byte| format!("{byte:#04X}"))),
    ("0x710x58", |text| bytes(text, "", |byte| format!("{byte:#04x}"))),
    ("0x7158", |text| format!("0x{}", hex_of(text.as_bytes()))),
    ("x71 x58", |text| bytes(text, " ", |byte| format!("x{byte:02x}"))),
    ("71h 58h", |text| bytes(text, " ", |byte| format!("{byte:02x}h"))),
    ("\\x71\\x58", |text| bytes(text, "", |byte| format!("\\x{byte:02x}"))),
    ("\\x71 \\x58", |text| bytes(text, " ", |byte| format!("\\x{byte:02x}"))),
    ("=71=58", |text| bytes(text, "", |byte| format!("={byte:02X}"))),
    ("U+0071 U+0058", |text| bytes(text, " ", |byte| format!("U+{byte:04X}"))),
    ("5871 6b37", words),
    ("161 130", |text| bytes(text, " ", |byte| format!("{byte:03o}"))),
    ("0o161 0o130", |text| bytes(text, " ", |byte| format!("{byte:#05o}"))),
    ("01110001", |text| bytes(text, " ", |byte| format!("{byte:08b}"))),
    ("0b01110001", |text| bytes(text, ", ", |byte| format!("{byte:#010b}"))),
    ("113 088", |text| bytes(text, " ", |byte| format!("{byte:03}"))),
    ("[113, 0, 88, 0]", |text| format!("{:?}", utf16_le(text))),
];

const REFERENCES: [(&str, Write); 8] = [
    ("&#00000113;", |text| bytes(text, "", |byte| format!("&#{byte:08};"))),
    ("&#x0000000071;", |text| bytes(text, "", |byte| format!("&#x{byte:010x};"))),
    ("&#000...0113", |text| bytes(text, "", |byte| format!("&#{byte:050}"))),
    ("&amp;#00000113;", |text| bytes(text, "", |byte| format!("&amp;#{byte:08};"))),
    ("\\u{000071}", |text| bytes(text, "", |byte| format!("\\u{{{byte:06x}}}"))),
    ("\\x{71}", |text| bytes(text, "", |byte| format!("\\x{{{byte:x}}}"))),
    ("\\U00000071", |text| bytes(text, "", |byte| format!("\\U{byte:08x}"))),
    ("q%00X%00", |text| bytes(text, "", |byte| format!("{}%00", char::from(byte)))),
];

const UTF_16: [(&str, Write); 7] = [
    ("hex of UTF-16, little-endian", |text| hex_of(&utf16_le(text))),
    ("hex of UTF-16, big-endian", |text| hex_of(&utf16_be(text)).to_uppercase()),
    ("base64 of UTF-16, little-endian", |text| STANDARD.encode(utf16_le(text))),
    ("base64 of UTF-16, big-endian", |text| URL_SAFE_NO_PAD.encode(utf16_be(text))),
    ("hex dump of UTF-16", |text| {
        let dump = utf16_le(text).iter().map(|byte| format!("0x{byte:02x}")).collect::<Vec<_>>();
        dump.join(" ")
    }),
    ("UTF-16 behind its mark, in base64", |text| {
        STANDARD.encode([&[0xff, 0xfe][..], &utf16_le(text)].concat())
    }),
    ("UTF-16 in a text", |text| text.chars().flat_map(|c| [c, '\0']).collect()),
];

const TWICE: [(&str, Write); 8] = [
    ("base64 of base64", |text| STANDARD.encode(STANDARD.encode(text))),
    ("base64 of base64 for URLs", |text| URL_SAFE_NO_PAD.encode(URL_SAFE_NO_PAD.encode(text))),
    ("base64 of base64, both kinds", |text| URL_SAFE.encode(STANDARD.encode(text))),
    ("base64 of a text with base64", |text| {
        STANDARD.encode(format!("{{\"t\":\"{}\"}}", STANDARD.encode(text)))
    }),
    ("base64 of hex", |text| STANDARD.encode(hex_of(text.as_bytes()))),
    ("hex of base64", |text| hex_of(STANDARD.encode(text).as_bytes())),
    ("hex of hex", |text| hex_of(hex_of(text.as_bytes()).as_bytes())),
    ("base64 in quoted-printable", |text| {
        STANDARD.encode(text).replace('=', "=3D").replace('/', "=2F").replace('+', "=2B")
    }),
];

const DIVIDERS: [&str; 14] = [
    " ",
    "-",
    ".",
    "\n",
    "\r\n ",
    ", ",
    "' + '",
    "<wbr>",
    "<br/>",
    "<span class=\"t\">",
    "&lt;wbr&gt;",
    "&shy;",
    "&ZeroWidthSpace;",
    "=\r\n",
];

fn divided(text: &str, length: usize, divider: &str) -> String {
    let pieces: Vec<&str> =
        text.as_bytes().chunks(length).map(|piece| std::str::from_utf8(piece).unwrap()).collect();
    pieces.join(divider)
}

/// The whole secret, and each cut of 8 characters.
fn cuts() -> impl Iterator<Item = &'static str> {
    [DIVIDED].into_iter().chain((0..=DIVIDED.len() - RUN).map(|at| &DIVIDED[at..at + RUN]))
}

/// At most `left` letters and digits of the form may be left.
fn assert_hidden(form: &str, left: usize, how: &str) {
    let shown = clean(&[DIVIDED], &format!("??: {form} !"));
    let rest = shown.strip_prefix("??: ").unwrap_or_else(|| panic!("{how}: {shown}"));
    assert!(rest.contains(REDACTED), "{how}: {shown}");
    let rest = bare(&rest.replace(REDACTED, ""));
    assert!(rest.len() <= left, "{how}: {rest:?} is left of {form:?} in {shown:?}");
    assert!(concerns(DIVIDED, form), "{how}: {form}");
}

fn assert_all_hidden(forms: &[(&str, Write)]) {
    for (how, write) in forms {
        for cut in cuts() {
            assert_hidden(&write(cut), LEFT, how);
        }
    }
}

#[test]
fn dumps_of_numbers_are_replaced_with_any_prefix() {
    assert_all_hidden(&NUMBERS);
}

#[test]
fn character_references_of_any_length_are_replaced() {
    assert_all_hidden(&REFERENCES);
}

#[test]
fn utf_16_is_replaced_in_hex_and_in_base64() {
    assert_all_hidden(&UTF_16);
}

#[test]
fn an_encoding_within_an_encoding_is_replaced() {
    for (how, write) in &TWICE {
        // Each of the two leaves the shared characters of its base64 group, and one has surrounding text.
        cuts().for_each(|cut| assert_hidden(&write(cut), 3 * LEFT, how));
    }
}

#[test]
fn a_divided_secret_is_replaced_with_any_separator() {
    for divider in DIVIDERS {
        for length in 1..RUN {
            cuts().for_each(|cut| assert_hidden(&divided(cut, length, divider), 0, divider));
        }
    }
}

/// Letters alone may be words, so only a long run of them is found.
#[test]
fn a_divided_secret_of_letters_is_replaced_where_it_is_long() {
    for divider in [" ", "-", "\n"] {
        let shown = clean(&["qlxkavbrizthmlwocplh"], &divided("qlxkavbrizthmlwocplh", 5, divider));
        assert_eq!(shown, REDACTED, "{divider:?}");
    }
}

#[test]
fn quoted_printable_is_replaced_where_only_some_characters_are_quoted() {
    let quote = |text: &str| -> String {
        let quote = |c: char| {
            if c.is_ascii_alphanumeric() { c.into() } else { percent(c).replace('%', "=") }
        };
        text.chars().map(quote).collect()
    };
    assert_eq!(clean(&[TOKEN], &format!("<{}>", quote(TOKEN))), "<[redacted]>");
    let characters: Vec<char> = TOKEN.chars().collect();
    for cut in characters.windows(RUN) {
        let cut: String = cut.iter().collect();
        assert_eq!(clean(&[TOKEN], &format!("<{}>", quote(&cut))), "<[redacted]>", "{cut}");
    }
}

fn a_word() -> impl Strategy<Value = String> {
    let words = select(&[
        "Refresh",
        "Token",
        "no",
        "encontrado",
        "the",
        "client",
        "credentials",
        "are",
        "invalid",
        "usuario",
        "expired",
        "at",
        "request",
        "id",
        "unauthorized",
        "grant",
        "sesión",
        "cerrada",
        "HTTP",
        "accessToken",
        "refreshToken",
        "error=invalid_grant",
        "&",
        "<b>",
        "100%",
        "n/a",
        "(code",
        "01)",
        "Basic",
        "0x1f",
    ]);
    prop_oneof![
        8 => words.prop_map(str::to_owned),
        1 => "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
        1 => "[0-9a-f]{32}",
        1 => "20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9]Z",
        1 => "[0-9]{1,10}",
        1 => "[A-Z]{2,5}-[0-9]{3,6}",
    ]
}

proptest! {
    #[test]
    fn ordinary_sentences_stay(
        token in prop_oneof![any_token(), Just("a-refresh-token-of-mine".to_owned())],
        sentence in prop::collection::vec(a_word(), 1..24),
    ) {
        let sentence = sentence.join(" ");
        prop_assert_eq!(clean(&[&token, "client-secret-of-mine"], &sentence), sentence);
    }

    #[test]
    fn a_random_secret_is_found_in_every_echo(
        token in "[A-Za-z0-9]{24,80}",
        (how, write) in select([&NUMBERS[..], &REFERENCES, &UTF_16, &TWICE].concat()),
    ) {
        let shown = clean(&[&token], &format!("??: {} !", write(&token)));
        let rest = shown.replace(REDACTED, "");
        prop_assert!(bare(&rest).len() <= 3 * LEFT, "{}: {}", how, shown);
    }
}
