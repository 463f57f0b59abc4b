//! How many letters wait for their turn at the same time.

/// Bytes of letters that wait.
const BYTES: usize = 16 * 1024 * 1024;

/// The room for letters that wait.
#[derive(Debug)]
pub struct Room {
    /// The most letters, and how many there are.
    most: usize,
    letters: usize,
    bytes: usize,
}

impl Room {
    /// Room for so many letters.
    #[must_use]
    pub const fn of(letters: usize) -> Self {
        Self { most: letters, letters: 0, bytes: 0 }
    }

    /// Whether one more letter of so many bytes may wait. The first one may in any case.
    pub const fn take(&mut self, bytes: usize) -> bool {
        let fits = self.letters < self.most && bytes <= BYTES.saturating_sub(self.bytes);
        let takes = fits || self.letters == 0;
        if takes {
            self.letters += 1;
            self.bytes = self.bytes.saturating_add(bytes);
        }
        takes
    }

    /// The bytes of those that wait.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// A letter of so many bytes waits no longer.
    pub const fn give_back(&mut self, bytes: usize) {
        self.letters = self.letters.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(letters: usize, bytes: usize) -> usize {
        let mut room = Room::of(letters);
        (0..1_000_000).take_while(|_| room.take(bytes)).count()
    }

    #[test]
    fn as_many_wait_as_fit_and_one_at_least() {
        assert_eq!(kept(7, 100), 7);
        assert_eq!(kept(usize::MAX, 1024), BYTES / 1024);
        assert_eq!(kept(usize::MAX, BYTES / 2 + 1), 1);
        assert_eq!(kept(usize::MAX, usize::MAX), 1);
        assert_eq!(kept(1, usize::MAX), 1);
    }

    #[test]
    fn a_letter_that_does_not_fit_leaves_room_for_smaller_ones_and_for_those_after_it() {
        let mut room = Room::of(2);
        assert!(room.take(BYTES - 1));
        assert!(!room.take(2));
        assert!(room.take(1));
        assert!(!room.take(0), "two wait");
        room.give_back(BYTES - 1);
        assert!(room.take(BYTES - 1));
    }
}
