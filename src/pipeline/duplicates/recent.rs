//! The memory of recent successes.

use std::{
    collections::VecDeque,
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use hashbrown::HashTable;
use tokio::time::Instant;

use crate::domain::JobKey;

/// How many outdated keys one call drops at most. More than one, so that they are dropped faster than new
/// ones are added. Not all at once, because then a logout would wait for the keys of a whole sweep.
const DROPPED_AT_ONCE: usize = 2;

/// The keys that were revoked a short while ago, bounded in number and age.
///
/// It takes memory as it is used, not up front. Each key is stored once, in the queue. A hash map would store
/// it again, and this is most of the memory of a worker with a long backlog. The queue may hold a key twice,
/// where it was revoked again before its outdated place was dropped; the table knows the later place.
pub(super) struct Recent {
    remember: Duration,
    capacity: usize,
    oldest_first: VecDeque<(Instant, JobKey)>,
    /// The number of the first place in the queue. Numbers wrap, and a queue is far shorter than the range.
    first: u32,
    /// The number of each key's place.
    places: HashTable<u32>,
    hasher: RandomState,
}

impl Recent {
    pub(super) fn new(remember: Duration, capacity: usize) -> Self {
        Self {
            remember,
            capacity: capacity.min(u32::MAX as usize),
            oldest_first: VecDeque::new(),
            first: 0,
            places: HashTable::new(),
            hasher: RandomState::new(),
        }
    }

    /// Whether `key` was revoked a short while before `now`.
    pub(super) fn contains(&mut self, key: &JobKey, now: Instant) -> bool {
        self.drop_outdated(now);
        let place =
            self.places.find(self.hasher.hash_one(key), |number| self.key(*number) == Some(key));
        place.and_then(|number| self.place(*number)).is_some_and(|(at, _)| self.fresh(*at, now))
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
        #[allow(clippy::cast_possible_truncation, reason = "the capacity is cut to the range")]
        let number = self.first.wrapping_add(self.oldest_first.len() as u32);
        self.oldest_first.push_back((now, key));
        let Self { oldest_first, first, places, hasher, .. } = self;
        let key_of = |number: &u32| oldest_first.get(number.wrapping_sub(*first) as usize);
        let hash_of = |number: &u32| key_of(number).map_or(0, |(_, key)| hasher.hash_one(key));
        let is_same = |number: &u32| key_of(number).is_some_and(|(_, other)| *other == key);
        match places.find_mut(hasher.hash_one(key), is_same) {
            Some(place) => *place = number,
            None => {
                places.insert_unique(hasher.hash_one(key), number, hash_of);
            }
        }
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
        let Some((_, key)) = self.oldest_first.pop_front() else { return };
        let number = self.first;
        self.first = self.first.wrapping_add(1);
        // A key that was revoked again has a later place, which stays.
        if let Ok(place) =
            self.places.find_entry(self.hasher.hash_one(key), |other| *other == number)
        {
            place.remove();
        }
    }

    fn place(&self, number: u32) -> Option<&(Instant, JobKey)> {
        self.oldest_first.get(number.wrapping_sub(self.first) as usize)
    }

    fn key(&self, number: u32) -> Option<&JobKey> {
        self.place(number).map(|(_, key)| key)
    }

    fn fresh(&self, at: Instant, now: Instant) -> bool {
        now.saturating_duration_since(at) < self.remember
    }

    /// Places taken in the table and in the queue.
    #[cfg(test)]
    pub(super) fn len(&self) -> (usize, usize) {
        (self.places.len(), self.oldest_first.len())
    }
}
