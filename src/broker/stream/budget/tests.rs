use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::broker::stream::StreamHandle;

const LIMIT: u64 = 100;

const fn delivered(channel: u16, tag: u64) -> Delivered {
    Delivered { channel, tag }
}

/// A waker that counts.
#[derive(Default)]
struct Woken(AtomicUsize);

impl std::task::Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_delivery_that_does_not_fit_waits_for_another_to_end() {
    let budget = Budget::new(LIMIT);
    let account = Account::new(Arc::clone(&budget), false);
    let woken = Arc::new(Woken::default());
    assert!(account.charge(delivered(1, 1), 60));
    assert!(account.charge(delivered(1, 2), 40));
    assert!(!account.charge(delivered(1, 3), 1));
    let reader = Arc::clone(&woken).into();
    account.wait(&reader);
    account.wait(&reader);
    assert_eq!(budget.in_flight(), LIMIT);
    drop(account.claim(delivered(1, 1)));
    assert_eq!(woken.0.load(Ordering::SeqCst), 1);
    assert_eq!(budget.in_flight(), 40);
    assert!(account.charge(delivered(1, 3), 60));
}

#[test]
fn one_that_is_larger_than_all_passes_alone() {
    let budget = Budget::new(LIMIT);
    let (account, other) =
        (Account::new(Arc::clone(&budget), false), Account::new(Arc::clone(&budget), false));
    assert!(account.charge(delivered(1, 1), 1));
    assert!(!account.charge(delivered(1, 2), 10 * LIMIT));
    drop(account.claim(delivered(1, 1)));
    assert!(account.charge(delivered(1, 2), 10 * LIMIT));
    assert!(!account.charge(delivered(1, 3), 1));
    // Another connection can always have one message in flight: it does not wait for this one.
    assert!(other.charge(delivered(1, 1), 1));
    assert!(!other.charge(delivered(1, 2), 1));
}

#[test]
fn a_charge_lasts_as_long_as_its_claim() {
    let budget = Budget::new(LIMIT);
    let account = Account::new(Arc::clone(&budget), false);
    assert!(account.charge(delivered(1, 1), 10));
    assert!(account.charge(delivered(2, 1), 20));
    let claim = account.claim(delivered(2, 1));
    drop(account.claim(delivered(2, 1)));
    drop(account.claim(delivered(3, 1)));
    assert_eq!(budget.in_flight(), 30, "it can be claimed once");
    drop(claim);
    assert_eq!(budget.in_flight(), 10);
}

#[test]
fn unclaimed_charges_end_with_their_channel_or_connection() {
    let budget = Budget::new(LIMIT);
    let account = Account::new(Arc::clone(&budget), false);
    for channel in 1..=3 {
        assert!(account.charge(delivered(channel, 1), 10));
    }
    let claimed = account.claim(delivered(1, 1));
    account.channel_closed(1);
    account.channel_closed(2);
    assert_eq!(budget.in_flight(), 20);
    account.close();
    assert_eq!(budget.in_flight(), 10, "what is held still counts");
    assert!(!account.charge(delivered(3, 2), 1), "nothing comes any more");
    drop(account.claim(delivered(3, 1)));
    drop(claimed);
    assert_eq!(budget.in_flight(), 0);
}

/// lapin delivers the messages that came before its channel was closed.
#[test]
fn unclaimed_charges_of_a_lane_count_until_the_stream_ends() {
    let budget = Budget::new(LIMIT);
    let account = Account::new(Arc::clone(&budget), true);
    assert!(account.charge(delivered(1, 1), 60));
    assert!(account.charge(delivered(1, 2), 40));
    account.channel_closed(1);
    assert_eq!(budget.in_flight(), LIMIT);
    let late = account.claim(delivered(1, 1));
    assert_eq!(budget.in_flight(), LIMIT, "it is handed out uncharged");
    account.close();
    assert_eq!(budget.in_flight(), 60);
    drop(late);
    assert_eq!(budget.in_flight(), 0);
}

#[test]
fn a_budget_tells_whether_any_of_its_streams_is_not_read() {
    let budget = Budget::new(LIMIT);
    let stream = || StreamHandle::new(Account::new(Arc::clone(&budget), false), None);
    let (one, other) = (stream(), stream());
    let mut stalls = budget.stalls();
    let mut told = || {
        let changed = stalls.has_changed().unwrap();
        (changed, *stalls.borrow_and_update())
    };
    assert_eq!(told(), (false, false));
    one.stall(true);
    one.stall(true);
    assert_eq!(told(), (true, true));
    other.stall(true);
    one.stall(false);
    assert_eq!(told(), (false, true), "the other is not read");
    other.close();
    other.stall(false);
    assert_eq!(told(), (true, false));
}

#[test]
fn large_headers_count_by_their_size_in_memory() {
    assert_eq!(cost(100, 1_000), 1_100);
    assert_eq!(cost(PLAIN_HEADERS, 0), 1_024);
    assert!(cost(128 * 1024, 0) > 6 * 1024 * 1024);
    assert_eq!(cost(usize::MAX, u64::MAX), u64::MAX);
}
