//! Which jobs are in flight, and since when: the age of the oldest is what an operator watches.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// The jobs in flight, in the order of their arrival.
#[derive(Debug, Default)]
pub struct InHand(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    next: u64,
    since: BTreeMap<u64, Instant>,
}

/// One job's place, until it is dropped.
#[derive(Debug)]
pub struct Ticket {
    in_hand: Arc<InHand>,
    number: u64,
}

impl InHand {
    /// Notes one more job.
    pub fn enter(self: &Arc<Self>) -> Ticket {
        let mut entries = self.entries();
        let number = entries.next;
        entries.next += 1;
        entries.since.insert(number, Instant::now());
        Ticket { in_hand: Arc::clone(self), number }
    }

    /// How long the oldest has been in flight; zero with none.
    #[must_use]
    pub fn oldest(&self) -> Duration {
        self.entries().since.first_key_value().map(|(_, since)| since.elapsed()).unwrap_or_default()
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.in_hand.entries().since.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_oldest_counts_until_it_leaves() {
        let in_hand = Arc::new(InHand::default());
        assert_eq!(in_hand.oldest(), Duration::ZERO);
        let first = in_hand.enter();
        tokio::time::advance(Duration::from_secs(5)).await;
        let _second = in_hand.enter();
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(in_hand.oldest(), Duration::from_secs(6));
        drop(first);
        assert_eq!(in_hand.oldest(), Duration::from_secs(1));
    }
}
