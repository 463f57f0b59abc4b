use proptest::prelude::*;

use super::*;

const LIMITS: BatchLimits = BatchLimits { messages: 8, bytes: 1000 };

/// A mock broker, as a publisher of one queue sees it.
#[derive(Default)]
struct Broker {
    /// Messages with a larger body break their channel.
    largest: Option<usize>,
    /// Messages of any size that break their channel.
    poison: Vec<u32>,
    /// The blame that such a break reports.
    blame: Option<MessageBlame>,
    /// The number of messages of a batch that are confirmed before it breaks its channel. The others before the
    /// refused message are stored, but not confirmed.
    confirms: usize,
    /// The stored messages, each copy.
    stored: Vec<u32>,
}

impl Broker {
    fn refusing(largest: usize) -> Self {
        Self { largest: Some(largest), ..Self::default() }
    }

    fn poisoned(poison: &[u32], blame: MessageBlame) -> Self {
        Self { poison: poison.to_vec(), blame: Some(blame), ..Self::default() }
    }

    fn publish(&mut self, batch: &[PendingMessage<u32>]) -> PublishedBatch {
        let breaks = |entry: &PendingMessage<u32>| {
            self.poison.contains(&entry.message)
                || self.largest.is_some_and(|largest| entry.size > largest)
        };
        let culprit = batch.iter().position(breaks);
        let taken = culprit.unwrap_or(batch.len());
        self.stored.extend(batch.iter().take(taken).map(|entry| entry.message));
        let confirmed = if culprit.is_some() { self.confirms.min(taken) } else { taken };
        let results =
            (0..batch.len())
                .map(|place| {
                    if place < confirmed {
                        PublishResult::Confirmed
                    } else {
                        PublishResult::Unknown
                    }
                })
                .collect();
        let blame = self.blame.unwrap_or(MessageBlame::Message);
        let broken = ChannelFailure { why: "406 too large".to_owned(), blame };
        PublishedBatch {
            results,
            interruption: culprit.map(|_| Interruption::ChannelFailure(broken)),
            late: false,
        }
    }

    fn copies(&self, message: u32) -> usize {
        self.stored.iter().filter(|stored| **stored == message).count()
    }
}

/// The results of messages, each named by its index.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    confirmed: Vec<u32>,
    unpublishable: Vec<u32>,
    waits: usize,
}

fn pending(sizes: &[usize]) -> Pending<u32> {
    let mut pending = Pending::new(LIMITS, Arc::default());
    for (message, size) in (0..).zip(sizes) {
        pending.push(message, *size);
    }
    pending
}

/// Publishes all messages, or gives up after this number of batches.
fn run(pending: &mut Pending<u32>, broker: &mut Broker, batches: usize) -> Outcome {
    let mut outcome = Outcome::default();
    for _ in 0..batches {
        if pending.is_empty() {
            break;
        }
        let batch = pending.next();
        assert!(!batch.is_empty(), "something waits, and nothing goes");
        let published = broker.publish(&batch);
        let applied = pending.apply(batch, published, ConnectionUse::Dedicated);
        outcome.confirmed.extend(applied.confirmed);
        outcome.unpublishable.extend(applied.unpublishable.iter().map(|(message, _)| message));
        outcome.waits += usize::from(matches!(applied.next, NextStep::Wait(_)));
    }
    outcome
}

#[test]
fn the_only_message_that_is_too_large_is_found_and_no_other_is_stored_twice() {
    let mut sizes = vec![100; 41];
    sizes[17] = 2000;
    let mut broker = Broker::refusing(1000);
    let outcome = run(&mut pending(&sizes), &mut broker, 100);
    assert_eq!(outcome.unpublishable, [17]);
    assert_eq!(outcome.confirmed.len(), 40);
    assert!((0..41).filter(|message| *message != 17).all(|message| broker.copies(message) == 1));
    assert_eq!((broker.copies(17), outcome.waits), (0, 0));
}

#[test]
fn others_pass_between_the_two_tries_of_a_message_that_breaks_its_channel() {
    let mut pending = pending(&[900, 100, 100]);
    let mut broker = Broker::refusing(500);
    let first = pending.next();
    assert_eq!(first.len(), 1, "nothing of its size was confirmed");
    let published = broker.publish(&first);
    assert_eq!(
        pending.apply(first, published, ConnectionUse::Dedicated).next,
        NextStep::Reopen("406 too large".to_owned())
    );
    let second = pending.next();
    assert!(second.iter().all(|entry| entry.message != 0), "{second:?}");
}

