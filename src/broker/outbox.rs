//! What waits to be published, and whether it can be: told to `/readyz`, to the log, and to whoever
//! must stop taking jobs while verdicts pile up.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tracing::{info, warn};

use crate::ports::{Condition, Report};

/// So many verdicts may wait for a queue that takes none before no new calls are started: each of
/// them could end as one more.
const MAX_STUCK: usize = 64;

/// The state of publishing.
#[derive(Debug)]
pub struct Outbox {
    stuck: Mutex<Option<Stuck>>,
    full: watch::Sender<bool>,
}

#[derive(Debug)]
struct Stuck {
    why: String,
    letters: usize,
}

impl Default for Outbox {
    fn default() -> Self {
        Self { stuck: Mutex::default(), full: watch::Sender::new(false) }
    }
}

impl Outbox {
    /// Publishing failed, and so many letters wait. With none waiting nothing is stuck.
    pub fn failed(&self, why: String, letters: usize) {
        if letters == 0 {
            return self.cleared();
        }
        let mut stuck = self.stuck();
        if stuck.as_ref().is_none_or(|before| before.why != why) {
            warn!(reason = %why, letters, "messages wait: they cannot be published");
        }
        *stuck = Some(Stuck { why, letters });
        drop(stuck);
        self.full.send_if_modified(|full| {
            let before = std::mem::replace(full, letters >= MAX_STUCK);
            before != *full
        });
    }

    /// Everything is published.
    pub fn cleared(&self) {
        if self.stuck().take().is_some() {
            info!("messages are published again");
        }
        self.full.send_if_modified(std::mem::take);
    }

    /// Whether so much is stuck that no new calls should start.
    #[must_use]
    pub fn full(&self) -> watch::Receiver<bool> {
        self.full.subscribe()
    }

    fn stuck(&self) -> MutexGuard<'_, Option<Stuck>> {
        // A plain value, replaced whole: nothing can be left half done.
        self.stuck.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Report for Outbox {
    fn condition(&self) -> Condition {
        match &*self.stuck() {
            None => Condition::Ready,
            Some(Stuck { why, letters }) => Condition::NotReady {
                reason: format!("{letters} messages wait to be published: {why}"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_full_at_the_bound_and_open_again_when_cleared() {
        let outbox = Outbox::default();
        let full = outbox.full();
        outbox.failed("no queue".to_owned(), MAX_STUCK - 1);
        assert!(!*full.borrow());
        outbox.failed("no queue".to_owned(), MAX_STUCK);
        assert!(*full.borrow());
        assert_eq!(
            outbox.condition(),
            Condition::NotReady {
                reason: format!("{MAX_STUCK} messages wait to be published: no queue")
            }
        );
        outbox.cleared();
        assert!(!*full.borrow());
        assert_eq!(outbox.condition(), Condition::Ready);
    }

    #[test]
    fn a_failure_with_nothing_waiting_is_no_trouble() {
        let outbox = Outbox::default();
        outbox.failed("connection refused".to_owned(), 0);
        assert_eq!(outbox.condition(), Condition::Ready);
    }
}
