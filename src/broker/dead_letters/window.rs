//! Which consumers read the queue, and how many messages each of them holds.
//!
//! Every message stays held until the end, so one consumer follows the other: each holds as many messages as its
//! prefetch. A single consumer is not enough, because a prefetch is a 16-bit number. All consumers at once would not do
//! either: the broker reads the delivered messages into memory (measured: 2 GB for 300,000 messages of 700 bytes).
//!
//! In mode `Ack`, each consumer of a long queue has its own channel (`AckSession::add_channel` says why). When the
//! connection is lost, the broker requeues several channels in any order. So a killed command may leave the
//! windows in another order.

/// The most messages that one consumer can hold. A quorum queue reads "unlimited" as 2000.
const MAX_PREFETCH: u16 = u16::MAX;

/// A queue of at most this many messages is read at once: it keeps its order in every case.
const AT_ONCE: u32 = 100_000;

/// Messages of one window in a longer queue, if that makes few enough windows.
const WINDOW: u16 = 10_000;

/// The most windows of a browse that only reads. After a lost connection, RabbitMQ 3.10 requeues in the order of
/// consumer tags for up to 32 consumers. The difference is for messages that arrive meanwhile.
const MOST_WINDOWS: u32 = 28;

/// The most windows in mode `Ack`: each is a channel.
const MOST_CHANNELS: u32 = 1000;

/// Channels of a connection that are kept free, for messages that arrive meanwhile and for questions.
const SPARE_CHANNELS: u32 = 8;

/// How a queue is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ReadPlan {
    /// The prefetch of each consumer.
    pub(super) prefetch: u16,
    /// The consumers that start together.
    pub(super) first: u32,
}

impl ReadPlan {
    /// The plan for a queue with `ready` messages. `channels` is `None` for a browse that only reads. In mode
    /// `Ack` it is the most channels of the connection (0 for any number). Consumers start one by one, so that no
    /// other consumer gets messages while the messages of one are acked.
    pub(super) fn of(ready: u32, channels: Option<u16>) -> Self {
        if ready < u32::from(MAX_PREFETCH) {
            Self { prefetch: MAX_PREFETCH, first: 1 }
        } else if ready <= AT_ONCE && channels.is_none() {
            Self { prefetch: MAX_PREFETCH, first: ready / u32::from(MAX_PREFETCH) + 1 }
        } else {
            let most = match channels {
                None => MOST_WINDOWS,
                Some(0) => MOST_CHANNELS,
                Some(most) => {
                    u32::from(most).saturating_sub(SPARE_CHANNELS).clamp(1, MOST_CHANNELS)
                }
            };
            let window = ready.div_ceil(most).max(WINDOW.into());
            Self { prefetch: u16::try_from(window).unwrap_or(MAX_PREFETCH), first: 1 }
        }
    }
}

/// The consumers of a browse, in the order in which they were added. The last ones are open: they receive messages.
#[derive(Debug)]
pub(super) struct Windows {
    prefetch: u16,
    /// The messages that each holds.
    held: Vec<u32>,
    /// The number of those that are not open any more.
    ended: usize,
}

impl Windows {
    /// No window yet; each will hold up to `prefetch` messages.
    pub(super) const fn new(prefetch: u16) -> Self {
        Self { prefetch, held: Vec::new(), ended: 0 }
    }

    pub(super) fn add(&mut self) {
        self.held.push(0);
    }

    pub(super) const fn end(&mut self) {
        self.ended = self.held.len();
    }

    /// The number of windows, open or not.
    pub(super) const fn count(&self) -> usize {
        self.held.len()
    }

    /// Counts a message of the open window with this index.
    pub(super) fn received(&mut self, open: usize) {
        if let Some(held) = self.held.get_mut(self.ended + open) {
            *held += 1;
        }
    }

    /// Counts an ack in a window of any kind: an open one can receive another message then.
    pub(super) fn acked(&mut self, window: usize) {
        if let Some(held) = self.held.get_mut(window) {
            *held = held.saturating_sub(1);
        }
    }

    /// Whether the open window with this index is full.
    pub(super) fn is_full(&self, open: usize) -> bool {
        self.held.get(self.ended + open).is_some_and(|held| *held >= self.prefetch.into())
    }

    /// Whether no consumer can receive another message.
    pub(super) fn all_are_full(&self) -> bool {
        self.held[self.ended..].iter().all(|held| *held >= self.prefetch.into())
    }

    /// The number that the broker counts as consumers: open windows, and ended ones that hold messages.
    pub(super) fn counted(&self) -> u32 {
        let (ended, open) = self.held.split_at(self.ended);
        let counted = ended.iter().filter(|held| **held > 0).count() + open.len();
        u32::try_from(counted).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_divided_into_as_many_windows_as_keep_its_order() {
        for (ready, channels, prefetch, first) in [
            (0, None, MAX_PREFETCH, 1),
            (1_000, None, MAX_PREFETCH, 1),
            (65_534, Some(2047), MAX_PREFETCH, 1),
            (65_535, None, MAX_PREFETCH, 2),
            (100_000, None, MAX_PREFETCH, 2),
            (66_000, Some(2047), WINDOW, 1),
            (100_001, None, WINDOW, 1),
            (300_000, None, 10_715, 1),
            (1_000_000, None, 35_715, 1),
            (1_000_000, Some(2047), WINDOW, 1),
            (20_000_000, Some(0), 20_000, 1),
            (1_200_000, Some(128), WINDOW, 1),
            (6_000_000, Some(128), 50_000, 1),
            (10_000_000, None, MAX_PREFETCH, 1),
            (10_000_000, Some(1), MAX_PREFETCH, 1),
        ] {
            let plan = ReadPlan::of(ready, channels);
            assert_eq!(plan, ReadPlan { prefetch, first }, "{ready} {channels:?}");
            let windows = ready / u32::from(prefetch) + 1;
            assert!(windows <= 32 || channels.is_some() || ready > 1_800_000, "{ready}: {windows}");
        }
    }

    #[test]
    fn a_window_is_full_until_a_letter_of_it_is_acked() {
        let mut windows = Windows::new(3);
        windows.add();
        windows.add();
        for tag in 1..=5 {
            assert!(!windows.all_are_full());
            windows.received(usize::from(tag > 3));
        }
        assert!(windows.is_full(0) && !windows.is_full(1));
        windows.received(1);
        assert!(windows.all_are_full());
        windows.acked(1);
        assert!(windows.is_full(0) && !windows.is_full(1), "it was the second one's");
        windows.acked(0);
        assert!(!windows.is_full(0));
    }

    #[test]
    fn the_broker_counts_a_consumer_that_has_ended_as_long_as_it_holds_letters() {
        let mut windows = Windows::new(2);
        windows.add();
        assert_eq!(windows.counted(), 1);
        windows.received(0);
        windows.end();
        assert!(windows.all_are_full(), "no window is open");
        assert_eq!(windows.counted(), 1);
        windows.add();
        windows.received(0);
        assert_eq!(windows.counted(), 2);
        windows.acked(0);
        assert_eq!(windows.counted(), 1);
    }
}
