//! Reads outcome events, from a queue or a file, or the lines of `log.successes`.
//!
//! An event may arrive twice, and a job may have several outcomes: dead-lettered, replayed, then revoked. The order of
//! the events does not matter: a proof counts unless the token was found active after it, and otherwise the latest
//! outcome does. A revoked token stays dead, so a later rejection of its job proves nothing else.
//!
//! Events may come from anybody, so only known names, times and hashes are kept. A job takes up to 200 bytes.

use std::{
    collections::{BTreeSet, HashMap},
    time::{Duration, SystemTime},
};

use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use url::Url;

use super::{
    counts::{End, EndCounts},
    timeline::Timeline,
};
use crate::domain::{Completion, Proof, Reason, parse_rfc3339};

/// The type of an event.
const EVENT_TYPE: &str = "revoker.job.settled.v1";

/// The name of the outcome of a dead-lettered job.
const DEAD_LETTERED: &str = "dead_lettered";

/// The most profiles and endpoints that are kept. There is mostly one.
const MOST_NAMES: usize = 8;

/// The most characters of a profile's name.
const MOST_CHARS: usize = 64;

/// The bytes of a job's identity.
const IDENTITY: usize = 16;

/// What a text was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// An outcome within the time span.
    Counted,
    /// An outcome outside it.
    Outside,
    /// Another event, or another line of a log.
    Other,
    /// No event.
    Unreadable,
}

/// The jobs of the events within a time span.
#[derive(Debug, Default)]
pub struct EventBook {
    since: Option<SystemTime>,
    until: Option<SystemTime>,
    jobs: HashMap<[u8; IDENTITY], JobState>,
    pub(super) profiles: BTreeSet<String>,
    pub(super) endpoints: BTreeSet<String>,
    pub(super) counted: u64,
    pub(super) outside: u64,
    pub(super) other: u64,
    pub(super) unreadable: u64,
}

/// The outcomes of a job.
#[derive(Debug, Clone, Copy, Default)]
struct JobState {
    /// A hash of its client; 0 if no event named one.
    client: u64,
    /// The first of the best proofs, and the latest one.
    proof: Option<Outcome>,
    latest_proof: Option<Outcome>,
    /// The latest of the outcomes without a proof.
    other: Option<Outcome>,
    /// When its token was last found active after a call.
    active_at: Option<u64>,
}

/// An outcome, and when it was known in milliseconds since 1970.
#[derive(Debug, Clone, Copy)]
struct Outcome {
    at: u64,
    end: End,
}

#[derive(Deserialize)]
struct CloudEvent {
    #[serde(rename = "type")]
    kind: String,
    id: String,
    time: Option<String>,
    data: Option<Ended>,
}

/// The data of an event, and the fields of a log line.
#[derive(Deserialize)]
struct Ended {
    job_id: Option<String>,
    fingerprint: Option<String>,
    token_sha256: Option<String>,
    client_id: Option<String>,
    outcome: Option<String>,
    reason: Option<String>,
    settled_at: Option<String>,
    profile: Option<String>,
    endpoint: Option<String>,
    proof: Option<String>,
}

impl EventBook {
    pub fn new(since: Option<SystemTime>, until: Option<SystemTime>) -> Self {
        Self { since, until, ..Self::default() }
    }

    /// Reads an event, or a line of a log.
    pub fn add(&mut self, text: &[u8]) -> EventKind {
        let kind = self.read(text);
        *match kind {
            EventKind::Counted => &mut self.counted,
            EventKind::Outside => &mut self.outside,
            EventKind::Other => &mut self.other,
            EventKind::Unreadable => &mut self.unreadable,
        } += 1;
        kind
    }

    /// Counts a text that is too long for an event.
    pub const fn add_too_long(&mut self) {
        self.unreadable += 1;
    }

    pub(super) fn jobs(&self) -> (EndCounts, Timeline) {
        let (mut counts, mut timeline) = (EndCounts::default(), Timeline::new());
        for Outcome { at, end } in self.jobs.values().filter_map(JobState::outcome) {
            counts.add(end);
            let at = SystemTime::UNIX_EPOCH + Duration::from_millis(at);
            timeline.add(at, matches!(end, End::Failed(_)));
        }
        (counts, timeline)
    }

    fn read(&mut self, text: &[u8]) -> EventKind {
        let (ended, id, time) = match serde_json::from_slice::<CloudEvent>(text) {
            Ok(event) if event.kind != EVENT_TYPE => return EventKind::Other,
            Ok(CloudEvent { data: Some(data), id, time, .. }) => (data, Some(id), time),
            Ok(_) => return EventKind::Unreadable,
            Err(_) => match serde_json::from_slice::<Ended>(text) {
                // Another line of the log, which has no such fields.
                Ok(Ended { outcome, settled_at, .. })
                    if outcome.is_none() || settled_at.is_none() =>
                {
                    return EventKind::Other;
                }
                Ok(ended) => (ended, None, None),
                Err(_) => return EventKind::Unreadable,
            },
        };
        let time = time.or_else(|| ended.settled_at.clone());
        let (Some(end), Some(at)) = (ended.end(), time.as_deref().and_then(parse_rfc3339)) else {
            return EventKind::Unreadable;
        };
        if self.since.is_some_and(|since| at < since) || self.until.is_some_and(|until| at > until)
        {
            return EventKind::Outside;
        }
        self.note_names(&ended);
        let identity = ended.identity(id.as_deref().map_or(text, str::as_bytes));
        self.job(identity, ended.client()).add(Outcome { at: millis(at), end });
        EventKind::Counted
    }

