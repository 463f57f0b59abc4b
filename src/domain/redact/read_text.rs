//! A text with all its readings. Endpoints send the same few texts for all jobs, so each thread keeps the last one.

use std::cell::RefCell;

use super::{reading::ways_to_read, runs::Runs};

/// A longer text is not kept: its readings have up to 50 times its size.
const MOST_KEPT: usize = 256;

thread_local! {
    static LAST: RefCell<Option<ReadText>> = const { RefCell::new(None) };
}

/// A text, and the runs of each of its readings.
pub(super) struct ReadText {
    text: String,
    shortest: usize,
    /// Whether a reading has only letters and digits, and its runs.
    pub(super) readings: Vec<(bool, Runs)>,
}

impl ReadText {
    /// The readings of a text, for runs of at least `shortest` characters.
    pub(super) fn new(text: &str, shortest: usize) -> Self {
        let readings = ways_to_read(text, shortest);
        let readings = readings.map(|reading| (reading.is_bare, Runs::new(reading.glyphs)));
        Self { text: text.to_owned(), shortest, readings: readings.collect() }
    }

    /// The same readings, from the thread's cache if the text equals the last one.
    pub(super) fn of(text: &str, shortest: usize) -> Self {
        let last = LAST.take().filter(|last| last.text == text && last.shortest == shortest);
        last.unwrap_or_else(|| Self::new(text, shortest))
    }

    /// Keeps it for the next search. Call it only for a text without any found secret.
    pub(super) fn remember(self) {
        if self.text.len() <= MOST_KEPT {
            LAST.set(Some(self));
        }
    }
}
