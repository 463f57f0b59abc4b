//! What the jobs in flight with one key share while one of them makes the call.

use std::collections::BTreeMap;

use tokio::{sync::oneshot, time::Instant};

use super::Followed;
use crate::domain::{Ambiguity, Failure, Lane, PerLane};

/// What the attempts of all jobs with one key have shown so far, short of a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Past {
    /// Whether, and why, the token may already be revoked.
    pub ambiguity: Option<Ambiguity>,
    /// When the first of the attempts in flight failed. A successor that counted anew would keep a place
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
    /// Tells a leader of the bulk lane that an interactive follower lends it a better one; once.
    promotion: Option<oneshot::Sender<()>>,
    /// The followers by their ticket, the longest waiting first.
    waiting: PerLane<BTreeMap<u64, oneshot::Sender<Followed>>>,
}

impl Flight {
    /// A call that nobody leads yet.
    pub(super) fn new(ambiguity: Option<Ambiguity>) -> Self {
        let past = Past { ambiguity, failing_since: None };
        Self { past, promotion: None, waiting: PerLane::default() }
    }

    /// A job of that lane leads from now on. Returns what it waits for to be promoted; `None` if it is in
    /// the better lane already. A channel for one message, for nearly every job of the bulk lane has one.
    pub(super) fn led_from(&mut self, lane: Lane) -> Option<oneshot::Receiver<()>> {
        self.promotion = None;
        if lane == Lane::Interactive {
            return None;
        }
        let (promotion, promoted) = oneshot::channel();
        self.promotion = Some(promotion);
        Some(promoted)
    }

    /// One more follower.
    pub(super) fn join(
        &mut self,
        ticket: u64,
        lane: Lane,
        ambiguity: Option<Ambiguity>,
    ) -> oneshot::Receiver<Followed> {
        self.past.suspect(ambiguity);
        if lane == Lane::Interactive
            && let Some(promotion) = self.promotion.take()
        {
            // A leader that does not listen any more makes no call that could be promoted.
            let _ = promotion.send(());
        }
        let (answer, verdict) = oneshot::channel();
        self.waiting.get_mut(lane).insert(ticket, answer);
        verdict
    }

    /// One follower less, unless it was answered before.
    pub(super) fn leave(&mut self, ticket: u64, lane: Lane) {
        self.waiting.get_mut(lane).remove(&ticket);
    }

    /// Takes out the next leader, with its lane.
    pub(super) fn succeed(&mut self) -> Option<(Lane, oneshot::Sender<Followed>)> {
        Lane::ALL.into_iter().find_map(|lane| {
            let (_, next) = self.waiting.get_mut(lane).pop_first()?;
            Some((lane, next))
        })
    }

    /// Everyone who waits, to be told the verdict.
    pub(super) fn disband(self) -> impl Iterator<Item = oneshot::Sender<Followed>> {
        let PerLane { interactive, bulk } = self.waiting;
        interactive.into_values().chain(bulk.into_values())
    }
}
