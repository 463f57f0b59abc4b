//! A report as its page shows it, whatever it was made from.

use super::{origin::Origin, timeline::Timeline};

/// How well things are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Everything is proved.
    Well,
    /// Everything has ended, and something is not proved.
    Open,
    /// Not everything has ended.
    Unfinished,
}

/// One row of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub label: String,
    pub count: u64,
    /// What it means.
    pub hint: Option<&'static str>,
}

impl Row {
    pub fn new(label: impl Into<String>, count: u64) -> Self {
        Self { label: label.into(), count, hint: None }
    }

    #[must_use]
    pub const fn hint(mut self, hint: &'static str) -> Self {
        self.hint = Some(hint);
        self
    }
}

#[derive(Debug, Clone)]
pub struct Table {
    pub title: &'static str,
    /// What the table counts, in a sentence.
    pub about: Option<&'static str>,
    pub rows: Vec<Row>,
}

/// The content of a page. Every text in it is escaped when it is written.
#[derive(Debug)]
pub struct Document<'a> {
    /// What the report is about.
    pub subject: String,
    pub tone: Tone,
    /// The result in a sentence or two.
    pub sentence: String,
    /// The most important numbers.
    pub tiles: Vec<Row>,
    pub timeline: &'a Timeline,
    pub tables: Vec<Table>,
    /// Names and values: input, endpoint, hashes.
    pub facts: Vec<(&'static str, String)>,
    pub notes: Vec<String>,
    pub origin: &'a Origin,
}
