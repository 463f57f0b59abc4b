//! Whether the worker as a whole is ready, from what its parts say.

use std::{collections::BTreeMap, time::SystemTime};

use serde::{Deserialize, Serialize};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::ports::Condition;

/// How ready something is, the worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It does its work.
    Ready,
    /// It waits on purpose and is well.
    Waiting,
    /// It cannot do its work.
    NotReady,
}

impl State {
    /// Its name, as in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Waiting => "waiting",
            Self::NotReady => "not_ready",
        }
    }
}

/// The answer of `/readyz`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Readiness {
    /// Whether the worker may be counted on.
    pub ready: bool,
    /// The state of its worst part.
    pub state: State,
    /// Each part by its name.
    pub parts: BTreeMap<String, PartReadiness>,
}

/// One part's share of the answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartReadiness {
    /// Its state.
    pub state: State,
    /// Why, unless it is ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Since when it waits, as RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// When it tries again by itself, as RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

impl Readiness {
    /// The worker is as ready as its worst part. To wait on purpose is to be ready: restarting or
    /// bypassing the worker would change nothing.
    pub fn of<'a>(conditions: impl IntoIterator<Item = (&'a str, Condition)>) -> Self {
        let parts: BTreeMap<_, _> = conditions
            .into_iter()
            .map(|(name, condition)| (name.to_owned(), PartReadiness::from(condition)))
            .collect();
        let state = parts.values().map(|part| part.state).max().unwrap_or(State::Ready);
        Self { ready: state <= State::Waiting, state, parts }
    }
}

impl From<Condition> for PartReadiness {
    fn from(condition: Condition) -> Self {
        match condition {
            Condition::Ready => {
                Self { state: State::Ready, reason: None, since: None, until: None }
            }
            Condition::Waiting { reason, since, until } => Self {
                state: State::Waiting,
                reason: Some(reason),
                since: rfc3339(since),
                until: until.and_then(rfc3339),
            },
            Condition::NotReady { reason } => {
                Self { state: State::NotReady, reason: Some(reason), since: None, until: None }
            }
        }
    }
}

/// To the second; `None` beyond the year 9999, which RFC 3339 cannot write.
fn rfc3339(time: SystemTime) -> Option<String> {
    let time = OffsetDateTime::from(time);
    time.replace_nanosecond(0).unwrap_or(time).format(&Rfc3339).ok()
}
