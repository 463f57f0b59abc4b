//! The waiting jobs of one lane, by client.
//!
//! The next job belongs to the client with the fewest calls in flight; among equals, to the client that was served
//! longest ago. So while several clients wait, none holds more than its share of the places. Calls that hang count for
//! the client that made them. A client alone gets every place.

use std::collections::VecDeque;

use crate::domain::ClientKey;

/// The waiting jobs. Only the client of a job is known.
#[derive(Debug)]
pub(super) struct FairQueue<T> {
    /// Indexed by the client's key.
    clients: Vec<ClientQueue<T>>,
    /// The clients with waiting jobs.
    active: Vec<ClientKey>,
    turn: u64,
}

#[derive(Debug)]
struct ClientQueue<T> {
    waiting: VecDeque<T>,
    running: usize,
    served: u64,
}

impl<T> Default for FairQueue<T> {
    fn default() -> Self {
        Self { clients: Vec::new(), active: Vec::new(), turn: 0 }
    }
}

impl<T> FairQueue<T> {
    /// How many jobs of a client wait.
    pub(super) fn waiting(&self, ClientKey(key): ClientKey) -> usize {
        self.clients.get(key as usize).map_or(0, |client| client.waiting.len())
    }

    /// Adds a job behind the others of its client.
    pub(super) fn join(&mut self, key: ClientKey, job: T) {
        let client = self.client(key);
        client.waiting.push_back(job);
        if client.waiting.len() == 1 {
            self.active.push(key);
        }
    }

    /// Notes that a call of this client starts.
    pub(super) fn started(&mut self, key: ClientKey) {
        self.turn += 1;
        let turn = self.turn;
        let client = self.client(key);
        client.running += 1;
        client.served = turn;
    }

    /// Notes that a call of this client ended.
    pub(super) fn ended(&mut self, key: ClientKey) {
        let client = self.client(key);
        client.running = client.running.saturating_sub(1);
    }

    /// The client that is next among those that `may` be served.
    pub(super) fn next(&self, mut may: impl FnMut(ClientKey) -> bool) -> Option<ClientKey> {
        let order = |ClientKey(key): &ClientKey| {
            self.clients.get(*key as usize).map(|client| (client.running, client.served))
        };
        match self.active.as_slice() {
            [] => None,
            [only] => may(*only).then_some(*only),
            several => {
                several.iter().filter(|key| may(**key)).min_by_key(|key| order(key)).copied()
            }
        }
    }

    /// Takes the oldest job of a client.
    pub(super) fn take(&mut self, key: ClientKey) -> Option<T> {
        let taken = self.client(key).waiting.pop_front();
        self.leave_empty(key);
        taken
    }

    /// Takes the youngest jobs of a client and leaves `left`.
    pub(super) fn take_beyond(&mut self, key: ClientKey, left: usize) -> Vec<T> {
        let waiting = &mut self.client(key).waiting;
        let taken = waiting.split_off(left.min(waiting.len())).into();
        self.leave_empty(key);
        taken
    }

    /// Removes jobs of a client that are `gone` from the front of its queue.
    pub(super) fn forget(&mut self, key: ClientKey, gone: impl Fn(&T) -> bool) {
        let waiting = &mut self.client(key).waiting;
        while waiting.front().is_some_and(&gone) {
            waiting.pop_front();
        }
        self.leave_empty(key);
    }

    fn leave_empty(&mut self, key: ClientKey) {
        if self.waiting(key) == 0
            && let Some(place) = self.active.iter().position(|active| *active == key)
        {
            self.active.swap_remove(place);
        }
    }

    fn client(&mut self, ClientKey(key): ClientKey) -> &mut ClientQueue<T> {
        let index = key as usize;
        if index >= self.clients.len() {
            let new = || ClientQueue { waiting: VecDeque::new(), running: 0, served: 0 };
            self.clients.resize_with(index + 1, new);
        }
        &mut self.clients[index]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ClientKey = ClientKey(0);
    const B: ClientKey = ClientKey(7);

    fn filled(jobs: &[(ClientKey, usize)]) -> FairQueue<u32> {
        let mut queue = FairQueue::default();
        for (key, count) in jobs {
            (0..*count).for_each(|_| queue.join(*key, key.0));
        }
        queue
    }

    /// Serves the next job; its call keeps running.
    fn serve(queue: &mut FairQueue<u32>) -> Option<ClientKey> {
        let key = queue.next(|_| true)?;
        queue.started(key);
        queue.take(key).map(ClientKey)
    }

    #[test]
    fn ten_jobs_of_one_client_do_not_wait_behind_a_thousand_of_another() {
        let mut queue = filled(&[(A, 1000), (B, 10)]);
        let served: Vec<_> = (0..20).filter_map(|_| serve(&mut queue)).collect();
        assert_eq!(served.iter().filter(|key| **key == B).count(), 10);
    }

    #[test]
    fn a_client_alone_gets_every_place() {
        let mut queue = filled(&[(A, 100)]);
        assert_eq!((0..200).filter_map(|_| serve(&mut queue)).count(), 100);
        assert_eq!(queue.next(|_| true), None);
    }

    #[test]
    fn calls_that_hang_count_for_the_client_that_made_them() {
        let mut queue = filled(&[(A, 100), (B, 100)]);
        (0..10).for_each(|_| queue.started(A));
        let served: Vec<_> = (0..10).filter_map(|_| serve(&mut queue)).collect();
        assert_eq!(served, [B; 10]);
    }

    #[test]
    fn a_client_that_may_not_be_served_delays_no_other() {
        let mut queue = filled(&[(A, 2), (B, 2)]);
        assert_eq!(queue.next(|key| key != A), Some(B));
        assert_eq!(queue.next(|_| false), None);
        assert_eq!(queue.take_beyond(A, 1), [A.0]);
        assert_eq!((queue.waiting(A), queue.waiting(B)), (1, 2));
    }
}
