//! When a worker's calls were paused, as its status told it to whoever watched.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use revoker::domain::ClientKey;
use tokio::time::Instant;

use super::{LifeNumber, Number, State, Witness};

/// Whose calls are paused: of one client, or of all.
type Whose = Option<ClientKey>;

/// The pauses of one worker.
#[derive(Default)]
pub struct Pauses {
    since: BTreeMap<Whose, Instant>,
    ended: Vec<(Whose, Instant, Instant)>,
}

impl Pauses {
    fn are(&mut self, paused: &BTreeSet<Whose>) {
        let now = Instant::now();
        let over: Vec<_> = self.since.keys().copied().filter(|who| !paused.contains(who)).collect();
        for who in over {
            if let Some(since) = self.since.remove(&who) {
                self.ended.push((who, since, now));
            }
        }
        for who in paused {
            self.since.entry(*who).or_insert(now);
        }
    }

    /// How long calls of a client have been paused since then, at least: the longer of its own pauses and of all's.
    pub fn of(&self, client: ClientKey, since: Instant) -> Duration {
        let now = Instant::now();
        let lasting = self.since.iter().map(|(who, begin)| (*who, *begin, now));
        let all: Vec<_> = self.ended.iter().copied().chain(lasting).collect();
        let sum = |whose: Whose| -> Duration {
            let theirs = all.iter().filter(|(who, ..)| *who == whose);
            theirs.map(|(_, begin, end)| end.saturating_duration_since(since.max(*begin))).sum()
        };
        sum(None).max(sum(Some(client)))
    }
}

impl Witness {
    /// A worker's status: the clients that are paused, or nobody in particular where all are.
    pub fn paused(&self, life: LifeNumber, paused: &BTreeSet<Option<ClientKey>>) {
        self.note(|| format!("worker {life}: paused are {paused:?}"));
        self.state().lives[life].pauses.are(paused);
    }
}

impl State {
    /// How long calls of a delivery's client have been paused since then, at least.
    pub fn paused_since(&mut self, number: Number, client: ClientKey, since: Instant) -> Duration {
        self.life(number).pauses.of(client, since)
    }
}
