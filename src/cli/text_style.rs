//! The colours and the width of text for people on standard output.

use std::{ffi::OsString, iter};

use anstream::ColorChoice;
use anstyle::{AnsiColor, Style};
use clap::ValueEnum;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// The option `--color`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum ColorWhen {
    #[default]
    Auto,
    Always,
    Never,
}

impl ColorWhen {
    /// The choice in a command line that is not parsed yet: its help and its errors have colours too.
    pub(super) fn of_arguments(arguments: impl Iterator<Item = OsString>) -> Self {
        const NAME: &str = "--color";
        let words: Vec<_> = arguments.map(|word| word.to_string_lossy().into_owned()).collect();
        let next = words.iter().skip(1).map(Some).chain(iter::once(None));
        let choices = words.iter().zip(next).filter_map(|(word, next)| {
            let value = match word.strip_prefix(NAME)? {
                "" => next?,
                rest => rest.strip_prefix('=')?,
            };
            Self::from_str(value, false).ok()
        });
        choices.last().unwrap_or_default()
    }

    /// Makes it the choice of this process, for help texts and log lines too.
    pub(super) fn apply(self) {
        let choice = match self {
            Self::Auto => ColorChoice::Auto,
            Self::Always => ColorChoice::Always,
            Self::Never => ColorChoice::Never,
        };
        choice.write_global();
    }
}

/// How standard output shows text. The default is the one of a pipe: without escapes, at any width.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct TextStyle {
    pub(super) colours: bool,
    /// The columns of a terminal.
    pub(super) width: Option<usize>,
}

const HEADING: Style = Style::new().bold();
const GOOD: Style = AnsiColor::Green.on_default();
const NOTABLE: Style = AnsiColor::Yellow.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();

impl TextStyle {
    fn paint(self, style: Style, text: &str) -> String {
        if self.colours { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }

    /// A word for a state, in the colour of what it means: `ok`, `note`, `FAULT`.
    pub(super) fn state(self, word: &str) -> String {
        match word.trim_end() {
            "ok" | "ready" => self.paint(GOOD, word),
            "note" | "waiting" => self.paint(NOTABLE, word),
            "FAULT" | "not_ready" => self.paint(BAD, word),
            _ => word.to_owned(),
        }
    }

    /// The heading of a table, cut like its rows.
    pub(super) fn heading(self, line: &str) -> String {
        self.paint(HEADING, &self.row(line))
    }

    /// A row of a table: cut to the width of a terminal, so that each row is one line there.
    pub(super) fn row(self, line: &str) -> String {
        match self.width {
            Some(width) if line.width() > width => {
                let mut room = width.saturating_sub(1);
                let fits = |c: &char| match room.checked_sub(c.width().unwrap_or_default()) {
                    Some(rest) => {
                        room = rest;
                        true
                    }
                    None => false,
                };
                let mut cut: String = line.chars().take_while(fits).collect();
                cut.push('…');
                cut
            }
            _ => line.to_owned(),
        }
    }

    /// A text that begins in the column `indent`: its further lines begin there too, on a terminal that is wide enough.
    pub(super) fn paragraph(self, indent: usize, text: &str) -> String {
        /// A narrower column is harder to read than lines that the terminal breaks.
        const NARROWEST: usize = 20;
        let room = self.width.map_or(0, |width| width.saturating_sub(indent));
        if room < NARROWEST || text.contains('\n') {
            return text.to_owned();
        }
        let (mut wrapped, mut column) = (String::new(), 0);
        for word in text.split(' ') {
            let width = word.width();
            if column > 0 && column + 1 + width > room {
                wrapped.push('\n');
                wrapped.extend(iter::repeat_n(' ', indent));
                column = 0;
            } else if !wrapped.is_empty() {
                wrapped.push(' ');
                column += 1;
            }
            wrapped.push_str(word);
            column += width;
        }
        wrapped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: TextStyle = TextStyle { colours: false, width: None };

    #[test]
    fn the_last_choice_of_a_command_line_is_found_before_it_is_parsed() {
        for (line, expected) in [
            ("revoker run", ColorWhen::Auto),
            ("revoker --color never run", ColorWhen::Never),
            ("revoker run --color=always", ColorWhen::Always),
            ("revoker --color always run --color never", ColorWhen::Never),
            ("revoker --color", ColorWhen::Auto),
            ("revoker --color purple", ColorWhen::Auto),
            ("revoker --colors never", ColorWhen::Auto),
        ] {
            let words = line.split(' ').map(OsString::from);
            assert_eq!(ColorWhen::of_arguments(words), expected, "{line}");
        }
    }

    #[test]
    fn states_have_colours_only_where_they_are_wanted() {
        let coloured = TextStyle { colours: true, width: None };
        for (word, colour) in [("ok   ", "32"), ("note ", "33"), ("FAULT", "31"), ("ready", "32")] {
            let text = coloured.state(word);
            assert!(
                text.contains(colour) && text.contains(word) && text.ends_with('m'),
                "{text:?}"
            );
            assert_eq!(PLAIN.state(word), word);
        }
        assert_eq!(coloured.state("else"), "else");
        assert_eq!(
            (PLAIN.heading("AGE"), coloured.heading("A").len() > 1),
            ("AGE".to_owned(), true)
        );
    }

    #[test]
    fn a_row_is_cut_to_the_columns_of_a_terminal() {
        let narrow = TextStyle { colours: false, width: Some(6) };
        for (line, expected) in [
            ("short", "short"),
            ("exact6", "exact6"),
            ("longer7", "longe…"),
            ("ñandú-7", "ñandú…"),
            // Each of these has two columns.
            ("漢字漢字", "漢字…"),
        ] {
            assert_eq!(narrow.row(line), expected);
            assert_eq!(PLAIN.row(line), line);
        }
    }

    #[test]
    fn a_paragraph_stays_in_its_column() {
        let terminal = TextStyle { colours: false, width: Some(30) };
        let text = "the queue is not there yet; the worker will declare it";
        assert_eq!(
            terminal.paragraph(4, text),
            "the queue is not there\n    yet; the worker will\n    declare it"
        );
        assert_eq!(terminal.paragraph(20, text), text, "too narrow a column");
        assert_eq!(PLAIN.paragraph(4, text), text);
        assert_eq!(terminal.paragraph(4, "a  b"), "a  b");
        let long = "x".repeat(40);
        assert_eq!(terminal.paragraph(4, &format!("a {long} b")), format!("a\n    {long}\n    b"));
    }
}
