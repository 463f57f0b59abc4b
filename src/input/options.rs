//! How a file is read.

use std::path::Path;

use super::{Columns, Delimiter, Fills, Format};
use crate::domain::JobDefaults;

/// How a file is read.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Its format; `None` to go by its name.
    pub format: Option<Format>,
    /// The columns of a CSV file that do not have the names of the fields they hold.
    pub columns: Columns,
    /// What divides the columns of a CSV file; `None` for commas.
    pub delimiter: Option<Delimiter>,
    /// What stands in for fields that a line lacks: it becomes part of the job.
    pub fills: Fills,
    /// What the worker will take for fields that are still missing then. It does not become part of
    /// the job; it only decides which jobs are the same call.
    pub defaults: JobDefaults,
}

impl Options {
    /// The format of a file: what was said, or what its name tells, or CSV where something was said of
    /// columns. `None` if nobody knows.
    #[must_use]
    pub fn format_of(&self, path: &Path) -> Option<Format> {
        let csv = || self.speak_of_columns().then_some(Format::Csv);
        self.format.or_else(|| Format::of(path)).or_else(csv)
    }

    /// Whether they fit CSV alone.
    pub(super) const fn speak_of_columns(&self) -> bool {
        self.delimiter.is_some() || !self.columns.is_empty()
    }
}
