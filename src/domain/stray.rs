//! Characters that are in a secret or an id by mistake.
//!
//! An editor, a spreadsheet, a shell or `echo | base64` adds them, and they are invisible. The endpoint then
//! rejects each job as it does for a wrong secret.

use std::fmt;

/// A kind of character that does not belong to a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stray {
    /// A byte order mark, from a file saved as "UTF-8 with BOM".
    ByteOrderMark,
    /// A NUL, from a file in another encoding or with fixed-width fields.
    Nul,
    /// A line break, from a file with several lines or a value encoded with its newline.
    LineBreak,
    /// A tab, an escape sequence.
    Control,
    /// A space at either end, of any kind.
    Blank,
    /// Zero-width characters, which web pages and chats add to copied text.
    Invisible,
    /// Quotes around it, which configuration files and shells need, but secret files do not.
    Quotes,
}

const BYTE_ORDER_MARK: char = '\u{feff}';

/// Characters without a width: zero-width spaces and joiners, marks of direction, soft hyphens.
const INVISIBLE: [char; 9] = [
    '\u{200b}', '\u{200c}', '\u{200d}', '\u{200e}', '\u{200f}', '\u{2060}', '\u{202a}', '\u{202c}',
    '\u{ad}',
];

/// Opening and closing quotes.
const QUOTES: [(char, char); 7] = [
    ('"', '"'),
    ('\'', '\''),
    ('`', '`'),
    ('\u{201c}', '\u{201d}'),
    ('\u{201e}', '\u{201c}'),
    ('\u{2018}', '\u{2019}'),
    ('\u{ab}', '\u{bb}'),
];

impl Stray {
    /// The worst kind in a text, if there is any.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        let holds = |wanted: fn(char) -> bool| text.contains(wanted);
        let begins = text.chars().next()?;
        let ends = text.chars().next_back()?;
        if text.contains(BYTE_ORDER_MARK) {
            Some(Self::ByteOrderMark)
        } else if text.contains('\0') {
            Some(Self::Nul)
        } else if holds(|c| matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')) {
            Some(Self::LineBreak)
        } else if holds(char::is_control) {
            Some(Self::Control)
        } else if begins.is_whitespace() || ends.is_whitespace() {
            Some(Self::Blank)
        } else if holds(|c| INVISIBLE.contains(&c)) {
            Some(Self::Invisible)
        } else if text.len() > 1 && QUOTES.contains(&(begins, ends)) {
            Some(Self::Quotes)
        } else {
            None
        }
    }

    /// Whether no secret and no id can contain it: OAuth allows printable ASCII (RFC 6749, appendix A). The others
    /// are suspicious only: a space and a quote are printable, and some servers accept more.
    #[must_use]
    pub const fn is_wrong(self) -> bool {
        matches!(self, Self::ByteOrderMark | Self::Nul | Self::LineBreak | Self::Control)
    }

    /// The remedy, as an instruction.
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        if self.is_wrong() {
            "remove it: the endpoint would reject every job"
        } else {
            "remove it unless it belongs there: the endpoint would reject every job"
        }
    }
}

impl fmt::Display for Stray {
    /// Continues a sentence that began with the text's name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ByteOrderMark => "holds a byte order mark",
            Self::Nul => "holds a NUL",
            Self::LineBreak => "holds a line break",
            Self::Control => "holds a control character",
            Self::Blank => "begins or ends with a blank",
            Self::Invisible => "holds an invisible character",
            Self::Quotes => "is in quotes",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stray_characters_of_a_text_are_found() {
        for (text, stray) in [
            ("", None),
            ("s3cret", None),
            ("two words", None),
            ("pässwörd", None),
            ("it's", None),
            ("\"", None),
            ("\"a", None),
            ("a\"b\"", None),
            ("\u{feff}s3cret", Some(Stray::ByteOrderMark)),
            ("s3\u{feff}cret", Some(Stray::ByteOrderMark)),
            ("s3cret\0", Some(Stray::Nul)),
            ("s\0x\0", Some(Stray::Nul)),
            ("s3cret\n", Some(Stray::LineBreak)),
            ("s3cret\r", Some(Stray::LineBreak)),
            ("one\ntwo", Some(Stray::LineBreak)),
            ("s3cret\u{2028}", Some(Stray::LineBreak)),
            ("\ts3cret", Some(Stray::Control)),
            ("s3\u{1b}[0mcret", Some(Stray::Control)),
            (" s3cret", Some(Stray::Blank)),
            ("s3cret ", Some(Stray::Blank)),
            ("s3cret\u{a0}", Some(Stray::Blank)),
            ("\u{3000}s3cret", Some(Stray::Blank)),
            (" ", Some(Stray::Blank)),
            ("s3\u{200b}cret", Some(Stray::Invisible)),
            ("\"s3cret\"", Some(Stray::Quotes)),
            ("'s3cret'", Some(Stray::Quotes)),
            ("`s3cret`", Some(Stray::Quotes)),
            ("\u{201c}s3cret\u{201d}", Some(Stray::Quotes)),
            ("''", Some(Stray::Quotes)),
        ] {
            assert_eq!(Stray::of(text), stray, "{text:?}");
        }
    }

    #[test]
    fn printable_strays_are_suspicious_and_the_others_are_wrong() {
        let wrong = ["\u{feff}a", "a\0", "a\n", "\ta"];
        assert!(wrong.iter().all(|text| Stray::of(text).unwrap().is_wrong()));
        let odd = [" a", "a\u{a0}", "\u{200b}a", "\"a\""];
        assert!(odd.iter().all(|text| !Stray::of(text).unwrap().is_wrong()));
    }
}
