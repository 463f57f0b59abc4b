//! Counts as text: a label and a number on each line.

use std::fmt;

/// Rows whose numbers stand in one column, behind the longest label.
#[derive(Debug)]
pub struct CountRows {
    /// The width of the labels, in characters, with their indent.
    width: usize,
    rows: Vec<(String, Option<u64>)>,
}

impl CountRows {
    /// Rows whose labels have at least this width, so that short ones align with other reports.
    pub const fn new(width: usize) -> Self {
        Self { width, rows: Vec::new() }
    }

    pub fn add(&mut self, indent: usize, label: impl fmt::Display, count: u64) {
        let label = format!("{:indent$}{label}", "");
        self.width = self.width.max(label.chars().count());
        self.rows.push((label, Some(count)));
    }

    /// Adds a line without a number.
    pub fn title(&mut self, indent: usize, title: &str) {
        self.rows.push((format!("{:indent$}{title}", ""), None));
    }
}

impl fmt::Display for CountRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.width;
        self.rows.iter().try_for_each(|(label, count)| match count {
            None => writeln!(f, "{label}"),
            Some(count) => writeln!(f, "{label:<width$} {count:>12}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_label_makes_the_column() {
        let mut rows = CountRows::new(8);
        rows.add(2, "short", 1);
        assert_eq!(rows.to_string(), "  short             1\n");
        rows.title(0, "A title is as long as it likes");
        rows.add(2, "a longer label", 1_000);
        assert_eq!(
            rows.to_string(),
            "  short                     1\n\
             A title is as long as it likes\n\
             \u{20} a longer label         1000\n"
        );
    }
}
