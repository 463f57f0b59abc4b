//! The readiness of the whole worker, from the conditions of its parts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    domain::rfc3339,
    ports::{Condition, PausedClient, PausedClients},
};

/// The readiness of the worker or of a part. The worst state comes last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadinessState {
    #[default]
    Ready,
    /// It waits on purpose and is healthy.
    Waiting,
    NotReady,
}

impl ReadinessState {
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
    /// Whether the worker is ready.
    pub ready: bool,
    pub state: ReadinessState,
    pub parts: BTreeMap<String, PartReadiness>,
}

/// The readiness of one part.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartReadiness {
    pub state: ReadinessState,
    /// The cause, unless it is ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Since when it waits, as RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// When it tries again by itself, as RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// The first of its clients that are paused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paused_clients: Vec<ClientReadiness>,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more_paused_clients: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientReadiness {
    pub client: String,
    pub reason: String,
    /// Since when, as RFC 3339.
    pub since: Option<String>,
    /// When the next probe is due, as RFC 3339.
    pub until: Option<String>,
    /// The audience of jobs that name none.
    pub audience: String,
    pub endpoint: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<String>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl Readiness {
    /// The worker is as ready as its worst part. A part that waits on purpose counts as ready: a restart of the worker
    /// would change nothing.
    pub fn of<'a>(parts: impl IntoIterator<Item = (&'a str, Condition, PausedClients)>) -> Self {
        let parts: BTreeMap<_, _> = parts
            .into_iter()
            .map(|(name, condition, clients)| {
                let part = PartReadiness {
                    paused_clients: clients.named.into_iter().map(ClientReadiness::from).collect(),
                    more_paused_clients: clients.more,
                    ..PartReadiness::from(condition)
                };
                (name.to_owned(), part)
            })
            .collect();
        let state = parts.values().map(|part| part.state).max().unwrap_or_default();
        Self { ready: state <= ReadinessState::Waiting, state, parts }
    }
}

impl From<Condition> for PartReadiness {
    fn from(condition: Condition) -> Self {
        match condition {
            Condition::Ready => Self::default(),
            Condition::Waiting { reason, since, until } => Self {
                reason: Some(reason),
                since: rfc3339(since),
                until: until.and_then(rfc3339),
                state: ReadinessState::Waiting,
                ..Self::default()
            },
            Condition::NotReady { reason } => {
                Self { state: ReadinessState::NotReady, reason: Some(reason), ..Self::default() }
            }
        }
    }
}

impl From<PausedClient> for ClientReadiness {
    fn from(paused: PausedClient) -> Self {
        Self {
            client: paused.id,
            reason: paused.reason,
            since: rfc3339(paused.since),
            until: rfc3339(paused.next_probe),
            audience: paused.audience,
            endpoint: paused.endpoint,
            commands: paused.commands.into_iter().map(|(_, command)| command).collect(),
        }
    }
}
