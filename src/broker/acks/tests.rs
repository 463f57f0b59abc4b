use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

fn acks(deliveries: u64) -> Acks {
    let mut acks = Acks::default();
    for tag in 1..=deliveries {
        assert!(acks.delivered(tag));
    }
    acks
}

fn flush(acks: &mut Acks) -> Vec<Frame> {
    let mut frames = Vec::new();
    acks.flush(&mut frames);
    frames
}

const fn ack(tag: u64, multiple: bool) -> Frame {
    Frame { tag, settle: Settle::Ack, multiple }
}

const fn nack(tag: u64, settle: Settle) -> Frame {
    Frame { tag, settle, multiple: false }
}

#[test]
fn a_settled_run_costs_one_frame() {
    let mut acks = acks(64);
    (1..=64).for_each(|tag| {
        acks.settle(tag, Settle::Ack);
    });
    assert_eq!(flush(&mut acks), [ack(64, true)]);
    assert_eq!(flush(&mut acks), []);
}

#[test]
fn nothing_unsettled_is_ever_acked_with_the_rest() {
    let mut acks = acks(5);
    for tag in [1, 2, 4, 5] {
        acks.settle(tag, Settle::Ack);
    }
    assert_eq!(flush(&mut acks), [ack(2, true), ack(4, false), ack(5, false)]);
    acks.settle(3, Settle::Ack);
    assert_eq!(flush(&mut acks), [ack(3, false)], "4 and 5 are known already");
}

#[test]
fn a_requeue_goes_before_the_ack_that_passes_it() {
    let mut acks = acks(4);
    acks.settle(1, Settle::Ack);
    acks.settle(2, Settle::Requeue);
    acks.settle(3, Settle::Ack);
    assert_eq!(flush(&mut acks), [nack(2, Settle::Requeue), ack(3, true)]);
}

#[test]
fn a_dead_letter_of_the_broker_goes_before_the_ack_that_passes_it() {
    let mut acks = acks(3);
    acks.settle(1, Settle::Ack);
    acks.settle(2, Settle::DeadLetter);
    acks.settle(3, Settle::Ack);
    assert_eq!(flush(&mut acks), [nack(2, Settle::DeadLetter), ack(3, true)]);
}

#[test]
fn the_tag_of_a_multiple_is_one_that_the_broker_still_holds() {
    let mut acks = acks(3);
    acks.settle(1, Settle::Ack);
    acks.settle(2, Settle::Requeue);
    assert_eq!(flush(&mut acks), [nack(2, Settle::Requeue), ack(1, false)]);
}

/// One delivery stays unsettled for minutes, while many later ones are settled.
#[test]
fn an_unsettled_delivery_does_not_delay_the_acks_above_it() {
    const MANY: u64 = 1_000;
    let mut acks = acks(MANY);
    for first in (2..=MANY).step_by(9) {
        let run: Vec<u64> = (first..(first + 9).min(MANY + 1)).collect();
        for tag in run.iter().rev() {
            acks.settle(*tag, Settle::Ack);
        }
        let told: Vec<Frame> = run.iter().map(|tag| ack(*tag, false)).collect();
        assert_eq!(flush(&mut acks), told);
    }
    assert_eq!(acks.in_flight(), 1);
    acks.settle(1, Settle::Ack);
    assert_eq!(flush(&mut acks), [ack(1, false)]);
    assert_eq!((acks.in_flight(), acks.delivered_so_far()), (0, MANY));
    assert!(acks.delivered(MANY + 1), "the tags continue");
}

#[test]
fn a_settlement_counts_once() {
    let mut acks = acks(1);
    assert_eq!(acks.settle(1, Settle::Ack), 1);
    assert_eq!(acks.settle(1, Settle::Requeue), 1);
    assert_eq!(acks.settle(7, Settle::Ack), 1, "never delivered");
    assert_eq!(flush(&mut acks), [ack(1, false)]);
    assert!(!acks.delivered(7), "a gap in the tags is refused");
}

/// Settles deliveries as RabbitMQ does for a frame (`rabbit_channel`, `collect_acks`).
fn broker(unacked: &mut BTreeSet<u64>, frame: Frame) -> Vec<(u64, Settle)> {
    let Frame { tag, settle, multiple } = frame;
    assert!(unacked.contains(&tag), "unknown delivery tag {tag}: the channel would close");
    let taken: Vec<u64> =
        unacked.iter().copied().filter(|t| *t == tag || (multiple && *t < tag)).collect();
    taken
        .into_iter()
        .map(|tag| {
            unacked.remove(&tag);
            (tag, settle)
        })
        .collect()
}

proptest! {
    /// In any order of deliveries, settlements and flushes, the broker gets each delivery's settlement exactly once. It
    /// gets none for a delivery in flight.
    #[test]
    fn the_broker_gets_each_settlement_exactly_once(
        steps in proptest::collection::vec((0u8..5, any::<prop::sample::Index>()), 1..300)
    ) {
        let mut acks = Acks::default();
        let mut in_flight: Vec<u64> = Vec::new();
        let mut decided = BTreeMap::new();
        let mut unacked = BTreeSet::new();
        let mut learned = BTreeMap::new();
        let mut next = 1;
        for (step, which) in steps {
            match step {
                0 => {
                    prop_assert!(acks.delivered(next));
                    in_flight.push(next);
                    unacked.insert(next);
                    next += 1;
                }
                1..=3 if !in_flight.is_empty() => {
                    let tag = in_flight.swap_remove(which.index(in_flight.len()));
                    let settle = [Settle::Ack, Settle::Requeue, Settle::DeadLetter]
                        [usize::from(step) - 1];
                    acks.settle(tag, settle);
                    decided.insert(tag, settle);
                }
                _ => {
                    for frame in flush(&mut acks) {
                        learned.extend(broker(&mut unacked, frame));
                    }
                    prop_assert_eq!(&learned, &decided);
                }
            }
            prop_assert_eq!(acks.in_flight(), in_flight.len());
            prop_assert_eq!(unacked.len() + learned.len() + 1, usize::try_from(next).unwrap());
        }
    }
}
