//! The options for reading a file.

use std::path::Path;

use super::{Columns, Delimiter, FieldDefaults, InputFormat};
use crate::domain::JobDefaults;

#[derive(Debug, Clone, Default)]
pub struct Options {
    /// By default from the file's name.
    pub format: Option<InputFormat>,
    /// The columns of a CSV file whose names differ from those of their fields.
    pub columns: Columns,
    /// The delimiter of a CSV file; commas by default.
    pub delimiter: Option<Delimiter>,
    /// Values for fields that a line lacks. They become part of the job.
    pub field_defaults: FieldDefaults,
    /// The worker's defaults for fields that are still missing. They do not become part of the job, and only
    /// decide which jobs are duplicates.
    pub defaults: JobDefaults,
}

impl Options {
    /// Returns the given format, or that of the file's name, or CSV if columns were described.
    pub fn format_of(&self, path: &Path) -> Option<InputFormat> {
        let csv = || self.speak_of_columns().then_some(InputFormat::Csv);
        self.format.or_else(|| InputFormat::of(path)).or_else(csv)
    }

    /// Whether the options describe columns, which only CSV has.
    pub(super) const fn speak_of_columns(&self) -> bool {
        self.delimiter.is_some() || !self.columns.is_empty()
    }
}
