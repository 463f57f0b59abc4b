//! The pauses of a worker's calls, from its published status.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use revoker::domain::ClientKey;
use tokio::time::Instant;

use super::{LifeNumber, Number, State, Witness};

/// The paused calls: of one client, or of all.
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

    /// How long calls of a client have been paused since then, by its own pauses and by those of all.
    pub fn of(&self, client: ClientKey, since: Instant) -> Duration {
        let lasting = self.since.iter().map(|(who, begin)| (*who, *begin, Instant::now()));
        let all = self.ended.iter().copied().chain(lasting);
        let mut theirs: Vec<_> = all
            .filter(|(who, ..)| who.is_none_or(|who| who == client))
            .map(|(_, begin, end)| (begin.max(since), end))
            .collect();
        theirs.sort_unstable();
        let mut counted_up_to = since;
        let mut paused = Duration::ZERO;
        for (begin, end) in theirs {
            paused += end.saturating_duration_since(begin.max(counted_up_to));
            counted_up_to = counted_up_to.max(end);
        }
        paused
    }
}

impl Witness {
    /// Records a worker's status: the paused clients, or `None` if all calls are paused.
    pub fn paused(&self, life: LifeNumber, paused: &BTreeSet<Option<ClientKey>>) {
        self.note(|| format!("worker {life}: paused are {paused:?}"));
        self.state().lives[life].pauses.are(paused);
    }
}

impl State {
    /// How long calls of a delivery's client have been paused since then.
    pub fn paused_since(&mut self, number: Number, client: ClientKey, since: Instant) -> Duration {
        self.life(number).pauses.of(client, since)
    }
}
