//! Which consumers take the queue's letters, and how many at a time.
//!
//! Every letter stays held until the end, so the queue is taken by one consumer behind the other: each holds as
//! many letters as its prefetch says. One for all would not do, for a prefetch is a 16-bit number. All at once
//! would not either: the broker reads what it hands over into its memory, tried: 2 GB for 300,000 letters of
//! 700 bytes.
//!
//! Where letters are acked, each consumer of a long queue has a channel of its own (`Holding::go_on` says why).
//! The broker takes the letters of several channels back in any order once the connection is lost, so a command
//! that is killed then may leave the windows in another order.

/// The most letters that one consumer can hold. A quorum queue takes "unlimited" for 2000.
pub const MOST: u16 = u16::MAX;

/// A queue of at most so many letters is taken at once. Whatever happens then, its order stays.
const AT_ONCE: u32 = 100_000;

/// Letters of a window in a longer queue, if that makes for few enough consumers.
const WINDOW: u16 = 10_000;

/// The windows that a queue is divided into where it is only read, at most. RabbitMQ 3.10 gives back what the consumers of a lost
/// connection held in the order of their tags as long as there are 32 at most; the rest is for letters that
/// come meanwhile.
const MOST_WINDOWS: u32 = 28;

/// The same where letters are acked: each of these windows is a channel.
const MOST_CHANNELS: u32 = 1000;

/// So many channels of a connection are left for letters that come meanwhile, and for questions.
const SPARE_CHANNELS: u32 = 8;

/// How a queue is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// The prefetch of each consumer.
    pub prefetch: u16,
    /// The consumers that are asked for at the start, in one go.
    pub first: u32,
}

impl Plan {
    /// The plan for a queue in which so many letters wait. With `channels`, letters are acked on the way: a consumer
    /// is made up for each, so there is never a second one that could take letters as well, and each has one of so
    /// many channels (0 for any number).
    #[must_use]
    pub fn of(ready: u32, channels: Option<u16>) -> Self {
        if ready < u32::from(MOST) {
            Self { prefetch: MOST, first: 1 }
        } else if ready <= AT_ONCE && channels.is_none() {
            Self { prefetch: MOST, first: ready / u32::from(MOST) + 1 }
        } else {
            let most = match channels {
                None => MOST_WINDOWS,
                Some(0) => MOST_CHANNELS,
                Some(most) => {
                    u32::from(most).saturating_sub(SPARE_CHANNELS).clamp(1, MOST_CHANNELS)
                }
            };
            let window = ready.div_ceil(most).max(WINDOW.into());
            Self { prefetch: u16::try_from(window).unwrap_or(MOST), first: 1 }
        }
    }
}

/// The consumers of a look, in the order in which they were asked for. The last ones get letters.
#[derive(Debug, Default)]
pub struct Windows {
    all: Vec<Window>,
    /// So many get no letters any more.
    ended: usize,
}

/// What one consumer has brought.
#[derive(Debug, Clone, Copy)]
struct Window {
    prefetch: u16,
    /// Letters that it holds.
    held: u32,
}

impl Windows {
    /// Notes a consumer.
    pub fn asked(&mut self, prefetch: u16) {
        self.all.push(Window { prefetch, held: 0 });
    }

    /// Notes that those that were asked for so far get no letters any more.
    pub const fn end(&mut self) {
        self.ended = self.all.len();
    }

    /// How many there were.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.all.len()
    }

    /// Notes that one of those that get letters, counted from the first of them, has brought one.
    pub fn brought(&mut self, consumer: usize) {
        if let Some(window) = self.all.get_mut(self.ended + consumer) {
            window.held += 1;
        }
    }

    /// Notes that a letter of a window was acked: a consumer that gets letters gets another one in its place.
    pub fn acked(&mut self, window: usize) {
        if let Some(window) = self.all.get_mut(window) {
            window.held = window.held.saturating_sub(1);
        }
    }

    /// Whether one of those that get letters, counted from the first of them, holds as many as it can.
    #[must_use]
    pub fn is_full(&self, consumer: usize) -> bool {
        self.all.get(self.ended + consumer).is_some_and(|window| window.is_full())
    }

    /// Whether nobody can hold another letter.
    #[must_use]
    pub fn all_are_full(&self) -> bool {
        self.all[self.ended..].iter().all(|window| window.is_full())
    }

    /// How many of them the broker counts: those that get letters, and those that hold some.
    #[must_use]
    pub fn counted(&self) -> u32 {
        let (ended, open) = self.all.split_at(self.ended);
        let counted = ended.iter().filter(|window| window.held > 0).count() + open.len();
        u32::try_from(counted).unwrap_or(u32::MAX)
    }
}

impl Window {
    fn is_full(self) -> bool {
        self.held >= self.prefetch.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_divided_into_as_many_windows_as_keep_its_order() {
        for (ready, channels, prefetch, first) in [
            (0, None, MOST, 1),
            (1_000, None, MOST, 1),
            (65_534, Some(2047), MOST, 1),
            (65_535, None, MOST, 2),
            (100_000, None, MOST, 2),
            (66_000, Some(2047), WINDOW, 1),
            (100_001, None, WINDOW, 1),
            (300_000, None, 10_715, 1),
            (1_000_000, None, 35_715, 1),
            (1_000_000, Some(2047), WINDOW, 1),
            (20_000_000, Some(0), 20_000, 1),
            (1_200_000, Some(128), WINDOW, 1),
            (6_000_000, Some(128), 50_000, 1),
            (10_000_000, None, MOST, 1),
            (10_000_000, Some(1), MOST, 1),
        ] {
            let plan = Plan::of(ready, channels);
            assert_eq!(plan, Plan { prefetch, first }, "{ready} {channels:?}");
            let windows = ready / u32::from(prefetch) + 1;
            assert!(windows <= 32 || channels.is_some() || ready > 1_800_000, "{ready}: {windows}");
        }
    }

    #[test]
    fn a_window_is_full_until_a_letter_of_it_is_acked() {
        let mut windows = Windows::default();
        windows.asked(3);
        windows.asked(3);
        for tag in 1..=5 {
            assert!(!windows.all_are_full());
            windows.brought(usize::from(tag > 3));
        }
        assert!(windows.is_full(0) && !windows.is_full(1));
        windows.brought(1);
        assert!(windows.all_are_full());
        windows.acked(1);
        assert!(windows.is_full(0) && !windows.is_full(1), "it was the second one's");
        windows.acked(0);
        assert!(!windows.is_full(0));
    }

    #[test]
    fn the_broker_counts_a_consumer_that_has_ended_as_long_as_it_holds_letters() {
        let mut windows = Windows::default();
        windows.asked(2);
        assert_eq!(windows.counted(), 1);
        windows.brought(0);
        windows.end();
        assert!(windows.all_are_full(), "nobody gets letters");
        assert_eq!(windows.counted(), 1);
        windows.asked(2);
        windows.brought(0);
        assert_eq!(windows.counted(), 2);
        windows.acked(0);
        assert_eq!(windows.counted(), 1);
    }
}
