//! The order in which messages are requeued.
//!
//! The broker delivers requeued messages before those that were never delivered, and puts a requeued message behind
//! those that were requeued before. If a command is killed while it holds a part of the queue, that part ends up behind
//! the rest. But the broker counts the deliveries of each message. In a queue that is in order, no message was
//! delivered more often than one before it. So the next browse that holds all messages finds the misplaced part, and
//! requeues it first.

use std::ops::RangeInclusive;

use lapin::BasicProperties;

use crate::broker::headers::{DELIVERY_COUNTS, Headers};

/// The most runs that are noted. A queue has one for each time that dead letters were added between two browses.
/// Only forged counts can make more; then the order stays as it is.
const MOST_RUNS: usize = 4096;

/// Consecutive messages that were delivered equally often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct DeliveryRun {
    times: u32,
    first: u64,
    last: u64,
}

/// The seen messages, by how often they were delivered.
#[derive(Debug, Default)]
pub(super) struct ReturnOrder {
    runs: Vec<DeliveryRun>,
    /// Whether the order is unknown: too many runs, or tags that went back.
    unknown: bool,
}

impl ReturnOrder {
    pub(super) fn note(&mut self, tag: u64, properties: &BasicProperties) {
        let headers = Headers(properties.headers().as_ref());
        let times = DELIVERY_COUNTS.into_iter().find_map(|name| headers.count(name)).unwrap_or(0);
        let noted = self.runs.len();
        match self.runs.last_mut() {
            Some(run) if run.times == times && run.last + 1 == tag => run.last = tag,
            Some(run) if run.last >= tag => self.unknown = true,
            _ if noted == MOST_RUNS => self.unknown = true,
            _ => self.runs.push(DeliveryRun { times, first: tag, last: tag }),
        }
    }

    /// The ranges of tags to requeue before all others, in this order. The rest follows in the order of its tags.
    /// Empty for a queue that is in order.
    pub(super) fn ahead(mut self) -> impl Iterator<Item = RangeInclusive<u64>> {
        if self.unknown {
            self.runs.clear();
        }
        let mut sorted = self.runs;
        // Stable: among equal counts the first stays first.
        sorted.sort_by_key(|run| std::cmp::Reverse(run.times));
        let in_order =
            sorted.iter().zip(sorted.iter().skip(1)).rposition(|(a, b)| a.first > b.first);
        sorted.truncate(in_order.map_or(0, |last| last + 1));
        sorted.into_iter().map(|run| run.first..=run.last)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use lapin::types::{AMQPValue, FieldTable};
    use proptest::prelude::*;

    use super::*;

    fn handed_out(times: u32) -> BasicProperties {
        let mut headers = FieldTable::default();
        if times > 0 {
            headers.insert("x-delivery-count".into(), AMQPValue::LongLongInt(times.into()));
        }
        BasicProperties::default().with_headers(headers)
    }

    fn ahead(times: &[u32]) -> Vec<u64> {
        let mut order = ReturnOrder::default();
        (1..).zip(times).for_each(|(tag, times)| order.note(tag, &handed_out(*times)));
        order.ahead().flatten().collect()
    }

    #[test]
    fn only_misplaced_messages_are_requeued_first() {
        assert_eq!(ahead(&[]), [0; 0]);
        assert_eq!(ahead(&[3, 3, 2, 0, 0]), [0; 0]);
        assert_eq!(ahead(&[1, 1, 2, 2, 0]), [3, 4]);
        assert_eq!(ahead(&[1, 3, 2, 0]), [2, 3]);
        assert_eq!(ahead(&[0, 0, 7]), [3], "a count that was forged harms its own letter alone");
    }

    #[test]
    fn the_count_of_a_newer_broker_is_preferred() {
        let mut headers = FieldTable::default();
        headers.insert("x-delivery-count".into(), AMQPValue::LongLongInt(9));
        headers.insert("x-acquired-count".into(), AMQPValue::LongLongInt(1));
        let mut order = ReturnOrder::default();
        order.note(1, &BasicProperties::default().with_headers(headers));
        assert_eq!(order.runs, [DeliveryRun { times: 1, first: 1, last: 1 }]);
    }

    #[test]
    fn the_number_of_runs_is_bounded() {
        let mut order = ReturnOrder::default();
        for tag in 1..=2 * MOST_RUNS as u64 {
            order.note(tag, &handed_out(u32::try_from(tag).unwrap()));
        }
        assert_eq!(order.runs.len(), MOST_RUNS);
        assert_eq!(order.ahead().count(), 0);
    }

    /// A queue as the broker keeps it, with the number of deliveries of each message.
    #[derive(Debug, Default)]
    struct Queue {
        returned: VecDeque<(usize, u32)>,
        fresh: VecDeque<(usize, u32)>,
        letters: usize,
    }

    impl Queue {
        fn die(&mut self, letters: usize) {
            self.fresh.extend((self.letters..self.letters + letters).map(|letter| (letter, 0)));
            self.letters += letters;
        }

        fn hand_out(&mut self, most: usize) -> Vec<(usize, u32)> {
            let next =
                |queue: &mut Self| queue.returned.pop_front().or_else(|| queue.fresh.pop_front());
            (0..most).map_while(|_| next(self)).collect()
        }

        fn take_back(&mut self, letters: impl IntoIterator<Item = (usize, u32)>) {
            self.returned.extend(letters.into_iter().map(|(letter, times)| (letter, times + 1)));
        }

        /// Simulates a browse that is killed when it holds `held` messages.
        fn killed(&mut self, held: usize) {
            let held = self.hand_out(held);
            self.take_back(held);
        }

        /// Simulates a browse of the whole queue that is killed after it requeued `steps` messages in order.
        fn whole(&mut self, steps: usize) {
            let held = self.hand_out(usize::MAX);
            let mut order = ReturnOrder::default();
            (1..).zip(&held).for_each(|(tag, (_, times))| order.note(tag, &handed_out(*times)));
            let mut rest: Vec<Option<_>> = held.into_iter().map(Some).collect();
            for tag in order.ahead().flatten().take(steps) {
                let letter = rest[usize::try_from(tag).unwrap() - 1].take();
                self.take_back(letter);
            }
            self.take_back(rest.into_iter().flatten());
        }
    }

    proptest! {
        /// After any number of killed commands, the next complete browse puts the queue in order. A command may be
        /// killed while it requeues.
        #[test]
        fn the_next_browse_puts_the_queue_in_order(
            history in proptest::collection::vec((0..5_usize, 0..30_usize, 0..20_usize), 0..8)
        ) {
            let mut queue = Queue::default();
            queue.die(7);
            for (new, held, steps) in history {
                queue.die(new);
                if held < 20 { queue.killed(held) } else { queue.whole(steps) }
            }
            queue.whole(usize::MAX);
            let order = queue.hand_out(usize::MAX).into_iter().map(|(letter, _)| letter);
            prop_assert!(order.eq(0..queue.letters));
        }
    }
}
