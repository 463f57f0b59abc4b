//! What the jobs in hand with one key share while one of them makes the call.

use std::collections::BTreeMap;

use tokio::{
    sync::{oneshot, watch},
    time::Instant,
};

use super::Followed;
use crate::domain::{Ambiguity, Failure, Lane, PerLane};

/// What the attempts of all jobs with one key have shown so far, short of a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Past {
    /// Whether, and why, the token may already be revoked.
    pub ambiguity: Option<Ambiguity>,
    /// When the first of the attempts in hand failed. A successor that counted anew would keep a place
    /// for another full `retry.hold`, and so would each of its followers after it.
    pub failing_since: Option<Instant>,
}

impl Past {
    /// Notes that the token may already be revoked.
    pub(super) fn suspect(&mut self, ambiguity: Option<Ambiguity>) {
        self.ambiguity = self.ambiguity.max(ambiguity);
    }

    /// Notes one failed attempt, seen at `now`.
    pub(super) fn failed(&mut self, failure: &Failure, now: Instant) {
        self.failing_since.get_or_insert(now);
        self.suspect(failure.ambiguous.then_some(Ambiguity::Attempt));
    }
}

/// One call, wanted by one leader and its followers.
pub(super) struct Flight {
    pub(super) past: Past,
    /// The lane of the call: the leader's own, until an interactive follower lends it a better one.
    lane: watch::Sender<Lane>,
    /// The followers by their ticket, the longest waiting first.
    waiting: PerLane<BTreeMap<u64, oneshot::Sender<Followed>>>,
}

impl Flight {
    /// A leader alone.
    pub(super) fn new(lane: Lane, ambiguity: Option<Ambiguity>) -> Self {
        Self {
            past: Past { ambiguity, failing_since: None },
            lane: watch::Sender::new(lane),
            waiting: PerLane::default(),
        }
    }

    /// The lane of the present leader's call, now and as it changes.
    pub(super) fn lane(&self) -> watch::Receiver<Lane> {
        self.lane.subscribe()
    }

    /// One more follower.
    pub(super) fn join(
        &mut self,
        ticket: u64,
        lane: Lane,
        ambiguity: Option<Ambiguity>,
    ) -> oneshot::Receiver<Followed> {
        self.past.suspect(ambiguity);
        if lane == Lane::Interactive {
            self.lane.send_if_modified(|of_call| std::mem::replace(of_call, lane) != lane);
        }
        let (answer, verdict) = oneshot::channel();
        self.waiting.get_mut(lane).insert(ticket, answer);
        verdict
    }

    /// One follower less, unless it was answered before.
    pub(super) fn leave(&mut self, ticket: u64, lane: Lane) {
        self.waiting.get_mut(lane).remove(&ticket);
    }

    /// Takes out the next leader, and makes its lane that of the call.
    pub(super) fn succeed(&mut self) -> Option<oneshot::Sender<Followed>> {
        Lane::ALL.into_iter().find_map(|lane| {
            let (_, next) = self.waiting.get_mut(lane).pop_first()?;
            self.lane = watch::Sender::new(lane);
            Some(next)
        })
    }

    /// Everyone who waits, to be told the verdict.
    pub(super) fn disband(self) -> impl Iterator<Item = oneshot::Sender<Followed>> {
        let PerLane { interactive, bulk } = self.waiting;
        interactive.into_values().chain(bulk.into_values())
    }
}
