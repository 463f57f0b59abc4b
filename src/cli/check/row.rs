//! The rows of the table that `revoker check` prints.

use std::fmt::Write as _;

use serde::Serialize;

use crate::cli::text_style::TextStyle;

/// What holds.
pub(super) const OK: &str = "ok";
/// A setting in force, which is no check.
pub(super) const IN_FORCE: &str = "set";
/// What an operator should know.
pub(super) const NOTE: &str = "note";
/// What has to be mended.
pub(super) const FAULT: &str = "FAULT";

/// One line of the table.
#[derive(Debug, Serialize)]
pub(super) struct CheckRow {
    /// The subject.
    pub(super) what: String,
    /// One of the states above.
    pub(super) state: &'static str,
    pub(super) detail: String,
}

/// The whole result.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// Whether there is no fault.
    pub(super) ok: bool,
    checks: Vec<CheckRow>,
}

pub(super) fn row(what: &str, state: &'static str, detail: &str) -> CheckRow {
    CheckRow { what: what.to_owned(), state, detail: detail.to_owned() }
}

impl Report {
    pub(super) fn new(checks: Vec<CheckRow>) -> Self {
        Self { ok: checks.iter().all(|row| row.state != FAULT), checks }
    }

    pub(super) fn table(&self, style: TextStyle) -> String {
        let widths = self.checks.iter().map(|row| row.what.chars().count());
        let width = widths.max().unwrap_or_default();
        self.checks.iter().fold(String::new(), |mut table, CheckRow { what, state, detail }| {
            let (state, indent) = (style.state(&format!("{state:<5}")), width + 9);
            let detail = style.paragraph(indent, detail);
            // Writing to a string cannot fail.
            let _ = writeln!(table, "{what:<width$}  {state}  {detail}");
            table
        })
    }
}