#[test]
fn a_lowered_limit_is_detected_and_accepted_messages_are_stored_twice_at_most() {
    let mut broker = Broker { confirms: 2, ..Broker::refusing(1000) };
    let mut pending = pending(&[800; 8]);
    assert_eq!(run(&mut pending, &mut broker, 10).confirmed.len(), 8);
    broker.largest = Some(300);
    broker.stored.clear();
    for (message, size) in (0..).zip([100, 200, 300, 400, 100, 500]) {
        pending.push(message, size);
    }
    let outcome = run(&mut pending, &mut broker, 100);
    let (mut confirmed, mut unpublishable) = (outcome.confirmed, outcome.unpublishable);
    confirmed.sort_unstable();
    unpublishable.sort_unstable();
    assert_eq!((confirmed, unpublishable), (vec![0, 1, 2, 4], vec![3, 5]));
    // The third of the first batch was stored, and its confirm did not come.
    assert_eq!([0, 1, 2, 4].map(|message| broker.copies(message)), [1, 1, 2, 1]);
}

/// A broker that fails on every message proves nothing against one.
#[test]
fn a_broker_that_fails_over_everything_condemns_no_message() {
    let mut broker = Broker::poisoned(&[0, 1, 2, 3], MessageBlame::Perhaps);
    let mut pending = pending(&[100; 4]);
    let outcome = run(&mut pending, &mut broker, 50);
    assert_eq!((outcome.unpublishable, pending.len()), (vec![], 4));
    assert!(outcome.waits > 40, "it is not asked again without a wait: {}", outcome.waits);
}

#[test]
fn a_message_over_which_the_broker_fails_is_found_while_others_pass() {
    let mut broker = Broker::poisoned(&[2], MessageBlame::Perhaps);
    let outcome = run(&mut pending(&[100; 4]), &mut broker, 50);
    assert_eq!(outcome.unpublishable, [2]);
    assert_eq!(outcome.confirmed.len(), 3);
}

/// Two queues publish over one connection at the same moments, while a third one confirms. The message of the
/// first queue breaks the connection each time, before the other message is confirmed.
#[test]
fn a_message_is_not_condemned_for_one_of_another_queue_that_breaks_their_connection() {
    let mut broker = Broker::poisoned(&[0], MessageBlame::Perhaps);
    let counter = Arc::new(AtomicU64::new(0));
    let queue = || Pending::new(LIMITS, Arc::clone(&counter));
    let mut queues = [queue(), queue()];
    queues[0].push(0, 100);
    queues[1].push(1, 100);
    let (mut confirmed, mut unpublishable, mut shared_breaks) = (Vec::new(), Vec::new(), 0);
    for _ in 1..20 {
        counter.fetch_add(1, Ordering::Relaxed);
        let dedicated = queues.each_ref().map(Pending::needs_dedicated);
        let batches = queues.each_mut().map(Pending::next);
        let breaks =
            |place: usize| !dedicated[place] && batches[place].iter().any(|e| e.message == 0);
        let is_broken = breaks(0) || breaks(1);
        shared_breaks += usize::from(is_broken);
        for ((pending, batch), dedicated) in queues.iter_mut().zip(batches).zip(dedicated) {
            let published = if dedicated || !is_broken {
                broker.publish(&batch)
            } else {
                let fault = ChannelFailure { why: "541".to_owned(), blame: MessageBlame::Perhaps };
                let interruption = Some(Interruption::ChannelFailure(fault));
                PublishedBatch {
                    results: vec![PublishResult::Unknown; batch.len()],
                    interruption,
                    late: false,
                }
            };
            let used = if dedicated { ConnectionUse::Dedicated } else { ConnectionUse::Shared };
            let applied = pending.apply(batch, published, used);
            confirmed.extend(applied.confirmed);
            unpublishable.extend(applied.unpublishable.into_iter().map(|(message, _)| message));
        }
    }
    assert_eq!((confirmed, unpublishable), (vec![1], vec![0]));
    assert_eq!(shared_breaks, 1, "the culprit goes over the shared connection again");
}

#[test]
fn others_go_first_while_there_is_no_connection_apart() {
    let mut pending = pending(&[100]);
    let broken = ChannelFailure { why: "541".to_owned(), blame: MessageBlame::Perhaps };
    let batch = pending.next();
    let interruption = Some(Interruption::ChannelFailure(broken));
    let published =
        PublishedBatch { results: vec![PublishResult::Unknown], interruption, late: false };
    pending.apply(batch, published, ConnectionUse::Shared);
    pending.push(1, 100);
    assert!(pending.needs_dedicated());
    pending.put_off();
    assert!(!pending.needs_dedicated());
    let next: Vec<u32> = pending.next().into_iter().map(|entry| entry.message).collect();
    assert_eq!(next, [1]);
    assert!(pending.needs_dedicated(), "nothing else waits");
}

