//! The bound on messages that wait for their batch.

/// The most bytes of waiting messages.
const BYTES: usize = 16 * 1024 * 1024;

/// Bounds the waiting messages by number and bytes.
#[derive(Debug)]
pub(super) struct BatchBudget {
    most: usize,
    messages: usize,
    bytes: usize,
}

impl BatchBudget {
    pub(super) const fn new(most: usize) -> Self {
        Self { most, messages: 0, bytes: 0 }
    }

    /// Reserves a place for a message of this size. Returns false if there is none; the first message always fits.
    pub(super) const fn reserve(&mut self, bytes: usize) -> bool {
        let fits = self.messages < self.most && bytes <= BYTES.saturating_sub(self.bytes);
        let reserves = fits || self.messages == 0;
        if reserves {
            self.messages += 1;
            self.bytes = self.bytes.saturating_add(bytes);
        }
        reserves
    }

    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Releases the place of a message of this size.
    pub(super) const fn release(&mut self, bytes: usize) {
        self.messages = self.messages.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(letters: usize, bytes: usize) -> usize {
        let mut budget = BatchBudget::new(letters);
        (0..1_000_000).take_while(|_| budget.reserve(bytes)).count()
    }

    #[test]
    fn messages_wait_up_to_the_bounds_and_one_in_any_case() {
        assert_eq!(kept(7, 100), 7);
        assert_eq!(kept(usize::MAX, 1024), BYTES / 1024);
        assert_eq!(kept(usize::MAX, BYTES / 2 + 1), 1);
        assert_eq!(kept(usize::MAX, usize::MAX), 1);
        assert_eq!(kept(1, usize::MAX), 1);
    }

    #[test]
    fn a_message_that_does_not_fit_leaves_room_for_smaller_ones() {
        let mut budget = BatchBudget::new(2);
        assert!(budget.reserve(BYTES - 1));
        assert!(!budget.reserve(2));
        assert!(budget.reserve(1));
        assert!(!budget.reserve(0), "two wait");
        budget.release(BYTES - 1);
        assert!(budget.reserve(BYTES - 1));
    }
}
