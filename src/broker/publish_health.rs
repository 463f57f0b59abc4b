//! Counts messages that cannot be published: for `/readyz`, for the log, and to stop new calls meanwhile.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;
use tracing::{info, warn};

use crate::ports::{Condition, Report, Unpublishable};

/// New calls stop when this many messages wait for queues that take none: each call could add one. The same bound
/// applies to messages that can never be published.
const MAX_STUCK: usize = 64;

/// The messages that cannot be published, and the reasons.
#[derive(Debug, Default)]
pub struct PublishHealth {
    state: Mutex<Unpublished>,
    full: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Unpublished {
    /// For each queue, how many messages wait, and why.
    stuck: BTreeMap<String, StuckQueue>,
    /// The number of messages that can never be published.
    unpublishable: usize,
    /// The reason for the latest of these.
    why_unpublishable: String,
}

#[derive(Debug)]
struct StuckQueue {
    why: String,
    messages: usize,
}

/// A message that can never be published. Its job stays in flight until this is dropped.
#[derive(Debug)]
pub(super) struct KeptInFlight(Arc<PublishHealth>);

impl Drop for KeptInFlight {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.unpublishable -= 1;
        self.0.note(&state);
    }
}

impl PublishHealth {
    /// Records that publishing to a queue failed, and how many messages wait for it.
    pub fn failed(&self, queue: &str, why: String, messages: usize) {
        if messages == 0 {
            return self.cleared(queue);
        }
        let mut state = self.state();
        if state.stuck.get(queue).is_none_or(|before| before.why != why) {
            warn!(queue, reason = %why, messages, "messages wait: they cannot be published");
        }
        state.stuck.insert(queue.to_owned(), StuckQueue { why, messages });
        self.note(&state);
    }

    /// Records that everything for a queue is published.
    pub fn cleared(&self, queue: &str) {
        let mut state = self.state();
        if state.stuck.remove(queue).is_some() {
            info!(queue, "messages are published again");
        }
        self.note(&state);
    }

    /// Records that a message can never be published. It counts until the returned value is dropped.
    #[must_use]
    pub(super) fn keep_in_flight(
        self: &Arc<Self>,
        queue: &str,
        refusal: &Unpublishable,
    ) -> KeptInFlight {
        let Unpublishable { size, why } = refusal;
        let mut state = self.state();
        warn!(queue, reason = %why, size, "a message can never be published: its job stays in flight");
        state.unpublishable += 1;
        state.why_unpublishable = format!("queue {queue}: {why}");
        self.note(&state);
        KeptInFlight(Arc::clone(self))
    }

    /// Whether new calls must not start.
    #[must_use]
    pub fn full(&self) -> watch::Receiver<bool> {
        self.full.subscribe()
    }

    fn note(&self, state: &Unpublished) {
        let stuck: usize = state.stuck.values().map(|stuck| stuck.messages).sum();
        let now = stuck >= MAX_STUCK || state.unpublishable >= MAX_STUCK;
        self.full.send_if_modified(|full| std::mem::replace(full, now) != now);
    }

    fn state(&self) -> MutexGuard<'_, Unpublished> {
        // Nothing panics during a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Report for PublishHealth {
    fn condition(&self) -> Condition {
        let state = self.state();
        let Unpublished { stuck, unpublishable, why_unpublishable } = &*state;
        let mut reasons: Vec<String> = stuck
            .iter()
            .map(|(queue, StuckQueue { why, messages })| {
                format!("{messages} messages wait to be published to {queue}: {why}")
            })
            .collect();
        if *unpublishable > 0 {
            reasons.push(format!(
                "{unpublishable} jobs stay in flight, because the broker refuses their messages; \
                 the latest for {why_unpublishable}"
            ));
        }
        if reasons.is_empty() {
            Condition::Ready
        } else {
            Condition::NotReady { reason: reasons.join("; ") }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_full_at_the_bound_of_all_queues_and_open_again_when_one_is_cleared() {
        let health = PublishHealth::default();
        let full = health.full();
        health.failed("dead", "no queue".to_owned(), MAX_STUCK - 1);
        assert!(!*full.borrow());
        health.failed("retry", "not confirmed".to_owned(), 1);
        assert!(*full.borrow());
        assert_eq!(
            health.condition(),
            Condition::NotReady {
                reason: format!(
                    "{} messages wait to be published to dead: no queue; \
                     1 messages wait to be published to retry: not confirmed",
                    MAX_STUCK - 1
                )
            }
        );
        health.cleared("dead");
        assert!(!*full.borrow());
        health.cleared("retry");
        assert_eq!(health.condition(), Condition::Ready);
    }

    #[test]
    fn a_failure_with_nothing_waiting_is_no_trouble() {
        let health = PublishHealth::default();
        health.failed("dead", "connection refused".to_owned(), 0);
        assert_eq!(health.condition(), Condition::Ready);
    }

    #[test]
    fn a_message_set_aside_is_reported_and_only_many_stop_calls() {
        let health = Arc::new(PublishHealth::default());
        let full = health.full();
        let refusal = Unpublishable { size: 9, why: "406 too large".to_owned() };
        health.failed("dead", "not confirmed".to_owned(), MAX_STUCK - 1);
        let mut unpublishable = vec![health.keep_in_flight("dead", &refusal)];
        health.cleared("dead");
        let reason = "1 jobs stay in flight, because the broker refuses their messages; the \
                      latest for queue dead: 406 too large"
            .to_owned();
        assert_eq!(health.condition(), Condition::NotReady { reason });
        assert!(!*full.borrow());
        unpublishable.extend((1..MAX_STUCK).map(|_| health.keep_in_flight("dead", &refusal)));
        assert!(*full.borrow());
        unpublishable.clear();
        assert!(!*full.borrow());
        assert_eq!(health.condition(), Condition::Ready);
    }
}
