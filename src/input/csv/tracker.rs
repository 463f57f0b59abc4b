//! Tracks lines and quotes beside the CSV parser, which reports neither.
//!
//! The parser reads an unclosed quote up to the end of the file, and treats text after a closing quote as content. Both
//! mostly mean a stray quote that has swallowed lines.

use super::super::line_ends::{LineEnds, NEWLINE, RETURN};

const QUOTE: u8 = b'"';

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CsvPosition {
    /// At the beginning of a field.
    Start,
    /// In a field, outside quotes.
    Plain,
    Quoted,
    /// After a quote inside quotes: it closes them, or is the first of two.
    Closed,
    /// In spaces after closed quotes.
    Behind,
}

impl CsvPosition {
    const fn behind(self, byte: u8, delimiter: u8) -> Self {
        match (self, byte) {
            (Self::Quoted, QUOTE) => Self::Closed,
            (Self::Quoted, _) | (Self::Closed | Self::Start, QUOTE) => Self::Quoted,
            (_, NEWLINE | RETURN) => Self::Start,
            (_, byte) if byte == delimiter => Self::Start,
            (Self::Closed | Self::Behind, b' ') => Self::Behind,
            _ => Self::Plain,
        }
    }
}

/// A line, read as if it were a record by itself.
#[derive(Debug, Clone, Copy)]
struct LoneLine {
    place: CsvPosition,
    fields: usize,
}

impl LoneLine {
    const EMPTY: Self = Self { place: CsvPosition::Start, fields: 1 };

    const fn pass(&mut self, byte: u8, delimiter: u8) {
        if byte == delimiter && !matches!(self.place, CsvPosition::Quoted) {
            self.fields += 1;
        }
        self.place = self.place.behind(byte, delimiter);
    }
}

/// The state after the bytes so far.
#[derive(Debug)]
pub(super) struct CsvTracker {
    delimiter: u8,
    /// The fields of a row, if there are several.
    width: Option<usize>,
    ends: LineEnds,
    place: CsvPosition,
    /// The line of the last quote that opens a field of this record.
    opened: Option<u64>,
    /// The line of the first such quote that is followed by a line end.
    spanning: Option<u64>,
    /// The line of a quote that is not closed properly.
    stray: Option<u64>,
    /// The current line, unless it is the first of its record.
    alone: LoneLine,
    /// Whether one of those lines is as wide as a row.
    holds_rows: bool,
}

impl CsvTracker {
    pub(super) const fn new(delimiter: u8) -> Self {
        Self {
            delimiter,
            width: None,
            ends: LineEnds::new(),
            place: CsvPosition::Start,
            opened: None,
            spanning: None,
            stray: None,
            alone: LoneLine::EMPTY,
            holds_rows: false,
        }
    }

    /// Sets the number of fields of a row. With one field, every line would be as wide as a row.
    pub(super) fn expect(&mut self, fields: usize) {
        self.width = (fields > 1).then_some(fields);
    }

    pub(super) fn pass(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.pass_byte(*byte);
        }
    }

    fn pass_byte(&mut self, byte: u8) {
        let ends = matches!(byte, NEWLINE | RETURN);
        if self.spanning.is_some() {
            if ends {
                self.holds_rows |= self.is_row();
                self.alone = LoneLine::EMPTY;
            } else {
                self.alone.pass(byte, self.delimiter);
            }
        }
        let before = self.place;
        self.place = before.behind(byte, self.delimiter);
        match (before, self.place) {
            (CsvPosition::Quoted, _) if ends && self.spanning.is_none() => {
                self.spanning = self.opened;
            }
            (CsvPosition::Start, CsvPosition::Quoted) => self.opened = Some(self.ends.next_line()),
            (CsvPosition::Closed | CsvPosition::Behind, CsvPosition::Plain) => {
                self.stray = self.opened;
            }
            _ => {}
        }
        self.ends.pass(byte);
    }

    fn is_row(&self) -> bool {
        self.width == Some(self.alone.fields)
    }

    /// Begins the next record; returns its first line, from 1.
    pub(super) const fn begin(&mut self) -> u64 {
        (self.opened, self.spanning, self.stray) = (None, None, None);
        (self.alone, self.holds_rows) = (LoneLine::EMPTY, false);
        self.place = CsvPosition::Start;
        self.ends.next_line()
    }

    pub(super) const fn next_line(&self) -> u64 {
        self.ends.next_line()
    }

    pub(super) const fn last_line(&self) -> u64 {
        self.ends.last_line()
    }

    pub(super) const fn spanning(&self) -> Option<u64> {
        self.spanning
    }

    /// Returns the line of a quote of this finished record that is not closed properly.
    pub(super) const fn stray(&self) -> Option<u64> {
        match self.place {
            CsvPosition::Quoted => self.opened,
            _ => self.stray,
        }
    }

    /// Whether a line of this finished record, after the first one, is as wide as a row.
    pub(super) fn holds_rows(&self) -> bool {
        self.holds_rows || self.is_row()
    }
}