#[test]
fn a_lost_connection_makes_no_suspect_and_confirmed_messages_are_not_sent_again() {
    let mut pending = pending(&[100; 4]);
    let alone = pending.next();
    let published = Broker::default().publish(&alone);
    pending.apply(alone, published, ConnectionUse::Dedicated);
    let batch = pending.next();
    assert_eq!(batch.len(), 3);
    let results = vec![PublishResult::Confirmed, PublishResult::Unknown, PublishResult::Confirmed];
    let interruption =
        Some(Interruption::ChannelFailure(ChannelFailure::by_nobody("reset".to_owned())));
    let unconfirmed = batch[1].message;
    let applied = pending.apply(
        batch,
        PublishedBatch { results, interruption, late: false },
        ConnectionUse::Dedicated,
    );
    assert_eq!(applied.next, NextStep::Wait("reset".to_owned()));
    assert_eq!(applied.confirmed.len(), 2);
    let again: Vec<u32> = pending.next().into_iter().map(|entry| entry.message).collect();
    assert_eq!(again, [unconfirmed]);
}

#[test]
fn a_refusal_of_the_queue_is_no_fault_of_the_message() {
    let mut pending = pending(&[100]);
    for result in [PublishResult::Nacked, PublishResult::Returned] {
        let batch = pending.next();
        let published = PublishedBatch { results: vec![result], interruption: None, late: false };
        let applied = pending.apply(batch, published, ConnectionUse::Dedicated);
        assert_eq!(applied.next, NextStep::Wait(result.refusal().unwrap().to_owned()));
        assert_eq!(pending.len(), 1);
    }
}

#[test]
fn a_batch_is_bounded_by_messages_and_by_bytes() {
    for (sizes, expected) in [(vec![1; 20], 8), (vec![300; 20], 3), (vec![5000; 2], 1)] {
        let mut pending = pending(&sizes);
        pending.proven = usize::MAX;
        assert_eq!(pending.next().len(), expected, "{sizes:?}");
    }
}

proptest! {
    /// Exactly the messages that are too large are found, and all others are confirmed. None of them is stored
    /// twice, because a message larger than all confirmed ones goes alone. Sizes, order and the number of confirms
    /// before a channel breaks are random.
    #[test]
    fn too_large_messages_are_found_and_the_others_are_stored_once(
        sizes in proptest::collection::vec(1usize..400, 1..40),
        largest in 1usize..400,
        confirms in 0usize..8,
    ) {
        let mut broker = Broker { confirms, ..Broker::refusing(largest) };
        let outcome = run(&mut pending(&sizes), &mut broker, 1000);
        for (message, size) in (0..).zip(&sizes) {
            let fits = *size <= largest;
            prop_assert_eq!(outcome.confirmed.contains(&message), fits);
            prop_assert_eq!(outcome.unpublishable.contains(&message), !fits);
            prop_assert_eq!(broker.copies(message), usize::from(fits));
        }
    }

    /// The same with refused messages of any size: each break costs the other messages at most one copy.
    #[test]
    fn culprits_of_any_size_are_found_and_a_break_costs_one_copy_at_most(
        poison in proptest::collection::btree_set(0u32..30, 0..4),
        confirms in 0usize..8,
    ) {
        let poison: Vec<u32> = poison.into_iter().collect();
        let mut broker =
            Broker { confirms, ..Broker::poisoned(&poison, MessageBlame::Message) };
        let outcome = run(&mut pending(&[100; 30]), &mut broker, 1000);
        for message in 0..30 {
            let is_poison = poison.contains(&message);
            prop_assert_eq!(outcome.unpublishable.contains(&message), is_poison);
            prop_assert_eq!(outcome.confirmed.contains(&message), !is_poison);
            prop_assert!(broker.copies(message) <= 2, "{} copies", broker.copies(message));
        }
    }

    /// Without refusals, messages are published in the order of their arrival.
    #[test]
    fn the_order_is_kept_where_nothing_is_refused(
        sizes in proptest::collection::vec(1usize..400, 1..60),
    ) {
        let mut broker = Broker::default();
        run(&mut pending(&sizes), &mut broker, 1000);
        prop_assert_eq!(broker.stored, (0..).take(sizes.len()).collect::<Vec<u32>>());
    }

    /// The remaining messages come out in the order of their arrival.
    #[test]
    fn the_remaining_messages_keep_their_order(sizes in proptest::collection::vec(1usize..400, 1..30)) {
        let mut pending = pending(&sizes);
        let batch = pending.next();
        let results = vec![PublishResult::Unknown; batch.len()];
        let interruption = Some(Interruption::GivenUp);
        pending.apply(batch, PublishedBatch { results, interruption, late: false }, ConnectionUse::Dedicated);
        let left = pending.into_messages();
        prop_assert_eq!(left, (0..).take(sizes.len()).collect::<Vec<u32>>());
    }
}
