//! Refuses texts that cannot be tokens, although they fit into the field.
//!
//! A token is kept byte for byte. A spreadsheet, a web page or a script may put quotes or spaces around it.
//! The endpoint would reject that text, and the token would stay valid.

use super::{error::Refusal, fields::JobField};

/// Opening and closing quotes, of several languages.
const QUOTES: [(char, char); 9] = [
    ('"', '"'),
    ('\'', '\''),
    ('`', '`'),
    ('\u{201c}', '\u{201d}'),
    ('\u{201e}', '\u{201c}'),
    ('\u{201d}', '\u{201d}'),
    ('\u{2018}', '\u{2019}'),
    ('\u{2019}', '\u{2019}'),
    ('\u{ab}', '\u{bb}'),
];

/// The name of an invisible character.
pub(super) const fn invisible(c: char) -> Option<&'static str> {
    match c {
        '\u{ad}' => Some("a soft hyphen"),
        '\u{200b}' => Some("a zero-width space"),
        '\u{180e}' | '\u{200c}' | '\u{200d}' | '\u{2060}' => Some("a zero-width character"),
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            Some("a direction mark")
        }
        '\u{feff}' => Some("a byte order mark"),
        _ => None,
    }
}

/// Checks the first and the last character: whatever is around a token would be sent with it.
pub(super) fn check_ends(token: &str) -> Result<(), Refusal> {
    let mut chars = token.chars();
    let (first, last) = (chars.next(), chars.next_back());
    if let Some(blank) = first.into_iter().chain(last).find_map(blank) {
        return Err(Refusal::Surrounded(blank));
    }
    if first.zip(last).is_some_and(|ends| QUOTES.contains(&ends)) {
        return Err(Refusal::Quoted);
    }
    Ok(())
}

pub(super) fn check(token: &str) -> Result<(), Refusal> {
    check_ends(token)?;
    if token.eq_ignore_ascii_case(JobField::RefreshToken.as_str()) {
        return Err(Refusal::HeaderRow);
    }
    token.chars().find_map(invisible).map_or(Ok(()), |name| Err(Refusal::Invisible(name)))
}

/// The name of a blank character.
fn blank(c: char) -> Option<&'static str> {
    match c {
        ' ' => Some("a space"),
        '\t' => Some("a tab"),
        '\u{a0}' | '\u{202f}' | '\u{2007}' => Some("a no-break space"),
        c if c.is_whitespace() => Some("a blank"),
        c => invisible(c),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn characters_around_a_token_are_named() {
        let cases = [
            (" t", Refusal::Surrounded("a space")),
            ("t ", Refusal::Surrounded("a space")),
            (" ", Refusal::Surrounded("a space")),
            ("t\u{a0}", Refusal::Surrounded("a no-break space")),
            ("\u{2003}t", Refusal::Surrounded("a blank")),
            ("t\u{3000}", Refusal::Surrounded("a blank")),
            ("\tt", Refusal::Surrounded("a tab")),
            ("t\u{b}", Refusal::Surrounded("a blank")),
            ("\u{200b}t", Refusal::Surrounded("a zero-width space")),
            ("t\u{feff}", Refusal::Surrounded("a byte order mark")),
            ("t\u{feff}u", Refusal::Invisible("a byte order mark")),
            ("t\u{200b}u", Refusal::Invisible("a zero-width space")),
            ("t\u{202c}", Refusal::Surrounded("a direction mark")),
            ("Refresh_Token", Refusal::HeaderRow),
            ("\"t\"", Refusal::Quoted),
            ("'t'", Refusal::Quoted),
            ("''", Refusal::Quoted),
            ("\u{201c}t\u{201d}", Refusal::Quoted),
            ("\u{201e}t\u{201c}", Refusal::Quoted),
            ("\u{ab}t\u{bb}", Refusal::Quoted),
        ];
        for (token, refusal) in cases {
            assert_eq!(check(token), Err(refusal), "{token:?}");
        }
    }

    #[test]
    fn a_valid_token_is_accepted() {
        for token in
            ["t", "a b", "\"t", "t'", "t\"u\"", "\"", "ÿ", "a\u{a0}b", "=t=", "\"t'", "-t."]
        {
            assert_eq!(check(token), Ok(()), "{token:?}");
        }
    }

    proptest! {
        /// Every text of the characters that RFC 6749 allows is a valid token, unless spaces or quotes surround it.
        #[test]
        fn the_tokens_of_the_standard_pass(token in "[!#-&(-_a-~][ -~]{0,40}[!#-&(-_a-~]") {
            prop_assert_eq!(check(&token), Ok(()));
        }
    }
}
