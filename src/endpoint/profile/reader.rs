//! Reads the tables of a profile's file key by key, and keeps every fault with its line.
//!
//! Deriving the reading with serde was turned down: it stops at the first fault.

use std::{fmt, ops::Range};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::domain::LineStarts;

/// One fault of the file of a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileFault {
    /// The line, counted from 1.
    pub line: usize,
    /// The fault and its remedy.
    pub what: String,
}

impl fmt::Display for ProfileFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

/// The faults so far.
pub struct Faults {
    pub lines: LineStarts,
    pub found: Vec<ProfileFault>,
}

impl Faults {
    pub fn add(&mut self, span: Range<usize>, what: impl Into<String>) {
        let line = self.lines.line(span.start);
        self.found.push(ProfileFault { line, what: what.into() });
    }

    pub fn require(&mut self, span: Range<usize>, holds: bool, what: impl Into<String>) {
        if !holds {
            self.add(span, what);
        }
    }
}

/// One table of the file. A key that is never read is unknown.
pub struct Section<'a> {
    pub span: Range<usize>,
    entries: DeTable<'a>,
    known: Vec<&'static str>,
}

impl<'a> Section<'a> {
    /// The whole file. Invalid TOML gives one fault per line.
    pub fn file(text: &'a str) -> (Self, Faults) {
        let (table, errors) = DeTable::parse_recoverable(text);
        let mut faults = Faults { lines: LineStarts::of(text.as_bytes()), found: Vec::new() };
        for error in errors {
            let span = error.span().unwrap_or_default();
            let line = faults.lines.line(span.start);
            if faults.found.iter().all(|fault| fault.line != line) {
                let said = error.message().replace('\n', " ");
                faults.add(span, format!("this is not valid TOML ({said}): correct the line"));
            }
        }
        (Self::of(0..0, table.into_inner()), faults)
    }

    const fn of(span: Range<usize>, entries: DeTable<'a>) -> Self {
        Self { span, entries, known: Vec::new() }
    }

    /// Demands keys.
    pub fn need(&self, faults: &mut Faults, keys: &[&str]) {
        for key in keys.iter().filter(|key| !self.entries.contains_key(**key)) {
            faults.add(self.span.clone(), format!("{key} is missing: add it"));
        }
    }

    /// The value of a key, if it exists and has the `wanted` type.
    pub fn get<T>(
        &mut self,
        faults: &mut Faults,
        key: &'static str,
        wanted: &str,
        read: impl FnOnce(&DeValue<'a>) -> Option<T>,
    ) -> Option<Spanned<T>> {
        self.known.push(key);
        let value = self.entries.remove(key)?;
        let read = read(value.get_ref());
        if read.is_none() {
            faults.add(value.span(), format!("{key} must be {wanted}"));
        }
        read.map(|read| Spanned::new(value.span(), read))
    }

    pub fn text(&mut self, faults: &mut Faults, key: &'static str) -> Option<Spanned<String>> {
        self.get(faults, key, "a text in double quotes", text)
    }

    /// A whole number from 1 to `most`.
    pub fn number(&mut self, faults: &mut Faults, key: &'static str, most: u32) -> Option<u32> {
        let number = self.get(faults, key, &format!("a whole number from 1 to {most}"), |value| {
            let number = u32::try_from(integer(value)?).ok()?;
            (1..=most).contains(&number).then_some(number)
        });
        number.map(Spanned::into_inner)
    }

    /// One of some words.
    pub fn word<T: Copy>(
        &mut self,
        faults: &mut Faults,
        key: &'static str,
        words: &[(&str, T)],
    ) -> Option<Spanned<T>> {
        self.get(faults, key, &one_of(words), |value| word(value, words))
    }

    /// The items of a list, each read by itself.
    pub fn list<T>(
        &mut self,
        faults: &mut Faults,
        key: &'static str,
        wanted: &str,
        read: impl Fn(&DeValue<'a>) -> Option<T>,
    ) -> Option<Spanned<Vec<Spanned<T>>>> {
        self.get(faults, key, wanted, |value| {
            let read = |item: &Spanned<_>| Some(Spanned::new(item.span(), read(item.get_ref())?));
            value.as_array()?.iter().map(read).collect()
        })
    }

    /// A table below this one.
    pub fn table(&mut self, faults: &mut Faults, key: &'static str) -> Option<Self> {
        let table = self.get(faults, key, "a table", |value| value.as_table().cloned())?;
        Some(Self::of(table.span(), table.into_inner()))
    }

    /// The tables of a list `[[key]]`.
    pub fn tables(&mut self, faults: &mut Faults, key: &'static str) -> Vec<Self> {
        let wanted = format!("a list of tables: write [[{key}]]");
        let tables = self.list(faults, key, &wanted, |value| value.as_table().cloned());
        let tables = tables.map(Spanned::into_inner).unwrap_or_default();
        tables.into_iter().map(|table| Self::of(table.span(), table.into_inner())).collect()
    }

    /// All entries: their keys are the author's own.
    pub fn entries(self) -> impl Iterator<Item = (String, Spanned<DeValue<'a>>)> {
        self.entries.into_iter().map(|(key, value)| (key.into_inner().into_owned(), value))
    }

    /// Ends the reading: the remaining keys are unknown.
    pub fn finish(self, faults: &mut Faults) {
        for (key, _) in self.entries {
            let known = self.known.join(", ");
            let what = format!("{} is no key of this table: use {known}", key.get_ref());
            faults.add(key.span(), what);
        }
    }
}

pub fn text(value: &DeValue<'_>) -> Option<String> {
    value.as_str().map(str::to_owned)
}

pub fn integer(value: &DeValue<'_>) -> Option<i64> {
    let number = value.as_integer()?;
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}

pub fn word<T: Copy>(value: &DeValue<'_>, words: &[(&str, T)]) -> Option<T> {
    let text = value.as_str()?;
    words.iter().find(|(name, _)| *name == text).map(|(_, word)| *word)
}

pub fn one_of<T>(words: &[(&str, T)]) -> String {
    let names: Vec<_> = words.iter().map(|(name, _)| format!("\"{name}\"")).collect();
    format!("one of {}", names.join(", "))
}
