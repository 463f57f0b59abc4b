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

/// What is known of the bytes so far.
#[derive(Debug)]
pub(super) struct Watch {
    delimiter: u8,
    ends: LineEnds,
    place: Place,
    /// The line of the last quote that opens a field of this record.
    opened: Option<u64>,
    /// The line of the first one behind which the line ends.
    spanning: Option<u64>,
    /// The line of a quote that is not closed as it should be.
    stray: Option<u64>,
}

impl Watch {
    pub(super) const fn new(delimiter: u8) -> Self {
        let ends = LineEnds::new();
        Self { delimiter, ends, place: Place::Start, opened: None, spanning: None, stray: None }
    }

    /// Passes over the next bytes.
    pub(super) fn pass(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.pass_byte(*byte);
        }
    }

    const fn pass_byte(&mut self, byte: u8) {
        self.place = match (self.place, byte) {
            (Place::Quoted, QUOTE) => Place::Closed,
            (Place::Quoted, NEWLINE | RETURN) => {
                if self.spanning.is_none() {
                    self.spanning = self.opened;
                }
                Place::Quoted
            }
            (Place::Quoted, _) | (Place::Closed, QUOTE) => Place::Quoted,
            (Place::Start, QUOTE) => {
                self.opened = Some(self.ends.next_line());
                Place::Quoted
            }
            (_, NEWLINE | RETURN) => Place::Start,
            (_, byte) if byte == self.delimiter => Place::Start,
            (Place::Closed | Place::Behind, b' ') => Place::Behind,
            (Place::Closed | Place::Behind, _) => {
                self.stray = self.opened;
                Place::Plain
            }
            (Place::Start | Place::Plain, _) => Place::Plain,
        };
        self.ends.pass(byte);
    }

    /// Begins the next record; returns the line on which it begins, from 1.
    pub(super) const fn begin(&mut self) -> u64 {
        (self.opened, self.spanning, self.stray) = (None, None, None);
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
}
