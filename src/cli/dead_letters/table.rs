//! Dead letters as a table, one line each.

use std::{
    fmt::Write as _,
    iter,
    time::{Duration, SystemTime},
};

use unicode_width::UnicodeWidthStr as _;

use crate::{
    cli::text_style::TextStyle,
    domain::{Lane, StoredLetter, cut},
};

const HEAD: [&str; 7] = ["AGE", "REASON", "CODE", "LANE", "FINGERPRINT", "JOB ID", "DETAIL"];

/// The most characters of a job id; `show` prints all of it.
const MAX_ID_CHARS: usize = 40;

/// The most characters of a detail; `show` prints all of it.
const MAX_DETAIL_CHARS: usize = 80;

const NOTHING: &str = "-";

#[derive(Debug)]
pub(super) struct LetterRow([String; HEAD.len()]);

impl LetterRow {
    /// The line of a dead letter, given the current time.
    pub(super) fn new(letter: &StoredLetter, now: SystemTime) -> Self {
        let nothing = || NOTHING.to_owned();
        Self([
            letter.age(now).map_or_else(nothing, age),
            letter.reason.to_string(),
            letter.code.clone().unwrap_or_else(nothing),
            letter.lane.map_or(NOTHING, Lane::as_str).to_owned(),
            letter.fingerprint.map_or_else(nothing, |fingerprint| fingerprint.to_string()),
            cut(letter.id.as_str(), MAX_ID_CHARS),
            cut(&letter.detail, MAX_DETAIL_CHARS),
        ])
    }
}

/// A table that is printed in parts. The first part determines the widths of the columns.
#[derive(Debug, Default)]
pub(super) struct LetterTable {
    widths: Option<[usize; HEAD.len()]>,
    style: TextStyle,
}

impl LetterTable {
    pub(super) const fn new(style: TextStyle) -> Self {
        Self { widths: None, style }
    }

    /// Whether a part was rendered.
    pub(super) const fn is_begun(&self) -> bool {
        self.widths.is_some()
    }

    /// Adds rows to a text. The column names come before the first ones.
    pub(super) fn render(&mut self, text: &mut String, rows: &[LetterRow]) {
        if rows.is_empty() {
            return;
        }
        let head = self.widths.is_none().then(|| LetterRow(HEAD.map(str::to_owned)));
        let lines = || head.iter().chain(rows);
        let widths = *self.widths.get_or_insert_with(|| {
            let mut widths = [0; HEAD.len()];
            for LetterRow(cells) in lines() {
                for (width, cell) in widths.iter_mut().zip(cells) {
                    *width = cell.width().max(*width);
                }
            }
            widths
        });
        for (n, LetterRow(cells)) in lines().enumerate() {
            let mut line = String::new();
            for (cell, width) in cells.iter().zip(widths) {
                line.push_str(cell);
                line.extend(iter::repeat_n(' ', (width + 2).saturating_sub(cell.width())));
            }
            let line = line.trim_end();
            let is_head = n == 0 && head.is_some();
            let line = if is_head { self.style.heading(line) } else { self.style.row(line) };
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{line}");
        }
    }
}

/// A duration in its two largest units: `3d 4h`, `5m 2s`.
pub(super) fn age(span: Duration) -> String {
    const UNITS: [(u64, char); 4] = [(86_400, 'd'), (3_600, 'h'), (60, 'm'), (1, 's')];
    let seconds = span.as_secs();
    let largest = UNITS.iter().position(|(unit, _)| seconds >= *unit).unwrap_or(UNITS.len() - 1);
    let (unit, name) = UNITS[largest];
    let rest = UNITS.get(largest + 1).map(|(next, name)| (seconds % unit / next, *name));
    match rest {
        Some((rest @ 1.., next)) => format!("{}{name} {rest}{next}", seconds / unit),
        _ => format!("{}{name}", seconds / unit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::dead_letters::testing::{letter, now};

    #[test]
    fn an_age_shows_its_two_largest_units() {
        for (seconds, expected) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m"),
            (61, "1m 1s"),
            (3_600, "1h"),
            (3_659, "1h"),
            (7_500, "2h 5m"),
            (86_400, "1d"),
            (273_600, "3d 4h"),
            (86_400 * 4_000, "4000d"),
        ] {
            assert_eq!(age(Duration::from_secs(seconds)), expected, "{seconds}");
        }
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_lines_end_with_their_text() {
        let silent = StoredLetter {
            fingerprint: None,
            lane: None,
            dead_at: None,
            code: Some("01".to_owned()),
            detail: "ñ".repeat(MAX_DETAIL_CHARS + 1),
            ..letter()
        };
        let (mut table, mut text) = (LetterTable::default(), String::new());
        table.render(&mut text, &[]);
        assert!(text.is_empty() && !table.is_begun());
        table
            .render(&mut text, &[LetterRow::new(&letter(), now()), LetterRow::new(&silent, now())]);
        let expected = format!(
            "AGE  REASON     CODE  LANE  FINGERPRINT   JOB ID    DETAIL\n\
             1m   exhausted  -     bulk  ba7816bf8f01  logout-7  the endpoint answered others\n\
             -    exhausted  01    -     -             logout-7  {}…\n",
            "ñ".repeat(MAX_DETAIL_CHARS - 1)
        );
        assert_eq!(text, expected);
        text.clear();
        table.render(&mut text, &[LetterRow::new(&letter(), now())]);
        assert_eq!(text, format!("{}\n", expected.lines().nth(1).unwrap()), "the same columns");
    }
}
