//! The memory of recent successes.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use tokio::time::Instant;

use crate::domain::JobKey;

/// How many outdated keys one call drops at most. More than one, so that they are dropped faster than new
/// ones are added. Not all at once, because then a logout would wait for the keys of a whole sweep.
const DROPPED_AT_ONCE: usize = 2;

/// The keys that were revoked a short while ago, bounded in number and age.
///
/// It takes memory as it is used, not up front. The queue may hold a key twice, where it was revoked
/// again before its outdated place was dropped; the map knows the later time.
pub(super) struct Recent {
    remember: Duration,
    capacity: usize,
    revoked_at: HashMap<JobKey, Instant>,
    oldest_first: VecDeque<(Instant, JobKey)>,
}

impl Recent {
    pub(super) fn new(remember: Duration, capacity: usize) -> Self {
        Self { remember, capacity, revoked_at: HashMap::new(), oldest_first: VecDeque::new() }
    }

    /// Whether `key` was revoked a short while before `now`.
    pub(super) fn contains(&mut self, key: &JobKey, now: Instant) -> bool {
        self.drop_outdated(now);
        self.revoked_at.get(key).is_some_and(|at| self.fresh(*at, now))
    }

    /// Notes that `key` was revoked at `now`.
    pub(super) fn insert(&mut self, key: JobKey, now: Instant) {
        if self.capacity == 0 || self.remember.is_zero() {
            return;
        }
        self.drop_outdated(now);
        if self.oldest_first.len() >= self.capacity {
            self.drop_oldest();
        }
        self.revoked_at.insert(key, now);
        self.oldest_first.push_back((now, key));
    }

    fn drop_outdated(&mut self, now: Instant) {
        for _ in 0..DROPPED_AT_ONCE {
            match self.oldest_first.front() {
                Some((at, _)) if !self.fresh(*at, now) => self.drop_oldest(),
                _ => return,
            }
        }
    }

    fn drop_oldest(&mut self) {
        if let Some((at, key)) = self.oldest_first.pop_front()
            && self.revoked_at.get(&key) == Some(&at)
        {
            self.revoked_at.remove(&key);
        }
    }

    fn fresh(&self, at: Instant, now: Instant) -> bool {
        now.saturating_duration_since(at) < self.remember
    }

    /// Places taken in the map and in the queue.
    #[cfg(test)]
    pub(super) fn len(&self) -> (usize, usize) {
        (self.revoked_at.len(), self.oldest_first.len())
    }
}
