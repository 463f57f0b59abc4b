//! The call that all jobs with one key share.

use std::collections::BTreeMap;

use tokio::{sync::oneshot, time::Instant};

use super::FollowerOutcome;
use crate::domain::{Ambiguity, Failure, Lane, PerLane};

/// The shared history of all jobs with one key, before a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SharedHistory {
    /// Whether, and why, the token may already be revoked.
    pub ambiguity: Option<Ambiguity>,
    /// When the first attempt in flight failed. Without it each successor would count anew, and keep a
    /// place for another full `retry.hold`.
    pub failing_since: Option<Instant>,
}

impl SharedHistory {
    /// Notes that the token may already be revoked.
    pub(super) fn suspect(&mut self, ambiguity: Option<Ambiguity>) {
        self.ambiguity = self.ambiguity.max(ambiguity);
    }

    /// Notes an attempt that failed at `now`.
    pub(super) fn failed(&mut self, failure: &Failure, now: Instant) {
        self.failing_since.get_or_insert(now);
        self.suspect(failure.ambiguous.then_some(Ambiguity::Attempt));
    }
}

/// One call with its leader and its followers.
pub(super) struct Flight {
    pub(super) history: SharedHistory,
    /// Notifies a leader of the bulk lane, once, that an interactive follower has joined.
    promotion: Option<oneshot::Sender<()>>,
    /// The followers by their ticket, the longest waiting first.
    waiting: PerLane<BTreeMap<u64, oneshot::Sender<FollowerOutcome>>>,
}

impl Flight {
    /// A call without a leader yet.
    pub(super) fn new(ambiguity: Option<Ambiguity>) -> Self {
        let history = SharedHistory { ambiguity, failing_since: None };
        Self { history, promotion: None, waiting: PerLane::default() }
    }

    /// Sets the lane of a new leader. Returns the receiver of its promotion; `None` for an interactive
    /// leader.
    pub(super) fn led_from(&mut self, lane: Lane) -> Option<oneshot::Receiver<()>> {
        self.promotion = None;
        if lane == Lane::Interactive {
            return None;
        }
        let (promotion, promoted) = oneshot::channel();
        self.promotion = Some(promotion);
        Some(promoted)
    }

    /// Adds a follower. Returns the receiver of its outcome.
    pub(super) fn join(
        &mut self,
        ticket: u64,
        lane: Lane,
        ambiguity: Option<Ambiguity>,
    ) -> oneshot::Receiver<FollowerOutcome> {
        self.history.suspect(ambiguity);
        if lane == Lane::Interactive
            && let Some(promotion) = self.promotion.take()
        {
            // A leader that no longer listens makes no call that could be promoted.
            let _ = promotion.send(());
        }
        let (sender, outcome) = oneshot::channel();
        self.waiting.get_mut(lane).insert(ticket, sender);
        outcome
    }

    /// Removes a follower, unless it has its outcome already.
    pub(super) fn leave(&mut self, ticket: u64, lane: Lane) {
        self.waiting.get_mut(lane).remove(&ticket);
    }

    /// Takes out the follower that leads next, with its lane.
    pub(super) fn succeed(&mut self) -> Option<(Lane, oneshot::Sender<FollowerOutcome>)> {
        Lane::ALL.into_iter().find_map(|lane| {
            let (_, next) = self.waiting.get_mut(lane).pop_first()?;
            Some((lane, next))
        })
    }

    /// All followers, which get the verdict.
    pub(super) fn disband(self) -> impl Iterator<Item = oneshot::Sender<FollowerOutcome>> {
        let PerLane { interactive, bulk } = self.waiting;
        interactive.into_values().chain(bulk.into_values())
    }
}
