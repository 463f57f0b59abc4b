//! How many letters are kept in one round.

/// Bytes of letters that are kept.
const BYTES: usize = 64 * 1024 * 1024;

/// What a letter takes besides its body, in bytes: properties, headers, places in lists.
const BESIDES_THE_BODY: usize = 2 * 1024;

/// The room of a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    letters: usize,
    bytes: usize,
    kept: bool,
}

impl Room {
    /// Room for so many letters.
    #[must_use]
    pub const fn of(letters: usize) -> Self {
        Self { letters, bytes: BYTES, kept: false }
    }

    /// Whether one more letter with a body of so many bytes is kept. The first one is in any case.
    pub const fn take(&mut self, body: usize) -> bool {
        let needed = body.saturating_add(BESIDES_THE_BODY);
        let fits = self.letters > 0 && (needed <= self.bytes || !self.kept);
        if fits {
            self.letters -= 1;
            self.bytes = self.bytes.saturating_sub(needed);
            self.kept = true;
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(letters: usize, body: usize) -> usize {
        let mut room = Room::of(letters);
        (0..1_000_000).take_while(|_| room.take(body)).count()
    }

    #[test]
    fn a_round_keeps_what_fits_and_one_letter_at_least() {
        assert_eq!(kept(7, 100), 7);
        assert_eq!(kept(usize::MAX, 0), BYTES / BESIDES_THE_BODY);
        assert_eq!(kept(usize::MAX, BYTES / 2), 1);
        assert_eq!(kept(usize::MAX, usize::MAX), 1);
        assert_eq!(kept(1, usize::MAX), 1);
    }

    #[test]
    fn a_letter_that_does_not_fit_leaves_room_for_smaller_ones() {
        let mut room = Room::of(usize::MAX);
        assert!(room.take(BYTES / 2));
        assert!(!room.take(BYTES));
        assert!(room.take(100));
    }
}