    /// The job with this identity and client. A job may name its client in some events only: the operator may configure
    /// the default client after the first one. If two clients share the identity, an event without a client belongs to
    /// the client that came first.
    fn job(&mut self, identity: [u8; IDENTITY], client: u64) -> &mut JobState {
        let of_another =
            |known: &JobState| client != 0 && known.client != 0 && known.client != client;
        let identity = if self.jobs.get(&identity).is_some_and(of_another) {
            shortened(Sha256::new().chain_update(identity).chain_update(client.to_be_bytes()))
        } else {
            identity
        };
        let job = self.jobs.entry(identity).or_default();
        job.client = job.client.max(client);
        job
    }

    fn note_names(&mut self, ended: &Ended) {
        let note = |names: &mut BTreeSet<String>, name: Option<String>| {
            if let Some(name) = name.filter(|_| names.len() < MOST_NAMES) {
                names.insert(name);
            }
        };
        note(&mut self.profiles, ended.profile.as_deref().and_then(profile));
        note(&mut self.endpoints, ended.endpoint.as_deref().and_then(origin));
    }
}

impl Ended {
    fn end(&self) -> Option<End> {
        match (self.outcome.as_deref()?, self.reason.as_deref()) {
            (DEAD_LETTERED, Some(reason)) => Reason::from_name(reason).map(End::Failed),
            (DEAD_LETTERED, None) => None,
            (outcome, _) => match Completion::from_name(outcome)? {
                Completion::Revoked if self.proof.as_deref() == Some(Proof::Verified.as_str()) => {
                    Some(End::Verified)
                }
                // The proof follows from the outcome: an event cannot claim more.
                completion => Some(End::Done(completion)),
            },
        }
    }

    /// What all events of the job have in common. `own` is the event's own id, for a job whose token is not named: a
    /// producer may use one message id for two jobs, and one of them must not hide the other.
    fn identity(&self, own: &[u8]) -> [u8; IDENTITY] {
        let mut digest = Sha256::new();
        match self.token_sha256.as_ref().or(self.fingerprint.as_ref()) {
            None => digest.update(own),
            token => {
                for part in [self.job_id.as_ref(), token] {
                    digest.update(part.map_or(0, |part| part.len() as u64 + 1).to_be_bytes());
                    digest.update(part.map_or("", String::as_str));
                }
            }
        }
        shortened(digest)
    }

    /// A hash of the client, at least 1; 0 if none is named.
    fn client(&self) -> u64 {
        self.client_id.as_deref().map_or(0, |client| {
            let digest = Sha256::digest(client);
            u64::from_be_bytes(std::array::from_fn(|at| digest[at])).max(1)
        })
    }
}

fn shortened(digest: Sha256) -> [u8; IDENTITY] {
    let digest = digest.finalize();
    std::array::from_fn(|at| digest[at])
}

/// A number for each end, so that of two at one time always the same one counts.
const fn place(end: End) -> usize {
    match end {
        End::Done(completion) => completion as usize,
        End::Verified | End::Repeated => Completion::ALL.len(),
        End::Failed(reason) => Completion::ALL.len() + 1 + reason as usize,
    }
}

impl JobState {
    fn add(&mut self, new: Outcome) {
        if new.end == End::Failed(Reason::StillActive) {
            self.active_at = self.active_at.max(Some(new.at));
        }
        if new.end.proof().is_some_and(Proof::is_of_the_endpoint) {
            let is_duplicate = |end| end == End::Done(Completion::Duplicate);
            let order = |outcome: &Outcome| (is_duplicate(outcome.end), outcome.at);
            self.proof = self.proof.into_iter().chain([new]).min_by_key(order);
            let order = |outcome: &Outcome| (outcome.at, place(outcome.end));
            self.latest_proof = self.latest_proof.into_iter().chain([new]).max_by_key(order);
        } else {
            let order = |outcome: &Outcome| (outcome.at, place(outcome.end));
            self.other = self.other.into_iter().chain([new]).max_by_key(order);
        }
    }

    /// The outcome that counts. A proof loses only to a token that was found active after it.
    fn outcome(&self) -> Option<Outcome> {
        let stands = |proof: &Outcome| Some(proof.at) > self.active_at;
        let proof = self.proof.filter(stands).or_else(|| self.latest_proof.filter(stands));
        proof.or(self.other).or(self.proof)
    }
}

fn millis(at: SystemTime) -> u64 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The name of a profile; `None` for a text that no profile may have as its name.
fn profile(text: &str) -> Option<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    (!text.is_empty() && text.len() <= MOST_CHARS && text.chars().all(is_name))
        .then(|| text.to_owned())
}

/// The origin of a URL, so that nothing else of it is shown.
fn origin(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    matches!(url.scheme(), "http" | "https").then(|| url.origin().ascii_serialization())
}

#[cfg(test)]
mod tests;
