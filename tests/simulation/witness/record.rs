//! The observations of one delivery.

use std::time::{Duration, SystemTime};

use revoker::domain::{Ambiguity, Completion, History, Lane, Reason};
use tokio::time::Instant;

use super::LifeNumber;
use crate::{broker::Message, plan::Key};

/// One delivery.
#[allow(clippy::struct_excessive_bools, reason = "what was seen, each thing by itself")]
pub struct Record {
    pub life: LifeNumber,
    pub lane: Lane,
    /// The job's number in the plan.
    pub job: usize,
    pub published: std::time::SystemTime,
    pub key: Option<Key>,
    pub at: Instant,
    pub redelivered: bool,
    /// The history that was sent with it into its retry queue.
    pub parked: Option<History>,
    /// The history that the worker read.
    pub history: History,
    /// The time since it was parked, at its delivery.
    pub stayed: Duration,
    /// When the worker began to read it.
    pub taken: Option<Instant>,
    /// Whether the token's proof was still remembered at that time.
    pub remembered: bool,
    /// When its session was lost.
    pub lost: Option<Instant>,
    /// Calls made for it.
    pub calls: u32,
    /// The start of its running call.
    pub calling: Option<Instant>,
    /// When the latest call began.
    pub called: Option<Instant>,
    /// The earliest time of the next call.
    pub not_before: Option<Instant>,
    /// Whether its latest call failed.
    pub failed: bool,
    /// Since when its calls have been failing.
    pub failing_since: Option<Instant>,
    /// Whether the latest call failed after the hold.
    pub worn_out: bool,
    /// Whether an attempt was ambiguous, as far as the worker must know.
    pub may_have_worked: bool,
    /// The endpoint's answer about the token, to its own call or the one that it followed.
    pub verdict: Option<Conclusion>,
    /// Whether that was the answer to its own call.
    pub own: bool,
    /// Whether its call panicked the worker.
    pub panicked: bool,
    /// Whether its call was refused because the secret was withdrawn.
    pub refused: bool,
    pub decided: Option<(Decided, Instant)>,
    /// Whether a settlement ended, one way or the other.
    pub settled: bool,
    /// Whether a settlement was given up, so that the delivery is requeued.
    pub given_up: bool,
    /// Whether its message is stored in its queue.
    pub stored: bool,
    /// The outcome in its stored event.
    pub recorded: Option<String>,
    /// Whether the broker will never take its message.
    pub unpublishable: bool,
}

/// The endpoint's own answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conclusion {
    Revoked,
    Rejected,
}

/// The worker's decision about a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decided {
    Done(Completion),
    Dead(Reason),
    Parked,
    Requeued,
}

impl Decided {
    /// The name of the outcome in an event; `None` if the job goes on.
    pub const fn event(self) -> Option<&'static str> {
        match self {
            Self::Done(completion) => Some(completion.as_str()),
            Self::Dead(_) => Some("dead_lettered"),
            Self::Parked | Self::Requeued => None,
        }
    }
}

impl Record {
    pub fn new(life: LifeNumber, lane: Lane, key: Option<Key>, message: &Message) -> Self {
        Self {
            life,
            lane,
            job: message.job,
            published: message.published,
            key,
            at: Instant::now(),
            redelivered: message.redelivered,
            parked: message.parked,
            history: History::default(),
            stayed: Duration::ZERO,
            taken: None,
            remembered: false,
            lost: None,
            calls: 0,
            calling: None,
            called: None,
            not_before: None,
            failed: false,
            failing_since: None,
            worn_out: false,
            may_have_worked: false,
            verdict: None,
            own: false,
            panicked: false,
            refused: false,
            decided: None,
            settled: false,
            given_up: false,
            stored: false,
            recorded: None,
            unpublishable: false,
        }
    }

    /// Records the history that the worker read.
    pub fn arrived_with(&mut self, history: History, now: SystemTime) {
        self.history = history;
        let stayed = history.parked_at.and_then(|at| now.duration_since(at).ok());
        self.stayed = stayed.unwrap_or_default();
        self.may_have_worked = history.ambiguity == Some(Ambiguity::Attempt);
    }
}
