//! Follows the bytes of a CSV file beside its parser, which tells neither on which line a record stands
//! nor whether its quotes are sound.
//!
//! The parser reads a quote that is never closed up to the end of the file, and takes what stands behind a
//! closing quote for content. Either is mostly a stray quote, and then it has swallowed lines.

use super::super::line_ends::{LineEnds, NEWLINE, RETURN};

const QUOTE: u8 = b'"';

/// Where a byte stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// At the beginning of a field.
    Start,
    /// In a field, outside quotes.
    Plain,
    /// Inside quotes.
    Quoted,
    /// Behind a quote that stood inside quotes: it closes them, or it is the first of two.
    Closed,
    /// In blanks behind quotes that are closed.
    Behind,
}

impl Place {
    /// The place behind a byte that stands here.
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

/// One line, read as if it were a record by itself.
#[derive(Debug, Clone, Copy)]
struct Alone {
    place: Place,
    fields: usize,
}

impl Alone {
    const EMPTY: Self = Self { place: Place::Start, fields: 1 };

    const fn pass(&mut self, byte: u8, delimiter: u8) {
        if byte == delimiter && !matches!(self.place, Place::Quoted) {
            self.fields += 1;
        }
        self.place = self.place.behind(byte, delimiter);
    }
}

/// What is known of the bytes so far.
#[derive(Debug)]
pub(super) struct Watch {
    delimiter: u8,
    /// The fields of a row, if there are more than one.
    width: Option<usize>,
    ends: LineEnds,
    place: Place,
    /// The line of the last quote that opens a field of this record.
    opened: Option<u64>,
    /// The line of the first one behind which the line ends.
    spanning: Option<u64>,
    /// The line of a quote that is not closed as it should be.
    stray: Option<u64>,
    /// The line that is read now, where it is not the first of its record.
    alone: Alone,
    /// Whether one of those lines is as wide as a row.
    holds_rows: bool,
}

impl Watch {
    pub(super) const fn new(delimiter: u8) -> Self {
        Self {
            delimiter,
            width: None,
            ends: LineEnds::new(),
            place: Place::Start,
            opened: None,
            spanning: None,
            stray: None,
            alone: Alone::EMPTY,
            holds_rows: false,
        }
    }

    /// Looks out for lines of so many fields from here on. Any line is as wide as a row of one field.
    pub(super) fn expect(&mut self, fields: usize) {
        self.width = (fields > 1).then_some(fields);
    }

    /// Passes over the next bytes.
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
                self.alone = Alone::EMPTY;
            } else {
                self.alone.pass(byte, self.delimiter);
            }
        }
        let before = self.place;
        self.place = before.behind(byte, self.delimiter);
        match (before, self.place) {
            (Place::Quoted, _) if ends && self.spanning.is_none() => self.spanning = self.opened,
            (Place::Start, Place::Quoted) => self.opened = Some(self.ends.next_line()),
            (Place::Closed | Place::Behind, Place::Plain) => self.stray = self.opened,
            _ => {}
        }
        self.ends.pass(byte);
    }

    /// Whether the line up to here is as wide as a row.
    fn is_row(&self) -> bool {
        self.width == Some(self.alone.fields)
    }

    /// Begins the next record; returns the line on which it begins, from 1.
    pub(super) const fn begin(&mut self) -> u64 {
        (self.opened, self.spanning, self.stray) = (None, None, None);
        (self.alone, self.holds_rows) = (Alone::EMPTY, false);
        self.place = Place::Start;
        self.ends.next_line()
    }

    /// The line that is read next, from 1.
    pub(super) const fn next_line(&self) -> u64 {
        self.ends.next_line()
    }

    /// The line on which the last byte stands.
    pub(super) const fn last_line(&self) -> u64 {
        self.ends.last_line()
    }

    /// The line of the first quote of this record that has a line end behind it.
    pub(super) const fn spanning(&self) -> Option<u64> {
        self.spanning
    }

    /// The line of a quote of this record, which has ended, that is not closed as it should be.
    pub(super) const fn stray(&self) -> Option<u64> {
        match self.place {
            Place::Quoted => self.opened,
            _ => self.stray,
        }
    }

    /// Whether a line of this record, which has ended, is as wide as a row by itself, the first line aside.
    pub(super) fn holds_rows(&self) -> bool {
        self.holds_rows || self.is_row()
    }
}
